// <search-box> around a search's form and what it finds: arrows lead from the box through the results and back, what is found is
// said, and what may be written next is taken without leaving the page. What hangs below the box (`.below`) goes by Escape, and comes
// back with whatever is done in the box next.
import { stepFrom } from "./gallery-keys.js";

const ARROWS = new Set(["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End"]);

class SearchBox extends HTMLElement {
  #place = -1; // of the first of those that were asked for by hand

  connectedCallback() {
    this.input = this.querySelector("input[type=search]");
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "keydown", this.#shut);
    on(this, "keydown", this.#walk);
    on(this, "pointerdown", this.#shut);
    on(this, "click", this.#take);
    on(document, "htmx:after:swap", this.#tell); // who asked may be gone by then
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  get #hits() {
    return [...this.querySelectorAll("[data-hit]")];
  }

  #walk = (event) => {
    if (!ARROWS.has(event.key) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const hits = this.#hits;
    const from = hits.indexOf(event.target);
    const next = event.target === this.input ? event.key === "ArrowDown" && hits[0] : from >= 0 && this.#step(hits, from, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  };

  #shut = (event) => {
    const isShut = event.key === "Escape" && this.querySelector(".below")?.checkVisibility();
    if (isShut) {
      event.preventDefault(); // what is written stays: a search field would empty itself
      this.input.focus();
    }
    this.toggleAttribute("data-shut", Boolean(isShut));
  };

  #step(hits, from, key) {
    if (from === 0 && (key === "ArrowUp" || key === "ArrowLeft")) return this.input;
    return stepFrom(hits, from, key) ?? (key === "ArrowUp" ? this.input : undefined);
  }

  #take = (event) => {
    const more = event.target.closest("[rel=next]");
    const isBefore = (hit) => hit.compareDocumentPosition(more) & Node.DOCUMENT_POSITION_FOLLOWING;
    this.#place = more ? this.#hits.filter(isBefore).length : -1;
    const text = event.target.closest("[data-suggested]")?.dataset.suggested;
    if (text === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.input.value = text.endsWith(":") ? text : `${text} `;
    this.input.focus();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // What was found is said; who asked for more goes on where that begins.
  #tell = () => {
    const said = this.querySelector("[data-said]")?.dataset.said ?? "";
    const voice = this.querySelector("[data-part=voice]");
    if (voice.textContent !== said) voice.textContent = said;
    if (this.#place >= 0 && document.activeElement === document.body) this.#hits[this.#place]?.focus();
    this.#place = -1;
  };
}

customElements.define("search-box", SearchBox);
