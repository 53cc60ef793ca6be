// Keeps what a page shows up to date. Pages are whole without it.
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

  const take = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const region of document.querySelectorAll("[data-live][id]")) {
      const next = fresh.getElementById(region.id);
      if (!next || region.isEqualNode(next)) continue;
      const inside = region.contains(document.activeElement) ? place(document.activeElement) : null;
      region.className = next.className;
      region.replaceChildren(...document.adoptNode(next).childNodes);
      if (inside) region.querySelector(inside)?.focus({ preventScroll: true });
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
