// <timed-toast>: goes after a while; the clock stands still while a pointer or the focus is on it. Ctrl+Z undoes.
const STAYS = 8000; // ms
const inField = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

class TimedToast extends HTMLElement {
  #left = STAYS;
  #since = 0;
  #timer = 0;

  connectedCallback() {
    for (const stop of ["pointerenter", "focusin"]) this.addEventListener(stop, this.#hold);
    for (const go of ["pointerleave", "focusout"]) this.addEventListener(go, this.#run);
    this.#run();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #run = () => {
    if (this.matches(":hover, :focus-within")) return;
    clearTimeout(this.#timer);
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.remove(), this.#left);
  };

  #hold = () => {
    clearTimeout(this.#timer);
    if (this.#since) this.#left = Math.max(2000, this.#left - (performance.now() - this.#since));
    this.#since = 0;
  };
}
customElements.define("timed-toast", TimedToast);

/** Says one thing, in place of what was said before. */
export function showToast(message) {
  const toast = document.createElement("timed-toast");
  toast.className = "toast";
  const words = document.createElement("span");
  words.textContent = message;
  toast.append(words);
  document.getElementById("toasts")?.replaceChildren(toast);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || inField(event.target)) return;
  const form = document.querySelector("#toasts form[data-undo]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});

// a page without the target (the trash, one image) is loaded anew: htmx does not hear of it and the plain form goes out
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (form.matches("form[data-undo]") && !document.querySelector(form.getAttribute("hx-target"))) event.stopPropagation();
  },
  true,
);

// an undo that went through is said by the page itself; the offer to undo is over
document.addEventListener("htmx:after:request", (event) => {
  const form = event.target instanceof Element ? event.target.closest("form[data-undo]") : null;
  if (form && event.detail.ctx.response.status < 400) form.closest("timed-toast")?.remove();
});
