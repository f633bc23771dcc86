// Whether this page may be believed. The server says what it knows in each beat; what it can't know is decided here:
// no beat for LIMIT_MS, on two clocks (the monotonic one may stand still while a computer sleeps, the other may be
// set), or beats that arrive long after they were sent, as from a proxy that holds them back or a tab that slept.

const LIMIT_MS = 3000;
const DRIFT_MS = 1; // that two good clocks may part between two beats

export class Freshness {
  #body;
  #title = document.title;
  #banner = document.getElementById("banner");
  #strip = document.getElementById("strip");
  #shown = null;
  #heard = { steady: performance.now(), wall: Date.now() };
  #asOf;
  #life = null;
  #leastLag = Infinity;
  #late = false;
  #server = { verdict: "waiting", reasons: "" };

  constructor(body) {
    this.#body = body;
    this.#asOf = body.dataset.asOf;
    setInterval(() => this.#show(), 250);
    document.addEventListener("visibilitychange", () => this.#show());
  }

  // Takes a beat; false for one that is old news.
  hear(beat) {
    if (beat.life !== this.#life) {
      this.#life = beat.life;
      this.#leastLag = Infinity;
    }
    const lag = performance.now() - beat.beat_ms;
    this.#leastLag = Math.min(lag, this.#leastLag + DRIFT_MS);
    this.#late = lag - this.#leastLag > LIMIT_MS;
    if (!this.#late) {
      this.#heard = { steady: performance.now(), wall: Date.now() };
      this.#asOf = beat.as_of;
      this.#server = beat;
    }
    this.#show();
    return !this.#late;
  }

  #silentMs() {
    return Math.max(performance.now() - this.#heard.steady, Math.abs(Date.now() - this.#heard.wall));
  }

  #show() {
    const say = this.#body.dataset;
    const lost = this.#silentMs() > LIMIT_MS;
    const verdict = lost ? "lost" : this.#server.verdict;
    const asOf = say.sayAsOf.replace("{}", this.#asOf);
    let text = "";
    if (lost) text = `${this.#late ? say.sayOldNews : say.sayLost}${asOf}`;
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
