// One alarm's page brought up to date: fetches it again and replaces the parts that differ. A part that is as it was
// stays untouched, and with it a choice half made in its form.

import { tick } from "./clock.mjs";

const asSent = new Map(); // what the server last sent of each part; the clock changes the page's own

let asking = false;
let again = null;

export async function refreshParts(which = "[data-part]") {
  if (!document.querySelector("[data-alarm]")) return;
  if (asking) {
    again = again === "[data-part]" ? again : which;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.ok && !answer.redirected) replace(await answer.text(), which);
  } catch {
    // away: the feed comes back first and brings us here again
  } finally {
    asking = false;
    const next = again;
    again = null;
    if (next) refreshParts(next);
  }
}

function replace(html, which) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll(which)) {
    const name = part.dataset.part;
    const place = document.querySelector(`[data-part="${name}"]`);
    const sent = timeless(part);
    if (!place || sent === (asSent.get(name) ?? timeless(place))) continue;
    asSent.set(name, sent);
    const focused = place.contains(document.activeElement);
    place.replaceWith(document.importNode(part, true));
    if (focused) document.querySelector(`[data-part="${name}"] :is(button, a, input)`)?.focus();
  }
  tick();
}

// The part without what only counts on.
function timeless(part) {
  const copy = part.cloneNode(true);
  for (const place of copy.querySelectorAll("[data-by], [data-since]")) {
    place.textContent = "";
    place.removeAttribute("class");
  }
  return copy.outerHTML;
}
