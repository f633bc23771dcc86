// A page of parts (one alarm, a case, the map, a list) brought up to date: fetches it again and replaces the parts that differ, and tries until it has
// them. A part that is as it was stays untouched; one in which somebody is at a field says that there is news, and takes it when he leaves the field. What was
// written or chosen and not sent stays in its field.

import { ask } from "./asked.mjs";
import { clocks, msSince, tick, whenSeen } from "./clock.mjs";
import { wholePage } from "./whole.mjs";

const PATIENCE_MS = 5000;
const RETRY_MS = 1000;
const OLD_MS = 12_000; // two askings of a page that is looked at, and some
const WAKING_MS = 3000; // a page that nobody looked at is brought up to date first
const FIELD = "input:not([type=hidden]), textarea, select";

const asSent = new Map(); // what the server last sent of each part; the clock changes the page's own

let asking = false;
let again = false;
let retry = null;
let known = { ...clocks(), asOf: document.body.dataset.asOf }; // how things stood when the parts were asked for last, and got
let seen = clocks(); // since when somebody looks

whenSeen(() => {
  seen = clocks();
  if (document.visibilityState === "visible") refreshParts();
});

// Since when the parts are as they are, if that is too long ago to call the page live; else null.
export function partsOldSince() {
  const old = document.querySelector("[data-part]") && msSince(known) > OLD_MS && msSince(seen) > WAKING_MS;
  return old ? known.asOf : null;
}

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
  const asked = clocks();
  const answer = await ask(location.pathname + location.search, {
    headers: { Accept: "text/html" },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.redirected || !answer.ok) return false; // to the login: the feed leads there
  const fresh = new DOMParser().parseFromString(await wholePage(answer), "text/html");
  replace(fresh);
  known = { ...asked, asOf: fresh.body.dataset.asOf };
  return true;
}

function replace(fresh) {
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const name = part.dataset.part;
    const place = document.querySelector(`[data-part="${name}"]`);
    const sent = timeless(part);
    if (!place) {
      asSent.set(name, sent);
      putIn(document.importNode(part, true), part);
      continue;
    }
    if (sent === (asSent.get(name) ?? timeless(place))) continue;
    if (writing(place)) {
      sayNewer(place);
      continue;
    }
    asSent.set(name, sent);
    const focused = place.contains(document.activeElement) ? named(document.activeElement) : "";
    const open = new Set([...place.querySelectorAll("details[open] > summary")].map(named));
    const now = document.importNode(part, true);
    for (const summary of now.querySelectorAll("details > summary")) {
      if (open.has(named(summary))) summary.parentElement.setAttribute("open", "");
    }
    carryOver(place, now);
    place.replaceWith(now);
    if (focused) refocus(now, focused);
  }
  for (const place of document.querySelectorAll("[data-part]")) {
    if (fresh.querySelector(`[data-part="${place.dataset.part}"]`)) continue;
    if (writing(place)) sayNewer(place);
    else place.remove();
  }
  for (const article of document.querySelectorAll("article[data-alarm], article[data-case]")) {
    article.className = fresh.querySelector("article[data-alarm], article[data-case]")?.className ?? article.className; // its level
  }
  tick();
}

// Somebody is at a field of its form.
function writing(place) {
  const field = document.activeElement;
  return place.contains(field) && field.matches(FIELD) && field.form && !field.closest("details:not([open])");
}

function sayNewer(place) {
  if (place.querySelector(".newer")) return;
  const said = document.createElement("p");
  said.className = "newer";
  said.setAttribute("role", "status");
  place.prepend(said);
  said.textContent = document.body.dataset.sayNewer;
}

document.addEventListener("focusout", ({ target, relatedTarget }) => {
  const stays = target.form && target.form === relatedTarget?.form; // at another field, or about to press its button
  if (!stays && document.querySelector(".newer")) refreshParts();
});

// What somebody has put into the fields of a part, into those of the part that takes its place.
function carryOver(place, now) {
  const put = new Map([...place.querySelectorAll(FIELD)].filter(changed).map((field) => [nameOf(field), field]));
  for (const field of now.querySelectorAll(FIELD)) {
    const before = put.get(nameOf(field));
    if (!before) continue;
    if (field.matches("[type=checkbox], [type=radio]")) field.checked = before.checked;
    else if ([...(field.options ?? [before])].some((one) => one.value === before.value)) field.value = before.value;
  }
}

function changed(field) {
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((one, at) => one.selected !== (one.defaultSelected || (at === 0 && !field.querySelector("[selected]"))));
  return field.value !== field.defaultValue;
}

function nameOf(field) {
  const chosen = field.matches("[type=checkbox], [type=radio]") ? field.value : "";
  return [field.form?.getAttribute("action"), field.name, chosen].join("|");
}

// A part that is new on the page, as of an alarm that has joined the case: after the one that it follows.
function putIn(now, part) {
  for (let one = part.previousElementSibling; one; one = one.previousElementSibling) {
    const before = one.dataset.part && document.querySelector(`[data-part="${one.dataset.part}"]`);
    if (before) return before.after(now);
  }
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
