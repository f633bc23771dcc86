// The live page: listens to the server's feed and hands each message to the module whose affair it is.
//
// A message is a step (rows that are new, changed or gone), a list (all rows) or a beat (how far the page may be
// believed).

import { Bell } from "./bell.mjs";
import { Calls } from "./calls.mjs";
import { listenToKeys } from "./keys.mjs";
import { keepTime, startClock } from "./clock.mjs";
import { Feed } from "./feed.mjs";
import { watchForms } from "./forms.mjs";
import { Flood } from "./flood.mjs";
import { Freshness } from "./fresh.mjs";
import { refreshParts } from "./parts.mjs";
import { Rows } from "./rows.mjs";

const PARTS_EVERY_MS = 5000;

const body = document.body;
const article = document.querySelector("[data-alarm], [data-case]");
const held = new Set(article?.dataset.held?.split(" ") ?? [article?.dataset.alarm]);
const list = document.getElementById("rows");

const calls = new Calls(body, new Bell(document.getElementById("bell")));
const fresh = new Freshness(body);
const rows = list && new Rows(list);
const flood = list && new Flood(body);

const uses = {
  step(message) {
    calls.step(message);
    rows?.step(message);
    const mine = (entry) => held.has(entry.id) || (entry.case && entry.case === article?.dataset.case);
    if (!article || message.now.some(mine) || message.gone.some((id) => held.has(id))) refreshParts();
  },
  list(message) {
    calls.whole(message);
    rows?.whole(message);
    refreshParts();
  },
  beat(message, ageMs) {
    if (!fresh.hear(message, ageMs)) return;
    keepTime(message.now_ms);
    put("edges", message.edges);
    put("calm", message.calm);
    put("flood", message.flood);
    flood?.show();
  },
};

const shown = new Map();

function put(id, html) {
  const place = document.getElementById(id);
  if (!place || shown.get(id) === html) return;
  shown.set(id, html);
  place.innerHTML = html;
}

// On a narrow screen the rooms are a strip that moves sideways: the one where we are is in sight, and so is the one that has the focus.
const intoSight = (room) => room?.scrollIntoView({ block: "nearest", inline: "center" });
const way = document.querySelector(".rooms");
intoSight(way?.querySelector("[aria-current]"));
way?.addEventListener("focusin", ({ target }) => intoSight(target));
startClock();
listenToKeys();
watchForms(body.dataset.sayFailed, refreshParts);
new Feed(body.dataset, (kind, message, ageMs) => uses[kind](message, ageMs));
setInterval(() => {
  if (document.visibilityState === "visible") refreshParts();
}, PARTS_EVERY_MS);
