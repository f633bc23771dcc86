// The red alarms that nobody has accepted: they call, on every page. The bell rings for them; a page that shows other
// things says in a bar, in its title and aloud that they wait.

import { say } from "./aloud.mjs";

export class Calls {
  #body;
  #bell;
  #bar = document.getElementById("calls");
  #own = new Set(own());
  #fromMs; // what was known before has been heard, or was nobody's to hear
  #heard = new Set();
  #since; // alarm -> since when it has been active, 0 once it is back to normal: a new call has a later time

  constructor(body, bell) {
    this.#body = body;
    this.#bell = bell;
    this.#fromMs = Number(body.dataset.now) - 5000;
    this.#since = new Map(Object.entries(JSON.parse(body.dataset.calling)));
    this.#show();
  }

  step({ gone, now }) {
    const fresh = now.filter((entry) => entry.calls !== null && !this.#since.has(entry.id));
    this.#chime(now);
    for (const id of gone) {
      this.#since.delete(id);
      this.#heard.delete(id);
    }
    for (const { id, calls } of now) {
      if (calls === null) this.#since.delete(id);
      else this.#since.set(id, calls);
    }
    if (this.#bar) say(fresh); // on the feed its rows say it
    this.#show();
  }

  whole({ all }) {
    const kept = new Set(all.map((entry) => entry.id));
    this.step({ gone: [...this.#since.keys()].filter((id) => !kept.has(id)), now: all });
  }

  // The gravest of what is new and doesn't ring by itself.
  #chime(now) {
    const fresh = now.filter(({ id, calls, rings }) => calls === null && rings > this.#fromMs && !this.#heard.has(id));
    for (const { id } of fresh) this.#heard.add(id);
    const level = ["orange", "yellow", "blue"].find((one) => fresh.some((entry) => entry.level === one));
    if (level) this.#bell.chime(level);
  }

  #show() {
    this.#bell.calling(this.#since);
    if (!this.#bar) return; // the feed itself: its rows say it
    const others = [...this.#since.keys()].filter((id) => !this.#own.has(id)).length;
    this.#bar.hidden = !others;
    this.#bar.textContent = this.#bar.dataset.say.replace("{}", others);
    this.#body.dataset.calls = others || "";
  }
}

// The alarms that this page itself is about.
function own() {
  const { alarm, held } = document.querySelector("[data-alarm], [data-case]")?.dataset ?? {};
  return alarm ? [alarm] : (held?.split(" ") ?? []);
}
