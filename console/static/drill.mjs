// Whether somebody practises, asked anew while a page is open: a drill that begins or ends must not wait for a reload.

import { ask } from "./asked.mjs";

const EVERY_MS = 10_000;
const PATIENCE_MS = 8000;
const mark = document.getElementById("drill");

async function look() {
  const answer = await ask("/drills/now", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) return;
  const said = (await answer.json()).mark;
  if (mark.textContent.trim() !== said) mark.textContent = said;
  mark.hidden = !said;
}

if (mark) setInterval(() => document.hidden || look().catch(() => {}), EVERY_MS);
