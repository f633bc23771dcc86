// Buttons without a reload: sends the form, shows a refusal in words. What has changed comes back by the feed.

import { ask } from "./asked.mjs";

const PATIENCE_MS = 5000;

export function watchForms(sayFailed, done) {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const address = event.submitter?.getAttribute("formaction") ?? form.getAttribute("action");
    if (!/^\/(alarms|cases|permits|holds)(\/|$)/.test(address ?? "")) return;
    event.preventDefault();
    if (event.submitter?.hasAttribute("aria-busy")) return; // pressed twice; it isn't disabled, for it would lose the focus
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    send(address, fields, event.submitter, sayFailed).then((sent) => {
      if (!sent) return;
      form.closest("details")?.removeAttribute("open");
      form.reset(); // what was sent is no longer being written
    }).finally(done);
  });
}

async function send(address, fields, button, sayFailed) {
  button?.setAttribute("aria-busy", "true");
  let complaint;
  try {
    const answer = await ask(address, {
      method: "POST",
      body: fields,
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (answer.status === 401) location.assign("/login");
    complaint = (await answer.json()).complaint ?? sayFailed;
  } catch {
    complaint = sayFailed;
  }
  const place = document.getElementById("complaint");
  place.textContent = complaint;
  place.hidden = !complaint;
  button?.removeAttribute("aria-busy");
  if (complaint) place.focus();
  return !complaint;
}
