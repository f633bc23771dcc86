// The rows of the feed: each message says how a row is now, so that taking it twice does no harm.

import { tick } from "./clock.mjs";

export class Rows {
  #list;

  constructor(list) {
    this.#list = list;
    this.#settle();
  }

  step({ gone, now, counts }) {
    for (const id of gone) this.#row(id)?.remove();
    const fresh = now.filter((entry) => !this.#put(entry));
    if (fresh.length) document.getElementById("aloud").textContent = fresh.map((entry) => entry.say).join(" ");
    this.#count(counts);
    this.#settle();
  }

  whole({ all, counts }) {
    const kept = new Set(all.map((entry) => entry.id));
    const gone = [...this.#list.children].map((row) => row.dataset.id).filter((id) => !kept.has(id));
    this.step({ gone, now: all, counts });
  }

  // Puts a row in its place; true if it was there before.
  #put(entry) {
    const template = document.createElement("template");
    template.innerHTML = entry.html;
    const row = template.content.querySelector("li");
    const before = this.#row(entry.id);
    if (before && before.dataset.order === entry.order) {
      const focused = before.querySelector(":focus");
      before.replaceWith(row);
      if (focused) row.querySelector(".act .button")?.focus();
      return true;
    }
    before?.remove();
    row.classList.add("new");
    const next = [...this.#list.children].find((other) => other.dataset.order > entry.order);
    this.#list.insertBefore(row, next ?? null);
    return Boolean(before);
  }

  #row(id) {
    return [...this.#list.children].find((row) => row.dataset.id === id);
  }

  // Also the alarms for which there is no room.
  #count(counts) {
    for (const place of document.querySelectorAll("#counts > li")) {
      place.querySelector("b").textContent = counts[place.dataset.level] ?? 0;
    }
  }

  // What follows from the rows.
  #settle() {
    tick();
    const rows = [...this.#list.children];
    document.getElementById("calm").hidden = rows.length > 0;
    const more = document.getElementById("more");
    more.hidden = rows.length < Number(more.dataset.most);
  }
}
