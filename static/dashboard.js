// The dashboard works without this file. With it, what is on the page changes as the locks do.
"use strict";
(() => {
  const page = document.getElementById("page");
  const live = document.getElementById("live");
  const COUNT_AGAIN_MS = 10000; // at most so often, however much happens
  const REFRESH_WITHIN_MS = 5000; // after an interruption
  const AGAIN_WITHIN_MS = 5000; // after an answer that was an error
  const MOST_LINES = 200; // of a list of events that grows
  const AGO = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  let stream;
  let missed = false; // what happened while nobody listened
  let looked = false; // somebody has just come back to this tab
  let counting;

  /** How long ago, in the words that the server uses. */
  const ago = (time) => {
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
    if (minutes < 1) return;
    const [n, unit] =
      minutes < 120 ? [minutes, "minute"]
      : minutes < 2880 ? [Math.floor(minutes / 60), "hour"]
      : [Math.floor(minutes / 1440), "day"];
    const words = AGO.format(-n, unit);
    if (time.textContent !== words) time.textContent = words;
  };
  const allAgo = () => document.querySelectorAll("time[data-ago]").forEach(ago);

  const fragment = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };
  const ask = async (url) => {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store" });
    return answer.ok && !answer.redirected ? answer.text() : null;
  };

  /** The counts above the table, read again a little later, once for many changes. */
  const countAgain = () => {
    counting ??= setTimeout(async () => {
      counting = undefined;
      const html = await ask(page.dataset.attention + location.search).catch(() => null);
      const old = document.getElementById("attention");
      if (html && old && !old.contains(document.activeElement)) old.replaceWith(fragment(html));
    }, COUNT_AGAIN_MS * (0.5 + Math.random() / 2));
  };

  /** Put the changed cells of a lock's row in their places. */
  const showRow = (html) => {
    const fresh = fragment(html).querySelector("tr");
    const row = document.getElementById(fresh.id);
    if (!row || row.dataset.state !== fresh.dataset.state || row.dataset.troubles !== fresh.dataset.troubles) countAgain();
    if (!row) return;
    for (const cell of fresh.querySelectorAll("[data-cell]")) {
      const here = row.querySelector(`[data-cell=${cell.dataset.cell}]`);
      if (here && here.innerHTML !== cell.innerHTML && !here.contains(document.activeElement)) {
        here.innerHTML = cell.innerHTML;
        here.className = cell.className;
      }
    }
    if (row.dataset.state !== fresh.dataset.state) row.classList.add("is-new");
    Object.assign(row.dataset, fresh.dataset);
  };

  /** Put a new event on top of the list, where there is one and it fits what is asked for. */
  const showEvent = (html) => {
    const feed = document.getElementById("feed");
    const fresh = feed && fragment(html).querySelector("li");
    if (!fresh || document.getElementById(fresh.id)) return;
    const { lock, type } = feed.dataset;
    if ((lock && fresh.dataset.lock !== lock) || (type && fresh.dataset.type !== type)) return;
    feed.prepend(fresh);
    while (feed.children.length > MOST_LINES) feed.lastElementChild.remove();
  };

  let said = "";
  const say = (name) => {
    said = name;
    const status = document.getElementById("live");
    if (!status) return;
    status.textContent = status.dataset[name] ?? "";
    status.classList.toggle("is-on", name === "on");
  };

  /** Show the page as it is now, unless somebody is about to do something on it. */
  const refresh = async () => {
    const html = await ask(location.href).catch(() => null);
    const fresh = html && new DOMParser().parseFromString(html, "text/html").getElementById("page");
    if (!fresh || page.contains(document.activeElement)) return;
    page.replaceChildren(...fresh.childNodes);
    say(said);
  };

  /** Go on after an error, where a browser does not by itself: the server's database was away,
   *  say. Whoever is no longer signed in is led to where they can. */
  const again = async () => {
    const asked = { method: "HEAD", headers: { Accept: "text/html" }, cache: "no-store" };
    const answer = await fetch(location.href, asked).catch(() => null);
    if (stream?.readyState !== EventSource.CLOSED) return; // this page rests, or has gone on
    if (answer?.redirected && !page.contains(document.activeElement)) location.reload();
    else listen();
  };
  const listen = () => {
    stream = new EventSource(page.dataset.stream);
    stream.addEventListener("ready", () => {
      // Not all at once: a server that has just come back has enough to do.
      if (missed) setTimeout(refresh, looked ? 0 : Math.random() * REFRESH_WITHIN_MS);
      missed = true;
      looked = false;
      say("on");
    });
    stream.addEventListener("row", (told) => showRow(told.data));
    stream.addEventListener("event", (told) => showEvent(told.data));
    stream.addEventListener("error", () => {
      say("off");
      if (stream?.readyState !== EventSource.CLOSED) return;
      setTimeout(again, AGAIN_WITHIN_MS * (0.5 + Math.random() / 2));
    });
  };
  const rest = () => {
    stream?.close();
    stream = undefined;
  };

  if (page?.dataset.stream && live) {
    // A hidden page rests: a browser has few connections to share among its tabs.
    document.addEventListener("visibilitychange", () => {
      looked = !document.hidden;
      if (document.hidden) rest();
      else if (!stream) listen();
    });
    addEventListener("pagehide", rest);
    if (!document.hidden) listen();
  }
  setInterval(allAgo, 30000);
  allAgo();

  // Copy and print, where the browser can.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
      button.textContent = button.dataset.done;
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
})();
