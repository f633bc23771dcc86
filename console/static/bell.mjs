// The sound of alarms: red ones ring until somebody accepts, the others come with one tune of their level. Whoever wants it switches it on, and the browser remembers. But a
// browser makes no sound on a page that nobody has touched: until then the button says so, and any touch will do.
// To silence is not to accept: a new red alarm rings again, and so does one that came back.

const REPEAT_MS = 4000;
const TUNES = {
  // Hz. Red falls twice, unlike any telephone, until somebody silences or accepts; the others come once, fewer and deeper.
  red: { type: "triangle", notes: [880, 660, 880, 660] },
  orange: { type: "triangle", notes: [740, 740, 740] },
  yellow: { type: "sine", notes: [523, 659] },
  blue: { type: "sine", notes: [392] },
};
const WISH = "gridcall-sound";

export class Bell {
  #button;
  #sound = null;
  #calling = new Map(); // alarm -> since when it has been active, 0 once it is back to normal
  #silenced = new Map(); // the same, as it was when somebody silenced it

  constructor(button) {
    this.#button = button;
    button.hidden = false;
    button.addEventListener("click", () => this.#press());
    for (const touch of ["click", "keydown"]) document.addEventListener(touch, () => this.#wake());
    setInterval(() => this.#ring(), REPEAT_MS);
    if (wished()) this.#switchOn();
  }

  // The alarms that call now: red, not accepted.
  calling(since) {
    const rang = this.#isRinging();
    const grown = [...since.keys()].some((id) => !this.#calling.has(id));
    this.#calling = new Map(since);
    for (const id of this.#silenced.keys()) if (!since.has(id)) this.#silenced.delete(id);
    if (grown || !rang) this.#ring();
    this.#show();
  }

  #press() {
    if (!this.#sound) {
      this.#switchOn();
      wish(true);
    } else if (this.#sound.state !== "running") {
      this.#wake();
    } else if (this.#isRinging()) {
      this.#silenced = new Map(this.#calling);
    } else {
      this.#sound.close();
      this.#sound = null;
      wish(false);
    }
    this.#show();
  }

  #switchOn() {
    this.#sound = new AudioContext();
    this.#sound.addEventListener("statechange", () => {
      this.#show();
      this.#ring();
    });
    this.#show();
  }

  #wake() {
    if (this.#sound && this.#sound.state !== "running") this.#sound.resume();
  }

  #isRinging() {
    const isLoud = ([id, sinceMs]) => !this.#silenced.has(id) || sinceMs > this.#silenced.get(id);
    return this.#sound !== null && [...this.#calling].some(isLoud);
  }

  #show() {
    const { off, on, ringing, touch } = this.#button.dataset;
    const asleep = this.#sound !== null && this.#sound.state !== "running";
    this.#button.textContent = !this.#sound ? off : asleep ? touch : this.#isRinging() ? ringing : on;
    this.#button.setAttribute("aria-pressed", String(this.#sound !== null && !asleep));
    this.#button.classList.toggle("ringing", asleep || this.#isRinging());
  }

  // An alarm that is new and less than red: one tune, and no more.
  chime(level) {
    if (this.#sound?.state === "running" && !this.#isRinging()) this.#play(TUNES[level]);
  }

  #ring() {
    if (this.#isRinging() && this.#sound.state === "running") this.#play(TUNES.red);
  }

  #play({ type, notes }) {
    notes.forEach((frequency, index) => {
      const at = this.#sound.currentTime + 0.05 + index * 0.22;
      const tone = new OscillatorNode(this.#sound, { frequency, type });
      const loudness = new GainNode(this.#sound, { gain: 0 });
      loudness.gain.setValueAtTime(0, at);
      loudness.gain.linearRampToValueAtTime(0.4, at + 0.02);
      loudness.gain.linearRampToValueAtTime(0, at + 0.2);
      tone.connect(loudness).connect(this.#sound.destination);
      tone.start(at);
      tone.stop(at + 0.21);
    });
  }
}

// Without storage, as some private windows have none, the wish lasts as long as the page.
function wished() {
  try {
    return localStorage.getItem(WISH) === "on";
  } catch {
    return false;
  }
}

function wish(on) {
  try {
    localStorage.setItem(WISH, on ? "on" : "off");
  } catch {
    // see above
  }
}
