// Which pictures are chosen. The cards' own checkboxes say it (so it works without script too); here are ranges, all, and that the
// choice outlives a new grid. Whoever shows it hears `gallery:chosen` on the document.

const boxOf = (card) => card?.querySelector(".pick input");

export class Selection {
  #ids = new Set();
  #anchor = null; // the id of the card that a range begins at

  constructor(host, on) {
    this.host = host;
    on(host, "click", (event) => this.#click(event));
    on(host, "change", (event) => event.target.closest(".pick") && this.#changed());
    on(document, "reset", (event) => event.target.id === "gallery-batch" && setTimeout(() => this.clear()));
  }

  get count() {
    return this.#ids.size;
  }

  get isOn() {
    return this.count > 0 || this.host.classList.contains("selecting");
  }

  has(card) {
    return Boolean(boxOf(card)?.checked);
  }

  toggle(card) {
    this.#set([card], !this.has(card));
    this.#anchor = card.id;
  }

  /** From where the last range or choice began to this card. */
  extend(card) {
    const cards = this.host.cards;
    const from = cards.findIndex((each) => each.id === this.#anchor);
    const to = cards.indexOf(card);
    if (from < 0) this.#anchor = card.id;
    this.#set(from < 0 ? [card] : cards.slice(Math.min(from, to), Math.max(from, to) + 1), true);
  }

  beginAt(card) {
    if (this.count === 0) this.#anchor = card.id;
  }

  choose(cards) {
    for (const box of this.host.querySelectorAll(".pick input")) box.checked = false;
    this.#set(cards, true);
  }

  chooseAll() {
    this.#set(this.host.cards, true);
  }

  clear() {
    this.host.classList.remove("selecting");
    this.#anchor = null;
    this.choose([]);
  }

  /** New cards have come: those that were chosen still are; those that left no longer. */
  restore() {
    if (this.count === 0) return;
    const before = this.count;
    for (const card of this.host.cards) if (this.#ids.has(card.id) && boxOf(card)) boxOf(card).checked = true;
    this.#read();
    if (this.count !== before) this.#tell();
  }

  #set(cards, isChosen) {
    for (const card of cards) if (boxOf(card)) boxOf(card).checked = isChosen;
    this.#changed();
  }

  #read() {
    this.#ids = new Set(this.host.cards.filter((card) => this.has(card)).map((card) => card.id));
  }

  #changed() {
    this.#read();
    this.#tell();
  }

  #tell() {
    this.host.dispatchEvent(new CustomEvent("gallery:chosen", { bubbles: true, detail: { count: this.count } }));
  }

  // A tick's own click has changed it already. While pictures are being chosen a click on one chooses it, as Shift always does.
  #click(event) {
    const card = event.target.closest(".image-card");
    if (!card) return;
    if (event.target.matches(".pick input")) {
      if (event.shiftKey && event.target.checked) this.extend(card);
      else this.#anchor = card.id;
    } else if (event.target.closest(".open") && event.detail > 0 && !event.ctrlKey && !event.metaKey) {
      if (!event.shiftKey && !this.isOn) return;
      event.preventDefault();
      if (event.shiftKey) this.extend(card);
      else this.toggle(card);
    }
  }
}
