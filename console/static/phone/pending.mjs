// Shows what is on the phone alone: how many acts wait, what of them concerns this case, and what was refused. The buttons go on from
// there, as if the server had heard of it.

import { refused, remove, waiting } from "./queue.mjs";

const AFTER = { accept: "accepted", arrive: "on_site", finish: "done", reject: "done" };

const say = document.body.dataset;

export async function showPending() {
  const mine = await waiting(say.who);
  const badge = document.getElementById("pending");
  badge.hidden = !mine.length;
  badge.textContent = say.sayPending.replace("{}", mine.length);
  navigator.setAppBadge?.(mine.length).catch(() => {});
  if (say.base) {
    const here = mine.filter((act) => act.base === say.base);
    fill("noted", here, noted);
    goOn(here);
  }
  fill("refusals", await refused(say.who), complaint);
}

function fill(id, acts, made) {
  const list = document.getElementById(id);
  const wanted = acts.map((act) => `${act.id}`).join(" ");
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.replaceChildren(...acts.map(made));
}

function noted(act) {
  const item = document.createElement("li");
  const time = new Date(act.device_at_ms).toTimeString().slice(0, 5);
  item.textContent = `${act.label} · ${say.sayKept.replace("{}", time)}`;
  return item;
}

function complaint(act) {
  const item = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = `${act.title} · ${act.label}: ${say.sayNotTaken.replace("{}", act.refused)}`;
  const seen = document.createElement("button");
  seen.className = "button";
  seen.textContent = say.saySeen;
  seen.addEventListener("click", () => remove(act.id).then(showPending));
  item.append(words, seen);
  return item;
}

// The stage that the case will have reached when everything is sent.
function goOn(acts) {
  const standing = document.querySelector("[data-stage]");
  const stage = acts.reduce((reached, act) => AFTER[act.step] ?? reached, standing.dataset.stage);
  for (const place of document.querySelectorAll("[data-when]")) {
    place.hidden = !place.dataset.when.split(" ").includes(stage);
  }
}
