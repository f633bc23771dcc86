// The rows of the feed: each message says how a row is now, so that taking it twice does no harm.

import { say } from "./aloud.mjs";
import { tick } from "./clock.mjs";

export class Rows {
  #list;

  constructor(list) {
    this.#list = list;
    this.#settle();
  }

  step({ gone, now, counts }) {
    for (const id of gone) this.#remove(this.#row(id));
    const fresh = now.filter((entry) => !this.#put(entry));
    say(fresh);
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
    const place = before?.contains(document.activeElement) && document.activeElement.closest("div").className;
    if (before?.dataset.order === entry.order) {
      before.replaceWith(row);
    } else {
      before?.remove();
      row.classList.add("new");
      const next = [...this.#list.children].find((other) => other.dataset.order > entry.order);
      this.#list.insertBefore(row, next ?? null);
    }
    if (place) row.querySelector(`.${place} :is(a, button)`)?.focus(); // who works with keys stays where he was
    return Boolean(before);
  }

  // The focus goes on to the next row, not to the beginning of the page.
  #remove(row) {
    const neighbour = row?.contains(document.activeElement) && (row.nextElementSibling ?? row.previousElementSibling);
    row?.remove();
    if (neighbour) neighbour.querySelector(".what a").focus();
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
