// Counts on what the server has said: time left to a promise, time since an alarm. The server's clock, not ours.

let offsetMs = Number(document.body.dataset.now) - performance.now();

export function keepTime(serverNowMs) {
  offsetMs = serverNowMs - performance.now();
}

// Two clocks of this browser: the steady one may stand still while a computer sleeps, the other may be set.
export const clocks = () => ({ steady: performance.now(), wall: Date.now() });
export const msSince = ({ steady, wall }) => Math.max(performance.now() - steady, Math.abs(Date.now() - wall));

// A tab that was frozen, kept for the way back, or hidden, is about to be seen again: before its timers know.
export function whenSeen(use) {
  for (const sign of ["visibilitychange", "resume"]) document.addEventListener(sign, use);
  addEventListener("pageshow", ({ persisted }) => persisted && use());
}

export function startClock() {
  setInterval(tick, 500);
}

export function tick() {
  const nowMs = performance.now() + offsetMs;
  for (const place of document.querySelectorAll("[data-by]")) {
    const leftMs = Number(place.dataset.by) - nowMs;
    const text = (leftMs >= 0 ? place.dataset.left : place.dataset.over).replace("{}", counted(leftMs));
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("over", leftMs < 0);
  }
  for (const place of document.querySelectorAll("[data-since]")) {
    const text = counted(nowMs - Number(place.dataset.since));
    if (place.textContent !== text) place.textContent = text;
  }
}

// As `Words.countdown` of words.py: 0:42, 1:02:05, and from 48 hours on 3 d 22 h.
function counted(ms) {
  const seconds = Math.floor(Math.abs(ms) / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) {
    const { days } = document.documentElement.dataset;
    return days.replace("{d}", Math.floor(hours / 24)).replace("{h}", hours % 24);
  }
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
