// The guest pages work without this file. With it, a tap cannot happen twice by accident,
// the confirmation follows the lock without reloading, and a phone without signal says so.
"use strict";
(() => {
  const POLL_MS = 2000; // without a stream
  const WATCHDOG_MS = 8000; // beside a stream, which may die silently
  const TRIES = 90; // then rest until the guest comes back to the page
  const GIVE_UP_MS = 6000; // on one request
  const TAP_MS = 12000; // then a tap may be repeated: its attempt makes that safe
  const STALE_MS = 20000; // a key's page older than this is fetched anew when looked at
  const signal = document.getElementById("signal");
  const say = (name) => {
    const text = name ? signal.dataset[name] : "";
    if (signal.textContent !== text) signal.textContent = text;
  };

  /** Put the elements `ids` of `html` in the place of ours; nothing where the first is missing. */
  const swap = (html, ids) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    if (!fresh.getElementById(ids[0])) return false; // a hotel's sign-in page, say
    const focused = document.activeElement?.id;
    for (const id of ids) {
      const here = document.getElementById(id);
      const there = fresh.getElementById(id);
      if (here.outerHTML === there?.outerHTML) continue;
      // The element itself stays, so that a screen reader goes on listening to it.
      for (const { name, value } of there.attributes) here.setAttribute(name, value);
      here.replaceChildren(...there.childNodes);
    }
    if (focused) document.getElementById(focused)?.focus();
    document.title = `${document.querySelector("h1").textContent} · Latchkey`;
    return true;
  };

  /** A page's text; null where the server answered with an error. Throws where nobody answered. */
  const ask = async (url) => {
    const answer = await fetch(url, {
      headers: { Accept: "text/html" },
      cache: "no-store",
      signal: AbortSignal.timeout?.(GIVE_UP_MS),
    });
    return answer.ok ? answer.text() : null;
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
        const html = await ask(status.dataset.page);
        if (html !== null && !late()) show(html);
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
    const resume = () => {
      if (document.hidden) return rest();
      tries = 0;
      listen();
      // "Open" was true then: ask whether it still is.
      if (!final() || status.dataset.state === "opened") poll();
    };
    document.addEventListener("visibilitychange", resume);
    addEventListener("online", resume);
    addEventListener("offline", () => final() || say("lost"));
    listen();
    next();
  };

  /** Keep the key's page fresh, and one tap one tap. */
  const guard = (key) => {
    let busy;
    let loaded = Date.now();
    const refresh = async () => {
      try {
        const html = await ask(location.href);
        if (html !== null && !busy && swap(html, ["key"])) loaded = Date.now();
        say(null);
      } catch {
        say("lost");
      }
    };
    const setButtons = (disabled, form, text) => {
      for (const button of key.querySelectorAll("button")) button.disabled = disabled;
      form.querySelector("span").textContent = text;
    };
    let undo = () => {};
    document.addEventListener("submit", (event) => {
      if (busy) return event.preventDefault();
      const form = event.target;
      const label = form.querySelector("span").textContent;
      undo = () => {
        busy = clearTimeout(busy);
        setButtons(false, form, label);
      };
      busy = setTimeout(undo, TAP_MS);
      setButtons(true, form, form.querySelector("button").dataset.busy);
    });
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      undo();
      refresh();
    });
    const resume = () => {
      if (!document.hidden && !busy && Date.now() - loaded > STALE_MS) refresh();
    };
    document.addEventListener("visibilitychange", resume);
    addEventListener("online", refresh);
    addEventListener("offline", () => say("lost"));
  };

  if (document.getElementById("status")) follow(document.getElementById("status"));
  if (document.getElementById("key")) guard(document.getElementById("key"));
})();
