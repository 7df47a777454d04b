// Moving a picture without dragging: Space lifts it, arrows, Home and End carry it, Space or Enter drops it, Escape puts it back.
import { say } from "./say.js";
import { stepFrom } from "./gallery-keys.js";

const nameOf = (card) => card.querySelector(".name").textContent.trim();

export class Lift {
  #card = null;
  #followed; // the id of what came after it before it was lifted; undefined where nothing did
  #isMoving = false;

  // host: {grid, cards, focusCard}; drop: takes the card that is in no hand any more, and whether its place is another one
  constructor(host, drop) {
    this.host = host;
    this.drop = drop;
  }

  get card() {
    return this.#card;
  }

  /** True when the key was one of its own. */
  key(event, card) {
    if (this.#card && !this.#card.isConnected) this.#end();
    if (!this.#card) return event.key === " " && event.target.matches(".open") && this.#lift(card);
    if (event.key === " " || event.key === "Enter") return this.#put();
    if (event.key === "Escape") return this.cancel();
    const cards = this.host.cards;
    const from = cards.indexOf(this.#card);
    const step = stepFrom(cards, from, event.key);
    if (step && step !== this.#card) this.#carry(cards.indexOf(step) > from ? step.nextElementSibling : step);
    return Boolean(step) || event.key.startsWith("Arrow");
  }

  /** The focus went elsewhere: what hung in the air goes back. */
  left(to) {
    if (this.#card && !this.#isMoving && !this.#card.contains(to)) this.cancel();
  }

  #lift(card) {
    this.#card = card;
    this.#followed = card.nextElementSibling?.id;
    card.classList.add("lifted");
    say(`${nameOf(card)} lifted, ${this.#place()}. Arrows carry it, Space drops it, Escape puts it back.`);
    return true;
  }

  #carry(before) {
    this.#isMoving = true;
    this.host.grid.insertBefore(this.#card, before);
    this.host.focusCard(this.#card);
    this.#isMoving = false;
    this.#card.scrollIntoView({ block: "nearest" });
    say(this.#place());
  }

  #place() {
    const { before, total } = this.host.part;
    return `${before + this.host.cards.indexOf(this.#card) + 1} of ${total}`;
  }

  #put() {
    const card = this.#card;
    const isElsewhere = this.#isElsewhere;
    say(`${nameOf(card)} dropped, ${this.#place()}.`);
    this.#end();
    this.drop(card, isElsewhere);
    return true;
  }

  cancel() {
    const card = this.#card;
    const hadFocus = card.contains(document.activeElement);
    const followed = this.#followed ? document.getElementById(this.#followed) : null;
    if (this.#isElsewhere && (followed || !this.#followed)) {
      this.#isMoving = true;
      this.host.grid.insertBefore(card, followed);
      if (hadFocus) this.host.focusCard(card);
      this.#isMoving = false;
    }
    this.#end();
    say(`${nameOf(card)} is back in its place.`);
    this.drop(card, false);
    return true;
  }

  get #isElsewhere() {
    return this.#card.nextElementSibling?.id !== this.#followed;
  }

  #end() {
    this.#card?.classList.remove("lifted");
    this.#card = null;
  }
}
