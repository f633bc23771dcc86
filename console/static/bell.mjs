// The sound of red alarms that nobody has accepted. A browser makes no sound before a person has touched the page, so
// it is switched on by hand, and the button says which. To silence is not to accept: a new red alarm rings again.

const REPEAT_MS = 4000;
const NOTES = [880, 660, 880, 660]; // Hz; two falling pairs, unlike any telephone

export class Bell {
  #button;
  #sound = null;
  #calling = new Set();
  #silenced = new Set();

  constructor(button) {
    this.#button = button;
    button.hidden = false;
    button.addEventListener("click", () => this.#press());
    setInterval(() => this.#ring(), REPEAT_MS);
  }

  // The alarms that call now: red, not accepted.
  calling(ids) {
    const grown = ids.some((id) => !this.#calling.has(id));
    this.#calling = new Set(ids);
    for (const id of this.#silenced) if (!this.#calling.has(id)) this.#silenced.delete(id);
    if (grown) this.#ring();
    this.#show();
  }

  // On a page without rows: what a step says of them.
  hear({ gone, now }) {
    const ids = new Set(this.#calling);
    for (const id of gone) ids.delete(id);
    for (const entry of now) ids[entry.calls ? "add" : "delete"](entry.id);
    this.calling([...ids]);
  }

  #press() {
    if (!this.#sound) {
      this.#sound = new AudioContext();
      this.#ring();
    } else if (this.#isRinging()) {
      this.#silenced = new Set(this.#calling);
    } else {
      this.#sound.close();
      this.#sound = null;
    }
    this.#show();
  }

  #isRinging() {
    return this.#sound !== null && [...this.#calling].some((id) => !this.#silenced.has(id));
  }

  #show() {
    const { off, on, ringing } = this.#button.dataset;
    this.#button.textContent = !this.#sound ? off : this.#isRinging() ? ringing : on;
    this.#button.setAttribute("aria-pressed", String(this.#sound !== null));
    this.#button.classList.toggle("ringing", this.#isRinging());
  }

  #ring() {
    if (!this.#isRinging()) return;
    this.#sound.resume();
    NOTES.forEach((frequency, index) => {
      const at = this.#sound.currentTime + 0.05 + index * 0.22;
      const tone = new OscillatorNode(this.#sound, { frequency, type: "triangle" });
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
