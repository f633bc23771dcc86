// The phone's pages: buttons that work without a network, a page that says how old it is, and a worker that keeps it for later.

import { ask } from "../asked.mjs";
import { clocks, keepTime, msSince, startClock, tick, whenSeen } from "../clock.mjs";
import { wholePage } from "../whole.mjs";
import { keepPage, PAGES } from "./kept.mjs";
import { showPending } from "./pending.mjs";
import { shrunk } from "./photo.mjs";
import { put } from "./queue.mjs";
import { canScan, scanned } from "./scan.mjs";
import { drain } from "./sending.mjs";
import { place } from "./senses.mjs";

const FRESH_EVERY_MS = 10_000;
const PATIENCE_MS = 8000;
const PLACE_MS = 8000;
const PLACE_BESIDE_CODE_MS = 3000; // the code shows it already
const KEPT_CASES = 50;
const OLD_MS = 20_000; // after which what is shown counts as old, whatever the network says
const LOOK_MS = 1000;
const UPLOAD_MS = 3000; // for so long nobody is asked how things stand: what is being sent would change it
const SKEW = "gridcall-skew"; // of the server's clock against the phone's, for pages that were kept
const ALARM_BUZZ = [400, 150, 400, 150, 800];

const body = document.body;
const say = body.dataset;

let asOf = say.asOf;
let photo = null;
let making = null;

// Acts

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("action") === "/logout") globalThis.caches?.delete(PAGES);
  if (!form.dataset.step) return;
  event.preventDefault();
  act(form, event.submitter);
});

async function act(form, button) {
  if (form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-busy", "true");
  const at = Date.now() + skewMs(); // a phone may be a day off: the log wants the time it was
  const fields = Object.fromEntries([...new FormData(form)].filter(([name, value]) => name !== "token" && typeof value === "string"));
  if ("place" in form.dataset) {
    const fresh = document.getElementById("fresh");
    fresh.textContent = say.sayLocating;
    Object.assign(fields, await place(fields.code ? PLACE_BESIDE_CODE_MS : PLACE_MS));
  }
  const entry = {
    key: newKey(),
    who: say.who,
    base: say.base,
    of: say.of,
    title: say.title,
    step: form.dataset.step,
    label: (button ?? form.querySelector("button")).firstChild.textContent.trim(),
    device_at_ms: at,
    fields,
  };
  if (form.querySelector("[data-photo]") && (photo || making)) entry.photo = photo ?? (await making);
  try {
    await put(entry);
  } catch {
    complain(say.sayFull);
    settle(form, button);
    return;
  }
  complain("");
  form.closest("details")?.removeAttribute("open");
  if (form.closest("details")) form.reset();
  photo = making = null;
  await showPending();
  settle(form, button);
  navigator.serviceWorker?.ready.then((worker) => worker.sync?.register("gridcall")).catch(() => {});
  await sendNow();
}

function settle(form, button) {
  form.removeAttribute("aria-busy");
  button?.removeAttribute("aria-busy");
}

function complain(words) {
  const place = document.getElementById("complaint");
  place.textContent = words;
  place.hidden = !words;
}

// crypto.randomUUID is missing where a page has come without TLS.
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function sendNow() {
  const meanwhile = setTimeout(() => refresh().then(showPending), UPLOAD_MS);
  const { login } = await drain();
  clearTimeout(meanwhile);
  document.getElementById("login").hidden = !login;
  await asking; // asked before it was taken
  await refresh(); // first what has come of it: else the buttons would step back
  await showPending();
}

// The photo

document.addEventListener("change", async (event) => {
  if (!event.target.matches("[data-photo]")) return;
  const file = event.target.files[0];
  if (!file) return;
  making = shrunk(file);
  photo = await making;
  const label = event.target.closest("label");
  label.querySelector("img")?.remove();
  const words = label.querySelector("span");
  words.textContent = say.sayPhotoAgain;
  if (!photo) return;
  const shown = document.createElement("img");
  shown.alt = "";
  shown.src = URL.createObjectURL(photo);
  shown.addEventListener("load", () => URL.revokeObjectURL(shown.src));
  label.prepend(shown);
});

// The label on the asset: on a case's page it is the proof of being there, on the list it is the way to the case

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-scan]")) return;
  const code = await scanned();
  if (!code) return;
  const form = document.querySelector('form[data-step="arrive"][data-typed]');
  if (!form) return location.assign(`/a/${code}`);
  form.elements.code.value = code;
  form.requestSubmit();
});

async function offerScan() {
  document.body.toggleAttribute("data-scans", await canScan().catch(() => false));
}

// Freshness: what the page says is as old as the last question that the server has answered. Until the first answer nothing is said of it.

let asking = null;
let heard = clocks();

