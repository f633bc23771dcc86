// Pages of the plant: a part that only shows is loaded anew every few seconds; what could not be loaded anew turns visibly old.
// Nothing is replaced while somebody is writing in it. Also: one box that ticks all, and a question before what can't be undone.

import { ask } from "./asked.mjs";
import { clocks, msSince, whenSeen } from "./clock.mjs";
import { wholePage } from "./whole.mjs";

const asOf = document.querySelector(".as-of");
const part = document.querySelector("[data-fresh]");
const everyMs = part ? Number(part.dataset.fresh) * 1000 : 0;
const PATIENCE_MS = 8000;

let loaded = clocks(); // when it was asked for
let asking = false; // one question at a time, so that no old answer comes after a newer one

async function refresh() {
  if (asking || document.hidden || part.contains(document.activeElement)) return;
  asking = true;
  try {
    await load();
  } catch {
    // away, or too slow
  }
  asking = false;
}

async function load() {
  const asked = clocks();
  const answer = await ask(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign(answer.url);
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await wholePage(answer), "text/html");
  const now = page.querySelector("[data-fresh]");
  if (!now) return location.reload();
  if (part.contains(document.activeElement)) return;
  part.replaceChildren(...now.childNodes);
  asOf.firstElementChild.textContent = page.querySelector(".as-of").firstElementChild.textContent;
  loaded = asked;
}

function age() {
  const old = msSince(loaded) > (everyMs ? 3 * everyMs : 300_000);
  asOf.classList.toggle("old", old);
  asOf.title = old ? asOf.dataset.old : "";
  document.body.classList.toggle("old-page", old && everyMs > 0);
}

if (asOf) {
  setInterval(age, 1000);
  whenSeen(age);
}
if (part) {
  setInterval(refresh, everyMs);
  whenSeen(refresh);
}

document.addEventListener("change", (event) => {
  const name = event.target.dataset?.all;
  if (!name) return;
  for (const box of event.target.form.querySelectorAll(`[name="${name}"]`)) box.checked = event.target.checked;
});
document.addEventListener("click", (event) => {
  const sure = event.target.closest("[data-sure]");
  if (sure && !confirm(sure.dataset.sure)) event.preventDefault();
});

for (const one of document.querySelectorAll(".needs-script")) one.hidden = false;
document.querySelector("[data-print]")?.addEventListener("click", () => print());
document.addEventListener("change", async (event) => {
  const into = event.target.dataset?.into;
  if (into && event.target.files.length) document.getElementById(into).value = await event.target.files[0].text();
});
