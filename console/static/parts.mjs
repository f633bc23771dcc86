// A page of parts (one alarm, a case, the map, a list) brought up to date: fetches it again and replaces the parts that differ, and tries until it has
// them. A part that is as it was stays untouched, and with it a choice half made in its form.

import { tick } from "./clock.mjs";

const PATIENCE_MS = 5000;
const RETRY_MS = 1000;

const asSent = new Map(); // what the server last sent of each part; the clock changes the page's own

let asking = false;
let again = false;
let retry = null;

export async function refreshParts() {
  if (!document.querySelector("[data-part]")) return;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  again = false;
  clearTimeout(retry);
  let done = false;
  try {
    done = await fetched();
  } catch {
    // away, or too slow
  }
  asking = false;
  if (again) refreshParts();
  else if (!done) retry = setTimeout(refreshParts, RETRY_MS);
}

async function fetched() {
  const answer = await fetch(location.pathname + location.search, {
    headers: { Accept: "text/html" },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.redirected) return true; // to the login: the feed leads there
  if (answer.ok) replace(await answer.text());
  return answer.ok;
}

function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const name = part.dataset.part;
    const place = document.querySelector(`[data-part="${name}"]`);
    const sent = timeless(part);
    if (!place || sent === (asSent.get(name) ?? timeless(place))) continue;
    if (place.querySelector("details[open] form")?.contains(document.activeElement)) continue; // somebody is filling it in
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
