// A page of parts (one alarm, a case, the map, a list) brought up to date: fetches it again and replaces the parts that differ, and tries until it has
// them. A part that is as it was stays untouched, and with it a choice half made in its form.

import { tick } from "./clock.mjs";
import { wholePage } from "./whole.mjs";

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
  if (answer.ok) replace(await wholePage(answer));
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
    const focused = place.contains(document.activeElement) ? named(document.activeElement) : "";
    const open = new Set([...place.querySelectorAll("details[open] > summary")].map(named));
    const now = document.importNode(part, true);
    for (const summary of now.querySelectorAll("details > summary")) {
      if (open.has(named(summary))) summary.parentElement.setAttribute("open", "");
    }
    place.replaceWith(now);
    if (focused) refocus(now, focused);
  }
  tick();
}

// Where somebody was with the keyboard, he is again; where that is gone, at the beginning of the part.
function refocus(part, name) {
  const found = [...part.querySelectorAll("button, a, input:not([type=hidden]), select, textarea, summary")];
  (found.find((one) => named(one) === name) ?? found[0])?.focus();
}

// By what a control is found again in a page that is drawn anew.
function named(control) {
  const its = ["href", "name", "value", "aria-label"].map((one) => control.getAttribute(one) ?? "");
  const act = control.form?.getAttribute("action") ?? "";
  return [control.tagName, act, ...its, control.matches("summary, button") ? control.textContent.trim() : ""].join("|");
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
