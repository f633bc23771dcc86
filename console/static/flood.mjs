// A flood: while there is one the wall lists the red alarms, and of the rest how many. Whoever wants to see them all may.

export class Flood {
  #body;
  #place = document.getElementById("flood");
  #more = document.getElementById("flood-more");
  #button = this.#more.querySelector("button");
  #all = false;

  constructor(body) {
    this.#body = body;
    this.#button.addEventListener("click", () => {
      this.#all = !this.#all;
      this.show();
    });
    this.show();
  }

  show() {
    const there = this.#place.textContent.trim() !== "";
    if (!there) this.#all = false;
    this.#more.hidden = !there;
    this.#body.classList.toggle("flooded", there && !this.#all);
    this.#button.setAttribute("aria-pressed", String(this.#all));
    this.#button.textContent = this.#all ? this.#button.dataset.red : this.#button.dataset.all;
  }
}
