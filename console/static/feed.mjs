// The server's feed, once for each browser. A browser opens six connections to one server and no more, so that seven
// tabs with a stream each would be one too many: the tab that holds a lock has the stream, and tells the others.
//
// * Who leads passes on every message with the log number before and after it. Who follows and finds that it is not
//   where the leader is (just opened, slept, missed one) opens a stream of its own until the first beat.
// * The lock goes on when the leader goes. A leader that is asleep is robbed of it by a tab that somebody looks at.
// * Browsers have locks only for https and for this very computer. Without them each tab has its own stream, closed
//   while nobody looks; until it is heard again the page says that it isn't live, as always without beats.

const RETRY_MS = 2000;
const SILENT_MS = 4000; // after which a leader is taken for asleep: some beats
const HIDDEN_MS = 5000;
const SIGN_MS = 1000;
const KINDS = ["step", "list", "beat"];

export class Feed {
  #language;
  #seq; // a position in the log, as the server writes it
  #use;
  #name;
  #channel = null;
  #waiting = null;
  #leading = false;
  #source = null; // the leader's, or that of a tab alone
  #catching = null; // a follower's, until it is where the leader is
  #heardMs = performance.now();

  // `use(kind, message)` takes each message: a step, a list or a beat.
  constructor({ language, seq }, use) {
    this.#language = language;
    this.#seq = seq;
    this.#use = use;
    this.#name = `gridcall-feed-${language}`;
    if (navigator.locks) this.#share();
    else this.#alone();
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
    const source = this.#stream((kind, data, seq) => {
      const after = this.#seq;
      this.#channel?.postMessage({ kind, data, after, seq });
      this.#take(kind, data, seq);
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.#askWhy(source);
    });
    this.#source = source;
  }

  #stream(take) {
    const source = new EventSource(`/feed?language=${this.#language}&after=${this.#seq}`);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        take(kind, event.data, kind === "beat" ? this.#seq : event.lastEventId);
      });
    }
    return source;
  }

  #take(kind, data, seq) {
    this.#seq = seq;
    this.#use(kind, JSON.parse(data));
  }

  // What the leader passes on. A list is always the whole truth, even of a database whose numbers start anew.
  #hear({ kind, data, after, seq }) {
    this.#heardMs = performance.now();
    if (this.#leading || this.#catching || kind === "sign") return;
    if (kind === "list" || (kind === "step" ? after : seq) === this.#seq) this.#take(kind, data, seq);
    else if (kind === "beat") this.#catchUp();
    // A step from elsewhere is left: the next beat shows whether we are behind, or only the leader is.
  }

  #catchUp() {
    const source = this.#stream((kind, data, seq) => {
      this.#take(kind, data, seq);
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
      const answer = await fetch("/session", { cache: "no-store", signal: AbortSignal.timeout(SILENT_MS) });
      if (answer.status === 401) {
        location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
        return;
      }
    } catch {
      // away: try again below
    }
    setTimeout(() => {
      if (this.#source === source && (this.#leading || !this.#channel)) this.#open();
    }, RETRY_MS);
  }
}
