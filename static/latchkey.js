// The guest pages work without this file. With it, a tap that the network lost is sent again
// (as the same tap), the confirmation follows the lock without reloading, and a phone without
// signal says so.
"use strict";
(() => {
  const POLL_MS = 2000; // without a stream
  const WATCHDOG_MS = 8000; // beside a stream, which may die silently
  const TRIES = 90; // then rest until the guest comes back to the page
  const GIVE_UP_MS = 6000; // on one request
  const SLOW_MS = 12000; // on a try of a tap
  const TAP_MS = 30000; // on all tries of a tap; the late ones only find out what became of it
  const PAUSE_MS = 1000; // between two tries of a tap
  const STALE_MS = 20000; // a key's page older than this is fetched anew when looked at
  const byId = (id) => document.getElementById(id);
  const here = () => location.pathname + location.search;
  const signal = byId("signal");
  const say = (name) => {
    const text = name ? signal.dataset[name] : "";
    if (signal.textContent !== text) signal.textContent = text;
  };
  /** What the server's clock showed when a page of its came, and the phone's clocks then: one
   *  stops while the phone sleeps, the other may be set anew. */
  const clocks = () => [performance.now(), Date.now()];
  const came = performance.getEntriesByType("navigation")[0]?.responseStart || performance.now();
  let known = { server: +signal.dataset.now, at: [came, performance.timeOrigin + came] };
  /** The server's time at `moment`, or a little before it: a tap may seem older, never newer. */
  const serverTime = (moment) =>
    Math.floor(known.server + Math.min(...moment.map((clock, i) => clock - known.at[i])));
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  /** A page's text and where it is; null where the server answered with an error.
   *  Throws where nobody answered, or somebody else did: a hotel's sign-in page, say. */
  const ask = async (url, options) => {
    const answer = await fetch(url, {
      headers: { Accept: "text/html" },
      cache: "no-store",
      signal: AbortSignal.timeout?.(GIVE_UP_MS),
      ...options,
    });
    const at = clocks();
    const html = await answer.text();
    const theirs = parse(html).getElementById("signal");
    if (!theirs) throw new TypeError("not our page");
    known = { server: +theirs.dataset.now, at };
    const { ok, status } = answer;
    return { html, ok, status, url: answer.redirected ? answer.url : null };
  };

  /** Tell the times of the key in the phone's own zone as well, where that is another. */
  const tellOwnTimes = () => {
    for (const place of document.querySelectorAll("[data-zone]")) {
      const lang = document.documentElement.lang.replace(/^en$/, "en-GB"); // as the server does
      const day = { weekday: "long", day: "numeric", month: "long" };
      const write = (timeZone) =>
        new Date(place.querySelector("time").dateTime).toLocaleString(lang, {
          ...day, hour: "2-digit", minute: "2-digit", timeZone,
        });
      const own = write();
      if (own === write(place.dataset.zone) || place.querySelector("small")) continue;
      const said = document.createElement("small");
      said.textContent = `${place.closest("[data-own]").dataset.own}: ${own}`;
      place.append(said);
    }
  };

  /** Put the elements `ids` of `html` in the place of ours; nothing where the first is missing. */
  const swap = (html, ids) => {
    const fresh = parse(html);
    if (!fresh.getElementById(ids[0])) return false;
    const focused = document.activeElement?.id;
    for (const id of ids) {
      const ours = byId(id);
      const theirs = fresh.getElementById(id);
      if (ours.outerHTML === theirs?.outerHTML) continue;
      // The element itself stays, so that a screen reader goes on listening to it.
      for (const { name, value } of theirs.attributes) ours.setAttribute(name, value);
      ours.replaceChildren(...theirs.childNodes);
    }
    if (focused) byId(focused)?.focus();
    const brand = document.title.slice(document.title.lastIndexOf(" · "));
    document.title = document.querySelector("h1").textContent + brand;
    tellOwnTimes();
    return true;
  };

  /** Follow one open command to its end. */
  const follow = (status) => {
    let stream, timer;
    let tries = 0;
    let asking = false;
    const final = () => status.dataset.final === "true";
    const rest = () => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    };
    const show = (html) => {
      if (swap(html, ["status", "facts"])) say(null);
    };
    const next = () => {
      clearTimeout(timer);
      if (final() || document.hidden) return rest();
      if (tries >= TRIES) {
        rest();
        return say("stopped");
      }
      timer = setTimeout(poll, stream?.readyState === EventSource.OPEN ? WATCHDOG_MS : POLL_MS);
    };
    const poll = async () => {
      if (asking) return;
      asking = true;
      tries += 1;
      const wasFinal = final();
      const late = () => final() && !wasFinal; // the stream was faster
      try {
        const page = await ask(status.dataset.page);
        if (page.ok && !late()) show(page.html);
      } catch {
        if (!late()) say("lost");
      }
      asking = false;
      next();
    };
    const listen = () => {
      if (stream || final() || !status.dataset.stream) return;
      stream = new EventSource(status.dataset.stream);
      stream.addEventListener("state", (event) => {
        show(event.data);
        next();
      });
      stream.addEventListener("error", next);
    };
    listen();
    next();
    return {
      looked: () => {
        if (document.hidden) return rest();
        tries = 0;
        listen();
        // "Open" was true then: ask whether it still is.
        if (!final() || status.dataset.state === "opened") poll();
      },
      lost: () => final() || say("lost"),
    };
  };

  /** Keep the key's page fresh, and send its taps. */
  const keep = (key) => {
    let busy = false;
    let loaded = Date.now();
    const refresh = async () => {
      try {
        const page = await ask(here());
        if (page.ok && !busy && swap(page.html, ["key"])) loaded = Date.now();
        if (!busy) say(null);
      } catch {
        if (!busy) say("lost");
      }
    };
    /** The page that answers a tap; null where none came in time. Every try is the same tap,
     *  and says when that was, so that the server refuses one that was long on its way. */
    const send = async (form) => {
      const tapped = clocks();
      const deadline = Date.now() + TAP_MS;
      const body = new URLSearchParams(new FormData(form));
      let refused = false;
      do {
        body.set("tappedAt", serverTime(tapped));
        try {
          const page = await ask(form.action, {
            method: "POST",
            body,
            signal: AbortSignal.timeout?.(SLOW_MS),
          });
          // Too late, perhaps only by a clock that slept: its answer has told us the time.
          if (page.status !== 409 || refused) return page;
          refused = true;
        } catch {
          say("retrying");
          await new Promise((resolve) => {
            setTimeout(resolve, PAUSE_MS);
          });
        }
      } while (Date.now() < deadline);
      return null;
    };
    const tap = async (form) => {
      const label = form.querySelector("span");
      const said = label.textContent;
      const buttons = [...key.querySelectorAll("button")];
      busy = true;
      label.textContent = form.querySelector("button").dataset.busy;
      for (const button of buttons) button.disabled = true;
      const page = await send(form);
      busy = false;
      if (page) return turn(page);
      say("unsent");
      label.textContent = said;
      for (const button of buttons) button.disabled = false;
    };
    return {
      tap: (event) => {
        if (busy) return event.preventDefault();
        if (event.target.method !== "post") return;
        event.preventDefault();
        tap(event.target);
      },
      looked: () => {
        if (!document.hidden && !busy && Date.now() - loaded > STALE_MS) refresh();
      },
      found: refresh,
      lost: () => busy || say("lost"),
    };
  };

  let page; // what the page that is shown does
  let shown = here();
  const start = () => {
    tellOwnTimes();
    page = byId("status") ? follow(byId("status")) : byId("key") ? keep(byId("key")) : {};
  };

  /** Go on to the page that answered a tap, as a browser would. */
  const turn = ({ html, url }) => {
    const fresh = parse(html);
    byId("main").replaceWith(fresh.getElementById("main"));
    document.title = fresh.title;
    if (url) history.pushState(null, "", url);
    shown = here();
    say(null);
    scrollTo(0, 0);
    const heading = document.querySelector("h1");
    heading.tabIndex = -1;
    heading.focus();
    start();
  };

  document.addEventListener("submit", (event) => page.tap?.(event));
  document.addEventListener("visibilitychange", () => page.looked?.());
  addEventListener("online", () => (page.found ?? page.looked)?.());
  addEventListener("offline", () => page.lost?.());
  addEventListener("pageshow", (event) => event.persisted && (page.found ?? page.looked)?.());
  addEventListener("popstate", () => here() !== shown && location.reload());
  start();
})();
