// The theme changes at once; the form, which works alone, only tells the server to remember it.
const root = document.documentElement;
const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function show(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
}

// the switch offers what is not shown: with a theme that follows the system only the browser knows which that is
function label(form) {
  const button = form.querySelector("button");
  const other = isDark() ? "light" : "dark";
  button.value = other;
  button.setAttribute("aria-label", `Switch to ${other}`);
}

function mark(form, theme) {
  for (const button of form.querySelectorAll("button")) {
    if (button.value === theme) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

const switches = [...document.querySelectorAll("form[data-theme-switch]")];
const choices = [...document.querySelectorAll("form[data-theme-choice]")];
switches.forEach(label);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => switches.forEach(label));

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-theme-switch], form[data-theme-choice]") || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  show(theme);
  switches.forEach(label);
  choices.forEach((choice) => mark(choice, theme));
  const body = new URLSearchParams(new FormData(form, event.submitter));
  fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" }, redirect: "manual" }).catch(() => {});
});
