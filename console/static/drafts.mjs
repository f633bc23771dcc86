// What somebody was writing when the login ended comes back after the next login: kept in this tab alone, and thrown away as soon as any
// other page is opened. Passwords and hidden fields are never kept.

const NAME = "gridcall-draft";
const KEPT = "input:not([type=hidden], [type=password], [type=file]), textarea:not([readonly]), select";
const here = location.pathname + location.search;

const fields = () => [...document.querySelectorAll(`main form[method=post] :is(${KEPT})`)];

function value(field) {
  return field.matches("[type=checkbox], [type=radio]") ? field.checked : field.value;
}

const first = fields().map(value);

function keep() {
  const now = fields().map(value);
  if (now.length !== first.length || now.every((one, at) => one === first[at])) return;
  sessionStorage.setItem(NAME, JSON.stringify({ here, now }));
}

function bringBack() {
  const draft = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
  sessionStorage.removeItem(NAME);
  const loggedIn = document.referrer && new URL(document.referrer).pathname === "/login";
  if (!loggedIn || draft?.here !== here || draft.now.length !== fields().length) return;
  for (const [at, field] of fields().entries()) {
    if (typeof draft.now[at] === "boolean") field.checked = draft.now[at];
    else field.value = draft.now[at];
    if (value(field) !== first[at]) field.closest("details")?.setAttribute("open", "");
  }
}

bringBack();
addEventListener("pagehide", keep);
