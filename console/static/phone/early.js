// A button that is pressed before the page's modules are there waits for them: the browser alone would send it without its number, and without a
// network lose it. Where they never come, the browser sends it.
{
  const LONGEST_MS = 10_000;
  const pressed = new Map();

  const hold = (event) => {
    const form = event.target;
    if (!form.dataset.step) return;
    event.preventDefault();
    if (!pressed.size) setTimeout(giveUp, LONGEST_MS);
    pressed.set(form, event.submitter);
    form.setAttribute("aria-busy", "true");
    event.submitter?.setAttribute("aria-busy", "true");
  };

  const letGo = () => {
    document.removeEventListener("submit", hold);
    document.removeEventListener("gridcall-acts", letGo);
    for (const [form, button] of pressed) {
      form.removeAttribute("aria-busy");
      button?.removeAttribute("aria-busy");
      form.requestSubmit(button);
    }
    pressed.clear();
  };

  const giveUp = () => {
    if (!pressed.size) return;
    if (navigator.onLine) letGo();
    else setTimeout(giveUp, LONGEST_MS);
  };

  document.addEventListener("submit", hold);
  document.addEventListener("gridcall-acts", letGo);
}