function refresh() {
  asking ??= fetched().finally(() => (asking = null));
  return asking;
}

async function fetched() {
  const asked = clocks();
  try {
    const answer = await ask(location.pathname + location.search, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (answer.redirected && !new URL(answer.url).pathname.startsWith(location.pathname)) {
      location.reload(); // to the login, or a case of one's own
      return;
    }
    if (answer.status >= 500) throw new Error(answer.status);
    if (!answer.ok) return location.reload();
    const words = await wholePage(answer);
    if (navigator.serviceWorker) keepPage(location.pathname, words, answer);
    replace(new DOMParser().parseFromString(words, "text/html"));
    heard = asked;
    verdict("live");
  } catch {
    verdict("lost");
  }
}

function look() {
  if (msSince(heard) > OLD_MS) verdict("lost");
}

function verdict(word) {
  const lost = word === "lost";
  body.dataset.verdict = word;
  const fresh = document.getElementById("fresh");
  const words = lost ? say.sayOffline.replace("{}", asOf) : `${say.sayLive} ${asOf}`;
  const short = lost ? asOf : words;
  if (fresh.textContent !== short) fresh.textContent = short;
  const banner = document.getElementById("offline");
  if (lost && banner.querySelector("b").textContent !== words) banner.querySelector("b").textContent = words;
  banner.hidden = !lost;
}

function replace(page) {
  if (acted(page) !== acted(document)) return location.reload(); // closed, or opened again: other buttons
  const article = document.querySelector("article.case");
  if (article) article.className = page.querySelector("article.case").className; // its level
  const calling = new Set([...document.querySelectorAll(".calls")].map((card) => card.dataset.case));
  asOf = page.body.dataset.asOf;
  const nowMs = Number(page.body.dataset.now);
  keepTime(nowMs);
  localStorage.setItem(SKEW, nowMs - Date.now());
  for (const part of page.querySelectorAll("[data-part]")) {
    const here = document.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!here || timeless(here) === timeless(part)) continue;
    const open = here.querySelector("details[open]");
    if (part.dataset.part === "more" && (open || here.contains(document.activeElement))) continue;
    const focused = document.activeElement?.closest("[data-case]")?.dataset.case;
    here.replaceWith(document.importNode(part, true));
    if (open) document.querySelector(`[data-part="${part.dataset.part}"] details`)?.setAttribute("open", "");
    if (focused) document.querySelector(`[data-case="${CSS.escape(focused)}"] a`)?.focus();
  }
  if ([...document.querySelectorAll(".calls")].some((card) => !calling.has(card.dataset.case))) {
    navigator.vibrate?.(ALARM_BUZZ);
  }
  tick();
  keepForLater();
}

const acted = (page) => page.querySelector("form[data-step]") !== null;

function timeless(part) {
  const copy = part.cloneNode(true);
  for (const place of copy.querySelectorAll("[data-by]")) {
    place.textContent = "";
    place.removeAttribute("class");
  }
  return copy.outerHTML;
}

// For later, without a network

async function keepForLater() {
  if (!navigator.serviceWorker) return;
  const cases = [...document.querySelectorAll("[data-keep]")].slice(0, KEPT_CASES);
  const pages = cases.map((link) => [link.getAttribute("href"), link.dataset.keep]);
  if (pages.length) (await navigator.serviceWorker.ready).active.postMessage({ keep: pages });
}

// A page that was kept says its age at once, and its promises count on as the phone's clock says.
function ageKept() {
  const nowMs = Date.now() + skewMs();
  if (localStorage.getItem(SKEW) === null || Math.abs(nowMs - Number(say.now)) < OLD_MS) return;
  keepTime(nowMs);
  verdict("lost");
}

const skewMs = () => Number(localStorage.getItem(SKEW)) || 0;

function registerWorker() {
  const scope = location.pathname.startsWith("/c/") ? "/c/" : "/w/";
  navigator.serviceWorker?.register("/w/worker.mjs", { scope, type: "module" }).catch(() => {});
}

ageKept();
startClock();
registerWorker();
offerScan();
showPending();
sendNow().then(() => {
  const scanned = document.querySelector("[data-at-once]:not([hidden])");
  if (scanned && !document.prerendering && document.querySelector("[data-stage]").dataset.stage === "accepted") scanned.requestSubmit();
});
setInterval(() => document.visibilityState === "visible" && sendNow(), FRESH_EVERY_MS);
setInterval(look, LOOK_MS);
addEventListener("online", sendNow);
addEventListener("offline", () => verdict("lost"));
whenSeen(() => {
  look();
  if (document.visibilityState === "visible") sendNow();
});
document.getElementById("pending").addEventListener("click", sendNow);
navigator.storage?.persist?.();
document.dispatchEvent(new Event("gridcall-acts")); // what was pressed before
