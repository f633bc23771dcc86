// The browser's worker for the phone's pages: the network first, what was kept where there is none. It keeps pages and what they load,
// never an answer of another sort, and forgets all pages when the login is over.
//
// What pages load is kept as one set, put away whole when a worker is installed: never the modules of two releases side by side. The server
// ends this file with a mark of the set, so that a new set is a new worker.

import { drain } from "/static/phone/sending.mjs";
import { again, wholeFile, wholePage } from "/static/whole.mjs";

const PAGES = "gridcall-pages";
const LOADED = "gridcall-loaded";
const PATIENCE_MS = 4000;
const MOST_PAGES = 60;
const LOADS = [
  "/static/colours.css",
  "/static/dark.css",
  "/static/phone/phone.css",
  "/static/phone/phone.mjs",
  "/static/phone/pending.mjs",
  "/static/phone/queue.mjs",
  "/static/phone/sending.mjs",
  "/static/phone/scan.mjs",
  "/static/phone/senses.mjs",
  "/static/whole.mjs",
  "/static/clock.mjs",
  "/static/drill.css",
  "/static/drill.mjs",
  "/static/icon.svg",
];
const PAGE = /^\/(w\/$|w\/cases\/[^/]+$|c\/[^/]+$)/;

self.addEventListener("install", (event) => {
  const fresh = LOADS.map((address) => new Request(address, { cache: "no-cache" }));
  event.waitUntil(caches.open(LOADED).then((cache) => cache.addAll(fresh)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, origin } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate" && PAGE.test(pathname)) event.respondWith(page(request, pathname, event));
  else if (LOADS.includes(pathname)) event.respondWith(first(request, pathname, LOADED, event));
});

self.addEventListener("message", (event) => {
  if (event.data.keep) event.waitUntil(keep(event.data.keep));
});

self.addEventListener("sync", (event) => {
  if (event.tag === "gridcall") event.waitUntil(drain());
});

async function page(request, pathname, event) {
  const answer = await first(request, pathname, PAGES, event);
  return answer.type === "error" ? nothingKept() : answer;
}

// From the network, a page kept for later; after PATIENCE_MS, or without a network, what was kept.
async function first(request, pathname, name, event) {
  const cache = await caches.open(name);
  const kept = await cache.match(pathname);
  const coming = fetch(request).then(async (answer) => {
    if (name === LOADED) return answer.ok ? wholeFile(answer) : answer;
    if (!answer.ok || answer.type !== "basic" || answer.redirected) {
      await forget(answer, pathname);
      return answer;
    }
    const words = await wholePage(answer);
    await cache.put(pathname, again(words, answer));
    return again(words, answer);
  });
  event.waitUntil(coming.catch(() => {}));
  const late = new Promise((resolve) => kept && setTimeout(resolve, PATIENCE_MS, kept));
  return Promise.race([coming, late]).catch(() => kept ?? Response.error());
}

// A login that is over takes all pages along; a link or a case that is gone, its own.
async function forget(answer, pathname) {
  const login = answer.status === 401 || (answer.type === "opaqueredirect" && pathname.startsWith("/w/"));
  if (login) await caches.delete(PAGES);
  else if (answer.status < 500) await (await caches.open(PAGES)).delete(pathname);
}

// Pages that a list names, each with a mark that changes when the page has.
async function keep(pages) {
  const cache = await caches.open(PAGES);
  for (const [address, mark] of pages) {
    const kept = await cache.match(address);
    if (kept?.headers.get("X-Mark") === mark) continue;
    const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) continue;
    const words = await wholePage(answer).catch(() => null);
    if (!words) continue;
    const marked = again(words, answer);
    marked.headers.set("X-Mark", mark);
    await cache.put(address, marked);
  }
  const known = await cache.keys();
  for (const request of known.slice(0, Math.max(0, known.length - MOST_PAGES))) await cache.delete(request);
}

function nothingKept() {
  const words = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><h1>没有网络 · No network</h1>";
  return new Response(words, { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } });
}
