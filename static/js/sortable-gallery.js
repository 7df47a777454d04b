// <sortable-gallery> stays while the grid inside it is swapped: it wires each new grid for dragging and for keys,
// and keeps the focus where the work is (after a removal: on the neighbour).

import Sortable from "../vendor/sortable.esm.js";
import { actOnKey, stepFrom } from "./gallery-keys.js";

const FOCUS_BACK_MS = 2000; // how long after a swap a lost focus is still ours to give back

class SortableGallery extends HTMLElement {
  connectedCallback() {
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "focusin", (event) => this.#remember(event.target.closest(".image-card")));
    on(document, "keydown", (event) => this.#key(event));
    on(document, "htmx:before:request", () => (this.askedAt = performance.now()));
    // a card that asks whether it is ready asks again by itself: no notice each second while the portal is away
    on(this, "htmx:error", (event) => event.target.matches?.(".image-card") && event.stopPropagation());
    on(document, "htmx:finally:request", ({ detail }) => this.#refreshCounts(detail.ctx));
    on(document, "htmx:before:swap", () => this.#beforeSwap());
    on(document, "htmx:response:error", (event) => this.#undoDrag(event));
    this.watcher = new MutationObserver(() => this.#wire());
    this.watcher.observe(this, { childList: true, subtree: true });
    this.#wire();
  }

  disconnectedCallback() {
    this.ending.abort();
    this.watcher.disconnect();
    this.sortable?.destroy();
  }

  get grid() {
    return this.querySelector(".gallery");
  }

  get cards() {
    return [...this.querySelectorAll(".image-card")];
  }

  #wire() {
    if (this.list !== this.grid) {
      this.sortable?.destroy();
      this.list = this.grid;
      this.sortable = this.list && this.#order() ? this.#makeSortable() : null;
    }
    this.#keepOneTabStop();
    this.#giveFocusBack();
  }

  #order() {
    return document.getElementById("gallery-order");
  }

  #makeSortable() {
    return Sortable.create(this.list, {
      draggable: ".image-card",
      filter: "input, textarea, button, form, [popover]",
      preventOnFilter: false,
      delay: 220, // a finger that only scrolls must not lift a picture
      delayOnTouchOnly: true,
      touchStartThreshold: 5,
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 220,
      ghostClass: "dragged",
      onEnd: (event) => {
        if (event.oldIndex === event.newIndex) return;
        this.askedAt = performance.now();
        this.#order().requestSubmit(); // each card carries its id for this form, in page order
      },
    });
  }

  // New words change how many pictures lack them, which stands above the grid.
  #refreshCounts({ request, response }) {
    if (request.form?.matches("[data-act=describe]") && response?.status < 400) this.#refresh();
  }

  #refresh() {
    this.querySelector("#gallery-grid")?.dispatchEvent(new CustomEvent("refresh"));
  }

  // Sortable leaves style attributes behind; htmx would copy them to the new elements, which the policy forbids.
  #beforeSwap() {
    this.askedAt = performance.now(); // the answer may have taken longer than that
    for (const element of this.querySelectorAll("[style]")) element.removeAttribute("style");
  }

  // A refused order: what the page shows is no longer what is stored.
  #undoDrag(event) {
    if (event.target === this.#order()) this.#refresh();
  }

  #remember(card) {
    if (!card) return;
    this.current = card.id;
    this.index = this.cards.indexOf(card);
    this.#keepOneTabStop();
  }

  // With script the grid is one tab stop: the current card's own controls follow it, all others are reached by arrows.
  #keepOneTabStop() {
    const cards = this.cards;
    const current = cards.find((card) => card.id === this.current) ?? cards[0];
    for (const card of cards)
      for (const control of card.querySelectorAll("a, button"))
        if (!control.closest("[popover], form:not(.tools form)"))
          control.tabIndex = card === current ? 0 : -1;
  }

  #giveFocusBack() {
    const lost = !document.activeElement || document.activeElement === document.body;
    if (!lost || !this.current || performance.now() - (this.askedAt ?? -Infinity) > FOCUS_BACK_MS) return;
    const cards = this.cards;
    const card = document.getElementById(this.current) ?? cards[Math.min(this.index, cards.length - 1)];
    this.#focus(card);
  }

  #focus(card) {
    const target = card?.querySelector("[autofocus]") ?? card?.querySelector(".open");
    card?.querySelector("form.fields")?.scrollIntoView({ block: "nearest" });
    target?.focus();
    target?.setSelectionRange?.(target.value.length, target.value.length);
  }

  #key(event) {
    if (event.defaultPrevented || event.altKey || event.target.closest("input, textarea, select, [popover], dialog")) return;
    if (event.key === "?") return document.getElementById("gallery-keys")?.showModal();
    if (event.ctrlKey || event.metaKey) return;
    const card = event.target.closest(".image-card");
    if (!card || !this.contains(card)) return;
    const cards = this.cards;
    const step = stepFrom(cards, cards.indexOf(card), event.key);
    if (step) this.#focus(step);
    if (step || actOnKey(card, event)) event.preventDefault();
  }
}

customElements.define("sortable-gallery", SortableGallery);
