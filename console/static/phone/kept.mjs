// The pages that are kept on the phone for later. An older one never takes the place of a newer one, whichever tab or worker brings it. What can't
// be kept, as on a full phone, is shown all the same.

import { again, madeAt } from "../whole.mjs";

export const PAGES = "gridcall-pages";
const CLOCK_SET_MS = 300_000; // no answer is on its way for so long: it is the server's clock that was set back

// `words`: a whole page, as `answer` brought it. Never rejects.
export async function keepPage(pathname, words, answer) {
  const keep = () => put(pathname, words, answer);
  try {
    await (navigator.locks ? navigator.locks.request("gridcall-keeping", keep) : keep());
  } catch {
    // there is no room
  }
}

async function put(pathname, words, answer) {
  const cache = await caches.open(PAGES);
  const kept = await cache.match(pathname);
  const older = kept ? madeAt(await kept.text()) - madeAt(words) : 0;
  if (older > 0 && older < CLOCK_SET_MS) return;
  await cache.put(pathname, again(words, answer));
}
