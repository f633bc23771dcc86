// Keys for who works at a desk all day; /keys lists them. They can be switched off there (WCAG 2.1.4), and never act while somebody writes.

const WISH = "gridcall-keys";
const PATIENCE_MS = 1500;
const ROOMS = { l: "/", m: "/map", c: "/cases", f: "/lists/flood", s: "/lists/shelved", h: "/handover" };

let going = 0; // until when a second key names a room

export function listenToKeys() {
  const control = document.getElementById("keys-switch");
  if (control) {
    control.checked = wanted();
    control.addEventListener("change", () => wish(control.checked));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close(event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !wanted()) return;
    if (event.target.closest("input, select, textarea, [contenteditable], #plan")) return;
    if (act(event.key)) event.preventDefault();
  });
}

// What is folded out around the focus, and the switch of the looks wherever the focus is.
function close(target) {
  for (const open of new Set([target.closest("details[open]"), document.querySelector(".look-switch[open]")])) {
    if (!open) continue;
    const inside = open.contains(document.activeElement);
    open.removeAttribute("open");
    if (inside) open.querySelector("summary").focus();
  }
}

function act(key) {
  if (performance.now() < going && ROOMS[key]) {
    location.assign(ROOMS[key]);
    return true;
  }
  going = key === "g" ? performance.now() + PATIENCE_MS : 0;
  if (key === "?") location.assign("/keys");
  else if (key === "/") find();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "a") document.activeElement.closest(".row")?.querySelector(".act button")?.click();
  else if (key === "n") document.querySelector("#bell.ringing")?.click();
  else return false;
  return true;
}

function find() {
  const field = document.querySelector("input[type=search]");
  if (field) field.focus();
  else location.assign("/cases");
}

// To the next or the previous row's link, by its place among those that are shown.
function step(by) {
  const links = [...document.querySelectorAll(".row .what a")].filter((link) => link.checkVisibility?.() ?? true);
  const now = links.findIndex((link) => link.closest(".row").contains(document.activeElement));
  links[Math.min(Math.max(now + by, 0), links.length - 1)]?.focus();
}

function wanted() {
  try {
    return localStorage.getItem(WISH) !== "off";
  } catch {
    return true;
  }
}

function wish(on) {
  try {
    localStorage.setItem(WISH, on ? "on" : "off");
  } catch {
    // without storage they stay on
  }
}
