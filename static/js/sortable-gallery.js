// <sortable-gallery> stays while the grid inside it is swapped: it wires each new grid for dragging, choosing and keys, and keeps
// the focus where the work is (after a removal: on the neighbour).
import { keepAtHand } from "./gallery-at-hand.js";
import { dragged, isPlaceForm, makeSortable, savePlace } from "./gallery-drag.js";
import { answerKey } from "./gallery-keys.js";
import { Lift } from "./gallery-lift.js";
import { openLightbox } from "./gallery-lightbox.js";
import { Selection } from "./gallery-selection.js";

const FOCUS_BACK_MS = 2000; // how long after a swap a lost focus is still ours to give back

class SortableGallery extends HTMLElement {
  connectedCallback() {
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    this.selection = new Selection(this, on);
    this.lift = new Lift(this, (...how) => this.#drop(...how));
    on(this, "focusin", (event) => this.#remember(event.target));
    on(this, "focusout", (event) => this.lift.left(event.relatedTarget));
    on(this, "click", (event) => this.#click(event));
    on(document, "keydown", (event) => this.#key(event));
    on(document, "htmx:before:request", () => (this.askedAt = performance.now()));
    // a card that asks whether it is ready asks again by itself: no notice each second while the portal is away
    on(this, "htmx:error", (event) => event.target.matches?.(".image-card") && event.stopPropagation());
    on(document, "htmx:finally:request", ({ detail }) => this.#refreshCounts(detail.ctx));
    on(document, "htmx:before:swap", (event) => this.#beforeSwap(event.detail));
    on(document, "htmx:response:error", (event) => isPlaceForm(event.target) && this.#refresh()); // a refused order
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

  /** How many pictures stand before those that are shown, and how many there are in all. */
  get part() {
    const { offset = 0, total = 0 } = this.querySelector("#gallery-grid")?.dataset ?? {};
    return { before: Number(offset), total: Math.max(Number(total), this.cards.length) };
  }

  focusCard(card) {
    const target = card?.querySelector("form.fields textarea, .open");
    target?.focus();
    target?.setSelectionRange?.(target.value.length, target.value.length);
  }

  #wire() {
    if (this.list !== this.grid) {
      this.sortable?.destroy();
      this.list = this.grid;
      this.sortable = this.list && document.getElementById("gallery-place") ? makeSortable(this.list, (...how) => this.#drop(...how)) : null;
      this.showMode();
    }
    this.selection.restore();
    this.#keepOneTabStop();
    this.#giveFocusBack();
  }

  /** The card that is lifted or dragged, or null. */
  get inHand() {
    return this.lift.card ?? dragged();
  }

  #drop(card, isElsewhere) {
    if (isElsewhere) savePlace(card);
    if (this.isStale) this.#refresh();
  }

  // New words change how many pictures lack them, which stands above the grid.
  #refreshCounts({ request, response }) {
    if (request.form?.matches("[data-act=describe]") && response?.status < 400) this.#refresh();
  }

  #refresh() {
    this.isStale = false;
    this.querySelector("#gallery-grid")?.dispatchEvent(new CustomEvent("refresh"));
  }

  #beforeSwap(detail) {
    this.isStale = keepAtHand(this, detail) || this.isStale;
    this.askedAt = performance.now(); // the answer may have taken longer than that
  }

  #remember(target) {
    target.closest("form.fields")?.scrollIntoView({ block: "nearest" }); // its buttons too
    const card = target.closest(".image-card");
    this.control = card ? null : target.id;
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
      for (const control of card.querySelectorAll("a, button, .pick input"))
        if (!control.closest("[popover], form:not(.tools form)")) control.tabIndex = card === current ? 0 : -1;
  }

  #giveFocusBack() {
    const lost = !document.activeElement || document.activeElement === document.body;
    if (!lost || performance.now() - (this.askedAt ?? -Infinity) > FOCUS_BACK_MS) return;
    const control = this.control && document.getElementById(this.control);
    if (control) return control.focus();
    if (!this.current) return;
    const cards = this.cards;
    this.focusCard(document.getElementById(this.current) ?? cards[Math.min(this.index, cards.length - 1)]);
  }

  /** The button that says whether one is choosing pictures. */
  showMode() {
    this.querySelector("#select-pictures")?.setAttribute("aria-pressed", this.classList.contains("selecting"));
  }

  #click(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act === "select") {
      if (!this.classList.toggle("selecting")) this.selection.clear();
      this.showMode();
    } else if (act === "view" && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      event.target.closest("[popover]")?.hidePopover();
      openLightbox(this.cards, event.target.closest(".image-card"), (id) => this.focusCard(document.getElementById(id)));
    }
  }

  #key(event) {
    const card = event.target.closest(".image-card");
    const isOurs = card && this.contains(card) && !event.target.closest("input:not([type=checkbox]), textarea, [popover]");
    if (event.defaultPrevented || (!isOurs && event.target !== document.body)) return;
    if (answerKey(this, event, isOurs ? card : null)) event.preventDefault();
  }
}

customElements.define("sortable-gallery", SortableGallery);
