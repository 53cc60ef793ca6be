// Keeps what a page shows up to date, and patients' data no longer than they may be seen. Pages are whole without it.
"use strict";
(() => {
  const seconds = Number(document.body.dataset.liveSeconds || 0);
  const pulse = document.getElementById("pulse");
  if (!seconds || !pulse) return;
  const time = () => new Date().toLocaleTimeString();
  let last = time();
  let ended = false;

  // What a key press or a screen reader is at stays where it is.
  const place = (element) => {
    if (!element) return null;
    if (element.id) return "#" + CSS.escape(element.id);
    const href = element.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : null;
  };

  // Changes only what differs, so that a line nobody asked for anything is not drawn anew: elements with an
  // id are found by it wherever they moved to, others by their place. What a person opened stays open.
  const patch = (old, next) => {
    if (old.isEqualNode(next)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = next.nodeValue;
      return;
    }
    const theirs = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && !theirs(name)) old.removeAttribute(name);
    for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    const wanted = new Set([...next.children].map((child) => child.id).filter(Boolean));
    let at = old.firstChild;
    for (const fresh of [...next.childNodes]) {
      // What is not wanted any more makes room, so that those after it need not move.
      while (at && at.id && !wanted.has(at.id)) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      const known = fresh.id ? kept.get(fresh.id) : at && !at.id && at.nodeName === fresh.nodeName ? at : null;
      if (!known || known.nodeName !== fresh.nodeName) {
        old.insertBefore(document.adoptNode(fresh), at);
      } else {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        patch(known, fresh);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const take = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const region of document.querySelectorAll("[data-live][id]")) {
      const next = fresh.getElementById(region.id);
      if (!next) continue;
      const focused = document.activeElement;
      const inside = region.contains(focused) ? place(focused) : null;
      patch(region, next);
      if (inside && document.activeElement !== focused) region.querySelector(inside)?.focus({ preventScroll: true });
    }
  };

  const say = (text, late) => {
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.classList.toggle("late", late);
  };

  const ask = async () => {
    if (ended || document.hidden) return;
    try {
      const answer = await fetch(location.href, {
        headers: { "x-wardgate-live": "1" }, redirect: "error", cache: "no-store", credentials: "same-origin",
      });
      if (answer.status === 401) {
        ended = true;
        say(`Your session has ended. What you see is from ${last}. Load the page anew to sign in.`, true);
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      take(await answer.text());
      last = time();
      say(`Up to date. Refreshes every ${seconds} s.`, false);
    } catch {
      say(`No answer. What you see is from ${last}.`, true);
    }
  };

  setInterval(ask, seconds * 1000);
  document.addEventListener("visibilitychange", ask);
})();

// Patients' data leave a page with the session that they were shown in, and stay in no copy that the browser keeps of it.
(() => {
  const shown = document.getElementById("resources");
  if (!shown) return;
  const until = Date.now() + Number(shown.dataset.seconds) * 1000;
  const clear = () => {
    if (!shown.dataset.cleared) return;
    const said = document.createElement("p");
    said.setAttribute("role", "status");
    said.textContent = shown.dataset.cleared;
    delete shown.dataset.cleared;
    shown.replaceChildren(said);
  };
  const ask = async () => {
    if (Date.now() >= until) return clear();
    try {
      const answer = await fetch("/panel/pulse", {
        headers: { "x-wardgate-live": "1" }, redirect: "error", cache: "no-store", credentials: "same-origin",
      });
      if (answer.status === 401) clear();
    } catch {
      // Without an answer the time says when it is over.
    }
  };
  setInterval(ask, 5000);
  document.addEventListener("visibilitychange", ask);
  addEventListener("pagehide", clear);
})();
