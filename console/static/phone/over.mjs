// A page that has ended says what is still on the phone: it is sent, or waits for a login, and is never lost.

import { all } from "./queue.mjs";
import { drain } from "./sending.mjs";

const kept = document.getElementById("kept");

drain().then(async () => {
  const waiting = (await all()).filter((act) => !act.refused).length;
  kept.textContent = kept.dataset.say.replace("{}", waiting);
  kept.hidden = !waiting;
});
