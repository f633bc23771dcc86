// The server's feed, once for each browser. A browser opens six connections to one server and no more, so that seven
// tabs with a stream each would be one too many: the tab that holds a lock has the stream, and tells the others.
//
// * Who leads passes on every message with the log number before and after it. Who follows and finds that it is not
//   where the leader is (just opened, slept, missed one) opens a stream of its own until the first beat.
// * The lock goes on when the leader goes. A leader that is asleep is robbed of it by a tab that somebody looks at.
// * Browsers have locks only for https and for this very computer. Without them each tab has its own stream, closed
//   while nobody looks; until it is heard again the page says that it isn't live, as always without beats.
// * How old a beat is at the most follows from when its stream was asked for and when, by the server's clock, it began: a network that holds
//   back everything alike, or a proxy that plays an old stream, deceives nobody. A stream that is silent, or too late, is asked for anew.

import { ask } from "./asked.mjs";
import { clocks, msSince } from "./clock.mjs";

const RETRY_MS = 2000;
const BROKEN_MS = 1000;
const ENDED_MS = 20; // the server ends each stream after a while, and says so
const SILENT_MS = 4000; // after which a leader is taken for asleep: some beats
const DEAF_MS = [8_000, 14_000]; // after which a stream counts as dead, not all pages at the same second
const LATE_MS = 3000;
const PARTED_MS = 100; // a beat from the future: this computer's clock stood still while it slept
const HIDDEN_MS = 5000;
const SIGN_MS = 1000;
const KINDS = ["step", "list", "beat"];

export class Feed {
  #language;
  #seq; // a position in the log, as the server writes it: of what is shown
  #reached = null; // the same, of the last message: beats tell of steps that concern nobody here
  #use;
  #name;
  #channel = null;
  #waiting = null;
  #leading = false;
  #source = null; // the leader's, or that of a tab alone
  #catching = null; // a follower's, until it is where the leader is
  #heardMs = performance.now();
  #listened = clocks(); // when the stream was heard last, or asked for
  #patienceMs = Infinity; // after which it counts as dead

  // `use(kind, message, ageMs)` takes each message: a step, a list or a beat, and of this how old it may be.
  constructor({ language, seq }, use) {
    this.#language = language;
    this.#seq = seq;
    this.#use = use;
    this.#name = `gridcall-feed-${language}`;
    if (navigator.locks) this.#share();
    else this.#alone();
    setInterval(() => {
      const mine = this.#source && (this.#leading || !this.#channel);
      if (mine && msSince(this.#listened) > this.#patienceMs) this.#open(); // at once after this computer has slept
    }, SIGN_MS);
  }

  #share() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener("message", (event) => this.#hear(event.data));
    setInterval(() => this.#watch(), SIGN_MS);
    document.addEventListener("visibilitychange", () => (this.#heardMs = performance.now()));
    this.#queue();
  }

  #queue() {
    this.#waiting = new AbortController();
    this.#ask({ signal: this.#waiting.signal });
  }

  // The lock is held for as long as the promise of `lead` is open: until the page goes, or another takes the lock.
  #ask(options) {
    navigator.locks.request(this.#name, options, () => this.#lead()).catch(() => {
      if (!this.#leading) return; // no longer waiting
      this.#leading = false;
      this.#source?.close();
      this.#queue();
    });
  }

  #lead() {
    this.#leading = true;
    this.#reached = null;
    this.#catchingEnds();
    this.#open();
    return new Promise(() => {});
  }

  #watch() {
    if (document.visibilityState !== "visible") return;
    if (this.#leading) {
      this.#channel.postMessage({ kind: "sign" }); // awake, even when the server is not
    } else if (performance.now() - this.#heardMs > SILENT_MS) {
      this.#heardMs = performance.now();
      this.#waiting.abort();
      this.#ask({ steal: true });
    }
  }

