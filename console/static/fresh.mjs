// Whether this page may be believed. The server says what it knows in each beat; what it can't know is decided here:
// no beat for LIMIT_MS, on two clocks, or beats that may have been sent longer ago, as from a proxy that holds them back or a tab that slept; or a page whose parts could
// not be fetched anew, although the beats arrive.

import { clocks, msSince, whenSeen } from "./clock.mjs";
import { partsOldSince } from "./parts.mjs";

const LIMIT_MS = 3000;

export class Freshness {
  #body;
  #title = document.title;
  #banner = document.getElementById("banner");
  #strip = document.getElementById("strip");
  #shown = null;
  #heard = clocks();
  #asOf;
  #late = false;
  #server = { verdict: "waiting", reasons: "" };

  constructor(body) {
    this.#body = body;
    this.#asOf = body.dataset.asOf;
    setInterval(() => this.#show(), 250);
    whenSeen(() => this.#show());
  }

  // Takes a beat that is at most so old; false for one that is old news.
  hear(beat, ageMs) {
    this.#late = !(ageMs <= LIMIT_MS);
    if (!this.#late) {
      this.#heard = clocks();
      this.#asOf = beat.as_of;
      this.#server = beat;
    }
    this.#show();
    return !this.#late;
  }

  #show() {
    const say = this.#body.dataset;
    const silent = msSince(this.#heard) > LIMIT_MS;
    const stuck = silent ? null : partsOldSince();
    const lost = silent || stuck !== null;
    const verdict = lost ? "lost" : this.#server.verdict;
    const asOf = say.sayAsOf.replace("{}", stuck ?? this.#asOf);
    let text = "";
    if (lost) text = `${stuck !== null ? say.sayStuck : this.#late ? say.sayOldNews : say.sayLost}${asOf}`;
    else if (verdict === "blind") text = this.#server.reasons;
    if (this.#body.dataset.verdict !== verdict) this.#body.dataset.verdict = verdict;
    if (this.#banner.textContent !== text) this.#banner.textContent = text;
    this.#banner.hidden = !text;
    this.#put(lost ? `<span class="dot"></span><b>${say.sayNotLive}</b>` : this.#server.strip);
    this.#entitle(lost || verdict === "blind" ? say.sayTitle : "");
  }

  #put(html) {
    if (html === undefined || html === this.#shown) return;
    this.#shown = html;
    this.#strip.innerHTML = html;
  }

  // The tab's title: staleness first, then the red alarms that call elsewhere, or the number of open alarms.
  #entitle(stale) {
    const open = document.querySelectorAll("#rows > li").length;
    const calls = this.#body.dataset.calls;
    const title = `${stale ? `${stale} · ` : ""}${calls ? `‼ ${calls} · ` : ""}${open ? `(${open}) ` : ""}${this.#title}`;
    if (document.title !== title) document.title = title;
  }
}
