// Panning and zooming the plan: fingers, wheel, mouse and keys. What is zoomed is the view; the marks keep their size.

const plan = document.getElementById("plan");
const [x, y, width, height] = plan.getAttribute("viewBox").split(" ").map(Number);
const whole = { x, y, width, height };
const MOST = 12; // times
const STEP = 1.35;
const TAP_PX = 6;

let view = { ...whole };
const fingers = new Map();
let moved = 0;

document.querySelector(".zoom").hidden = false;
document.querySelector(".zoom").addEventListener("click", ({ target }) => {
  const how = target.closest("[data-zoom]")?.dataset.zoom;
  if (how === "all") show(whole);
  else if (how) zoom(how === "in" ? STEP : 1 / STEP);
});

plan.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const stepX = view.width / 8;
  const stepY = view.height / 8;
  const acts = {
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    0: () => show(whole),
    ArrowLeft: () => pan(-stepX, 0),
    ArrowRight: () => pan(stepX, 0),
    ArrowUp: () => pan(0, -stepY),
    ArrowDown: () => pan(0, stepY),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
});

plan.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && view.width >= whole.width && event.deltaY > 0) return; // let the page go on
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, at(event));
  },
  { passive: false },
);

plan.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  moved = 0;
});
addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const scale = perPixel();
  if (fingers.size === 1) {
    pan((before.clientX - event.clientX) * scale, (before.clientY - event.clientY) * scale);
  } else {
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    if (apart(before) > 0) zoom(apart(event) / apart(before), at(other));
  }
  moved += Math.hypot(before.clientX - event.clientX, before.clientY - event.clientY);
  fingers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, ({ pointerId }) => fingers.delete(pointerId));

// A drag that ends on a mark opens nothing.
plan.addEventListener("click", (event) => moved > TAP_PX && event.preventDefault(), true);
plan.addEventListener("dragstart", (event) => event.preventDefault());

// The marks are replaced by what the feed brings: their size is set again.
new MutationObserver(size).observe(plan, { childList: true });

function perPixel() {
  const shown = plan.getBoundingClientRect();
  return Math.max(view.width / shown.width, view.height / shown.height);
}

// Where on the plan a pointer is.
function at({ clientX, clientY }) {
  const point = new DOMPoint(clientX, clientY).matrixTransform(plan.getScreenCTM().inverse());
  return { x: point.x, y: point.y };
}

function zoom(times, about = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
  const width = Math.min(whole.width, Math.max(whole.width / MOST, view.width / times));
  const share = width / view.width;
  show({
    x: about.x - (about.x - view.x) * share,
    y: about.y - (about.y - view.y) * share,
    width,
    height: view.height * share,
  });
}

function pan(x, y) {
  show({ ...view, x: view.x + x, y: view.y + y });
}

function show({ x, y, width, height }) {
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  view = {
    x: within(x, whole.x, whole.x + whole.width - width),
    y: within(y, whole.y, whole.y + whole.height - height),
    width,
    height,
  };
  plan.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  plan.classList.toggle("zoomed", width < whole.width);
  size();
}

function size() {
  const unit = Number(plan.querySelector("[data-unit]").dataset.unit) * (view.width / whole.width);
  for (const pin of plan.querySelectorAll(".pin")) {
    pin.setAttribute("transform", `translate(${pin.dataset.x} ${pin.dataset.y}) scale(${unit / 16})`);
  }
}