  #open() {
    this.#source?.close();
    this.#listens();
    const source = this.#stream(this.#reached ?? this.#seq, (kind, data, seq, ageMs) => {
      const after = this.#seq;
      if (ageMs < LATE_MS) this.#listens();
      this.#channel?.postMessage({ kind, data, after, seq, ageMs, sent: Date.now() });
      this.#take(kind, data, seq, ageMs);
    });
    let ended = false;
    source.addEventListener("end", () => (ended = true));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) return this.#askWhy(source);
      source.close(); // the browser would ask again, and not say when
      this.#openLater(source, ended ? ENDED_MS : BROKEN_MS);
    });
    this.#source = source;
  }

  #openLater(source, ms) {
    setTimeout(() => {
      if (this.#source === source && (this.#leading || !this.#channel)) this.#open();
    }, ms);
  }

  #stream(after, take) {
    const number = crypto.getRandomValues(new Uint32Array(1))[0]; // so that no proxy takes it for one that it has kept
    const source = new EventSource(`/feed?language=${this.#language}&after=${after}&number=${number}`);
    const askedMs = performance.now();
    let aheadMs = -Infinity; // of the server's clock, at the least
    source.addEventListener("begin", (event) => (aheadMs = askedMs - Number(event.data)));
    for (const kind of KINDS) {
      source.addEventListener(kind, ({ data, lastEventId }) => {
        if (source === this.#source) this.#reached = lastEventId || this.#reached;
        if (kind !== "beat") return take(kind, data, lastEventId, 0);
        const ageMs = performance.now() - (JSON.parse(data).beat_ms + aheadMs);
        take(kind, data, this.#seq, ageMs < -PARTED_MS ? Infinity : ageMs);
      });
    }
    return source;
  }

  #listens() {
    this.#listened = clocks();
    this.#patienceMs = DEAF_MS[0] + Math.random() * (DEAF_MS[1] - DEAF_MS[0]);
  }

  #take(kind, data, seq, ageMs) {
    this.#seq = seq;
    this.#use(kind, JSON.parse(data), ageMs);
  }

  // What the leader passes on. A list is always the whole truth, even of a database whose numbers start anew.
  #hear({ kind, data, after, seq, ageMs, sent }) {
    this.#heardMs = performance.now();
    if (this.#leading || this.#catching || kind === "sign") return;
    if (kind === "list" || (kind === "step" ? after : seq) === this.#seq) {
      this.#take(kind, data, seq, ageMs + Math.abs(Date.now() - sent));
    } else if (kind === "beat") this.#catchUp();
    // A step from elsewhere is left: the next beat shows whether we are behind, or only the leader is.
  }

  #catchUp() {
    const source = this.#stream(this.#seq, (kind, data, seq, ageMs) => {
      this.#take(kind, data, seq, ageMs);
      if (kind === "beat") this.#catchingEnds();
    });
    const patience = setTimeout(() => this.#catchingEnds(), SILENT_MS);
    source.addEventListener("error", () => this.#catchingEnds()); // the next beat begins again
    this.#catching = { source, patience };
  }

  #catchingEnds() {
    this.#catching?.source.close();
    clearTimeout(this.#catching?.patience);
    this.#catching = null;
  }

  #alone() {
    let closing = null;
    const look = () => {
      clearTimeout(closing);
      if (document.visibilityState === "hidden") {
        closing = setTimeout(() => {
          this.#source?.close();
          this.#source = null;
        }, HIDDEN_MS);
      } else if (!this.#source) {
        this.#open();
      }
    };
    document.addEventListener("visibilitychange", look);
    look();
  }

  // The browser gave up: either the login has ended, or the server is away and comes back.
  async #askWhy(source) {
    try {
      const answer = await ask("/session", { signal: AbortSignal.timeout(SILENT_MS) });
      if (answer.status === 401) {
        location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
        return;
      }
    } catch {
      // away: try again below
    }
    this.#openLater(source, RETRY_MS);
  }
}
