// Sends the queue to the server, in order. An act keeps its key for ever, so that sending it twice is doing it once. It goes out in the
// name of whoever did it, or not at all. By the link of a message it goes as long as the link takes it; then it waits for its person's login.
// Only the server takes an act, or refuses it: what a Wi-Fi's login page, a gateway or a proxy answers, with whatever status, leaves it in the queue.

import { ask, NotOurs } from "../asked.mjs";
import { halved } from "./photo.mjs";
import { all, put, remove } from "./queue.mjs";

const PATIENCE_MS = 15_000;
const PHOTO_PATIENCE_MS = 60_000;
const MOST_DOUBTS = 3; // answers that an older page of ours can get; after so many it is a refusal
const TOO_LARGE = 413;
const PHOTO = /^[0-9a-f]{64}$/; // by which the server names a photo that it has kept

// Tells whether a login is needed. One sender at a time, also among several pages and the worker.
export function drain() {
  if (!navigator.locks) return sendAll();
  return navigator.locks.request("gridcall-sending", sendAll);
}

async function sendAll() {
  const stuck = new Set();
  let login = false;
  for (const act of await all()) {
    if (act.refused || stuck.has(act.of ?? act.base)) continue;
    const end = await send(act);
    if (end === "away") break;
    if (end === "login") login = true;
    if (end === "done") await remove(act.id);
    else if (end === "refused") await put(act);
    else stuck.add(act.of ?? act.base);
  }
  return { login };
}

// "done", "refused" (act.refused says why), "away" (no server), "login", or "later".
async function send(act) {
  try {
    const known = await ask(`${act.base}/session`, options());
    if (known.status === 410) return await byLogin(act, known);
    if (known.status === 401) return "login";
    if (!known.ok) return judged(act, known);
    const { who, token } = await known.json();
    if (who !== act.who) return "later"; // somebody else uses the phone now
    if (act.photo && !act.fields.photo) {
      const kept = await sendPhoto(act, token);
      if (!kept.ok) return judged(act, kept);
      const { photo } = await kept.json();
      if (!PHOTO.test(photo)) return "later";
      act.fields.photo = photo;
      await put(act);
    }
    const fields = { ...act.fields, key: act.key, device_at_ms: act.device_at_ms, token };
    const answer = await ask(`${act.base}/${act.step}`, {
      ...options(),
      method: "POST",
      body: new URLSearchParams(fields),
    });
    if (answer.status === 410) return await byLogin(act, answer);
    if (!answer.ok) return judged(act, answer);
    return (await answer.json()).complaint === "" ? "done" : "later";
  } catch (error) {
    return error instanceof NotOurs ? "later" : "away"; // of another case a gateway may think otherwise
  }
}

// A gateway may take less at once than the server (nginx: 1 MB): it gets a smaller one.
async function sendPhoto(act, token) {
  for (;;) {
    try {
      return await ask(`${act.base}/photos`, {
        ...options(PHOTO_PATIENCE_MS),
        method: "POST",
        body: act.photo,
        headers: { Accept: "application/json", "Content-Type": act.photo.type, "X-Form-Token": token },
      });
    } catch (error) {
      const smaller = error.status === TOO_LARGE && (await halved(act.photo).catch(() => null));
      if (!smaller) throw error;
      act.photo = smaller;
      await put(act);
    }
  }
}

// The link has ended: the same act, of the same case, under the login of the same person.
async function byLogin(act, answer) {
  const base = `/w/cases/${encodeURIComponent(act.of ?? "")}`;
  if (!act.of || act.base === base) return judged(act, answer);
  act.base = base;
  await put(act);
  return send(act);
}

async function judged(act, answer) {
  if (answer.status === 401) return "login";
  if (answer.status >= 500 || answer.status === 429 || answer.status === 408) return "later";
  if (answer.status === 403) {
    act.doubts = (act.doubts ?? 0) + 1;
    await put(act);
    if (act.doubts < MOST_DOUBTS) return "later";
  }
  const words = await answer.json().catch(() => ({}));
  act.refused = words.complaint || String(answer.status);
  return "refused";
}

function options(patienceMs = PATIENCE_MS) {
  return { headers: { Accept: "application/json" }, redirect: "error", signal: AbortSignal.timeout(patienceMs) };
}
