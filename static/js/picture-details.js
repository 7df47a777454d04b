// <picture-details data-most>, empty, in the form of a picture's details: says whether something is not saved yet and keeps it from being left behind,
// counts the alt text, and nudges where it would tell nobody anything. Ctrl+Enter saves.
import { carryOver } from "./typed-on.js";

const FILE_NAME = /^\S*\.(jpe?g|png|webp|gif)$|^(img|dsc|image|photo|picture)[\s_-]*\d*$/i;
const OPENING = /^(an? )?(image|picture|photo(graph)?|pic) (of|showing)\b/i;

/** What a person would say who cannot see the picture; empty where nothing is to be said. */
export function nudge(text, decorative) {
  if (decorative) return text ? "Decorative pictures are passed over: nobody hears this text." : "";
  if (!text) return "Without it, who cannot see the picture is told nothing.";
  if (FILE_NAME.test(text)) return "This reads like a file's name. Say what there is to see.";
  if (OPENING.test(text)) return "Leave out “picture of”: that is said anyway.";
  if (text.length < 8) return "A few words more tell it from the others.";
  return "";
}

// Held against what the page came with, not against what stood there when this module did: a quick hand writes before it.
const isTouched = (field) => {
  if (field.dataset.first !== undefined) return field.value !== field.dataset.first;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  return field.type !== "hidden" && field.defaultValue !== undefined && field.value !== field.defaultValue;
};

class PictureDetails extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.alt = this.form.elements.alt_text;
    if (!this.alt || this.alt.disabled) return; // for who may only look
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    this.count = document.createElement("span");
    this.count.className = "count num";
    this.count.ariaHidden = "true"; // too much to be read out at each letter; the portal says when it is too long
    this.alt.before(this.count);
    this.isRefused = this.form.querySelector("[aria-invalid], .whose") !== null; // it holds what is not stored
    on(this.form, "input", () => this.#look());
    on(this.form, "change", () => this.#look());
    on(this.form, "submit", () => ((this.isLeaving = true), (this.from = document.activeElement)));
    on(this.form, "htmx:before:swap", (event) => this.#beforeSwap(event.detail));
    on(this.form, "htmx:finally:request", () => (this.isLeaving = false));
    on(this.form, "keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    on(window, "beforeunload", (event) => this.isChanged && !this.isLeaving && event.preventDefault());
    queueMicrotask(() => this.#look()); // once the other elements are there
  }

  disconnectedCallback() {
    this.ending?.abort();
  }

  get isChanged() {
    return this.isRefused || [...this.form.elements].some(isTouched) || this.form.querySelector("[data-removed]") !== null;
  }

  #beforeSwap({ ctx, tasks }) {
    const fresh = tasks.find(({ type }) => type === "main")?.fragment.querySelector(`#${this.form.id}`);
    if (fresh) carryOver(this.form, fresh, ctx.request.body, this.from);
  }

  #look() {
    const text = this.alt.value.trim();
    const said = nudge(text, this.form.elements.decorative.checked);
    const hint = this.form.querySelector("#alt-text-about.hint"); // in its place, so that nothing moves
    if (hint) {
      this.hint ??= hint.textContent;
      hint.classList.toggle("nudge", said !== "");
      if (hint.textContent !== (said || this.hint)) hint.textContent = said || this.hint;
    }
    this.count.textContent = `${this.alt.value.length} of ${this.dataset.most}`;
    this.count.classList.toggle("over", this.alt.value.length > this.dataset.most);
    const state = this.form.querySelector("[data-part=state]");
    this.stored ??= [...state.childNodes];
    if (this.isChanged === (state.dataset.changed !== undefined)) return;
    state.toggleAttribute("data-changed", this.isChanged);
    if (!this.isChanged) return state.replaceChildren(...this.stored);
    const badge = document.createElement("span");
    badge.className = "badge warn";
    badge.textContent = "Not saved yet";
    state.replaceChildren(badge);
  }
}

customElements.define("picture-details", PictureDetails);
