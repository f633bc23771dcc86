// The browser's worker for the phone's pages: the network first, what was kept where there is none. It keeps pages and what they load,
// never an answer of another sort, and forgets all pages when the login is over.
//
// What pages load is kept as one set, put away whole when a worker is installed: never the modules of two releases side by side. The server
// ends this file with the mark of the set (MARK), so that a new set is a new worker, and what somebody else gave in its stead is none.

import { drain } from "/static/phone/sending.mjs";
import { ask } from "/static/asked.mjs";
import { keepPage, PAGES } from "/static/phone/kept.mjs";
import { again, isWhole, madeAt, wholeFile, wholePage } from "/static/whole.mjs";

const LOADED = "gridcall-loaded";
const PATIENCE_MS = 4000;
const MOST_PAGES = 60;
const LOADS = [
  "/static/colours.css",
  "/static/dark.css",
  "/static/phone/phone.css",
  "/static/phone/early.js",
  "/static/phone/phone.mjs",
  "/static/phone/pending.mjs",
  "/static/phone/photo.mjs",
  "/static/phone/kept.mjs",
  "/static/phone/queue.mjs",
  "/static/phone/sending.mjs",
  "/static/phone/scan.mjs",
  "/static/phone/senses.mjs",
  "/static/asked.mjs",
  "/static/whole.mjs",
  "/static/clock.mjs",
  "/static/drill.css",
  "/static/drill.mjs",
  "/static/icon.svg",
];
const oldPages = new Set(); // clients that were given a page that was kept: what it loads comes from here at once
const PAGE = /^\/(w\/$|w\/cases\/[^/]+$|c\/[^/]+$)/;

self.addEventListener("install", (event) => {
  event.waitUntil(putAway());
  self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, origin } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate" && PAGE.test(pathname)) event.respondWith(page(request, pathname, event));
  else if (LOADS.includes(pathname)) event.respondWith(load(request, pathname, event));
});

self.addEventListener("message", (event) => {
  if (event.data.keep) event.waitUntil(keep(event.data.keep));
});

self.addEventListener("sync", (event) => {
  if (event.tag === "gridcall") event.waitUntil(drain());
});

// Whole, and as the server has marked it: else nothing is put away, and a later visit tries again.
async function putAway() {
  const loaded = await Promise.all(LOADS.map((address) => fetch(address, { cache: "no-cache" }).then(wholeFile)));
  const bodies = await Promise.all(loaded.map((answer) => answer.clone().blob()));
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(bodies).arrayBuffer()));
  if ([...sum].map((byte) => byte.toString(16).padStart(2, "0")).join("") !== MARK) throw new Error("not one set");
  const cache = await caches.open(LOADED);
  await Promise.all(loaded.map((answer, at) => cache.put(LOADS[at], answer)));
}

async function page(request, pathname, event) {
  const cache = await caches.open(PAGES);
  const kept = await cache.match(pathname);
  const answer = await first(fetch(request).then((one) => judged(one, pathname, kept)), kept, event);
  if (answer === kept) oldPages.add(event.resultingClientId);
  return answer.type === "error" ? nothingKept() : answer;
}

async function load(request, pathname, event) {
  const kept = await (await caches.open(LOADED)).match(pathname);
  if (kept && oldPages.has(event.clientId)) return kept;
  return first(fetch(request).then(wholeFile), kept, event);
}

// From the network; after PATIENCE_MS, or without a network, what was kept.
function first(coming, kept, event) {
  event.waitUntil(coming.catch(() => {}));
  const late = new Promise((resolve) => kept && setTimeout(resolve, PATIENCE_MS, kept));
  return Promise.race([coming, late]).catch(() => kept ?? Response.error());
}

// A page for later; or, where somebody else answers, or our server can't, the one that was kept.
async function judged(answer, pathname, kept) {
  if (answer.status >= 500) return kept ?? answer;
  if (!answer.ok || answer.type !== "basic" || answer.redirected) return turnedAway(answer, pathname, kept);
  const words = await answer.text();
  if (isWhole(words)) await keepPage(pathname, words, answer);
  else if (kept || !words || madeAt(words)) throw new TypeError("the page is cut off, or not ours");
  return again(words, answer);
}

// A login that is over takes all pages along; a link or a case that is gone, its own. Anybody may answer so: it counts when the server, asked
// once more, says the same.
async function turnedAway(answer, pathname, kept) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const sure = await ask(pathname, { headers: { Accept: "text/html" }, signal }).catch(() => null);
  if (sure?.redirected && new URL(sure.url).pathname === "/login") await caches.delete(PAGES);
  else if (sure?.redirected || [403, 404, 410].includes(sure?.status)) await (await caches.open(PAGES)).delete(pathname);
  else return kept ?? answer;
  return answer;
}

// Pages that a list names, each with a mark that changes when the page has.
async function keep(pages) {
  const cache = await caches.open(PAGES);
  for (const [address, mark] of pages) {
    const kept = await cache.match(address);
    if (kept?.headers.get("X-Mark") === mark) continue;
    const answer = await ask(address, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) continue;
    const words = await wholePage(answer).catch(() => null);
    if (!words) continue;
    const marked = again(words, answer);
    marked.headers.set("X-Mark", mark);
    await keepPage(address, words, marked);
  }
  const known = await cache.keys();
  for (const request of known.slice(0, Math.max(0, known.length - MOST_PAGES))) await cache.delete(request);
}

function nothingKept() {
  const words = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><h1>没有网络 · No network</h1>";
  return new Response(words, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}
