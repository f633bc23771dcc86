// The live page: listens to the server's feed and hands each message to the module whose affair it is.
//
// A message is a step (rows that are new, changed or gone), a list (all rows) or a beat (how far the page may be
// believed). The browser reconnects by itself and says how far it got; when it gives up, this module asks why.

import { keepTime, startClock } from "./clock.mjs";
import { watchForms } from "./forms.mjs";
import { Freshness } from "./fresh.mjs";
import { Rows } from "./rows.mjs";
import { Bell } from "./bell.mjs";
import { refreshParts } from "./parts.mjs";

const RETRY_MS = 2000;
const CHART_EVERY_MS = 5000;

const body = document.body;
const article = document.querySelector("[data-alarm]");
const list = document.getElementById("rows");

const bell = new Bell(document.getElementById("bell"));
const fresh = new Freshness(body);
const rows = list && new Rows(list, bell);

function connect() {
  const source = new EventSource(`/feed?after=${body.dataset.seq}`);
  source.addEventListener("step", (event) => take(event, (message) => step(message)));
  source.addEventListener("list", (event) => take(event, (message) => whole(message)));
  source.addEventListener("beat", (event) => beat(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) askWhy();
  });
}

function take(event, use) {
  use(JSON.parse(event.data));
  body.dataset.seq = event.lastEventId; // for the next connection, should the browser give this one up
}

function step(message) {
  rows?.step(message);
  if (!rows) bell.hear(message);
  const mine = (entry) => entry.id === article?.dataset.alarm;
  if (article && (message.now.some(mine) || message.gone.includes(article.dataset.alarm))) refreshParts();
}

function whole(message) {
  rows?.whole(message);
  if (article) refreshParts();
}

function beat(message) {
  if (!fresh.hear(message)) return;
  keepTime(message.now_ms);
  put("edges", message.edges);
  put("calm", message.calm);
}

const shown = new Map();

function put(id, html) {
  const place = document.getElementById(id);
  if (!place || shown.get(id) === html) return;
  shown.set(id, html);
  place.innerHTML = html;
}

// The browser gave up: either the login has ended, or the server is away and comes back.
async function askWhy() {
  try {
    const answer = await fetch("/session", { cache: "no-store" });
    if (answer.status === 401) {
      location.assign(`/login?to=${encodeURIComponent(location.pathname)}`);
      return;
    }
  } catch {
    // away: try again below
  }
  setTimeout(connect, RETRY_MS);
}

startClock();
watchForms(body.dataset.sayFailed, refreshParts);
connect();
if (article) {
  setInterval(() => {
    if (document.visibilityState === "visible") refreshParts("[data-refresh]");
  }, CHART_EVERY_MS);
}
