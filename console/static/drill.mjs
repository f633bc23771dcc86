// Whether somebody practises, asked anew while a page is open: a drill that begins or ends must not wait for a reload.

const EVERY_MS = 10_000;
const mark = document.getElementById("drill");

async function look() {
  const answer = await fetch("/drills/now", { headers: { accept: "application/json" }, cache: "no-store" });
  if (!answer.ok) return;
  const said = (await answer.json()).mark;
  if (mark.textContent.trim() !== said) mark.textContent = said;
  mark.hidden = !said;
}

if (mark) setInterval(() => document.hidden || look().catch(() => {}), EVERY_MS);
