// <crop-box data-original> around the stage: a frame on the whole picture, turned and flipped as it is shown. It fills the crop
// form's four fields (in 0..1 of the upright original) and sends it; without script they are typed.

import { WHOLE, boxToOriginal, boxToShown, matrixBetween, sizeShown } from "./edit-geometry.js";
import { drawCrop } from "./crop-drawing.js";
import "./crop-opener.js";
import { move, reshape, resize } from "./crop-shape.js";
import { drawCropped } from "./preset-previews.js";

const ARROWS = { ArrowLeft: [-1, 0, "e"], ArrowRight: [1, 0, "e"], ArrowUp: [0, -1, "s"], ArrowDown: [0, 1, "s"] };
const percent = (part, whole) => `${Math.round((100 * part) / whole)} %`;

class CropBox extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form.crop-bar");
    if (!this.form) return; // for who may only look
    const { edits, original } = this.closest("picture-preview").told;
    this.edits = edits;
    this.whole = { ...this.edits, crop: undefined };
    this.size = sizeShown(original, this.whole);
    this.underneath = this.querySelector(".crop-frame image"); // what was cut off, where something was
    this.underneath?.setAttribute("transform", matrixBetween({}, this.whole, original));
    this.frame = this.querySelector("[data-part=frame]");
    this.svg = this.frame.querySelector("svg");
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "click", (event) => this.#click(event.target));
    on(this, "keydown", (event) => this.#key(event));
    // what is rendered meanwhile may not take the frame out of the hand
    for (const name of ["htmx:before:request", "htmx:before:swap"])
      on(this, name, (event) => this.hasAttribute("open") && event.preventDefault());
    on(this.form, "change", (event) => event.target.name === "shape" && this.#reshape());
    this.addEventListener("submit", () => this.#fill(), { capture: true, signal: this.ending.signal }); // before htmx reads it
    on(this.svg, "pointerdown", (event) => this.#grab(event));
    on(this.svg, "pointermove", (event) => this.grip && event.buttons & 1 && this.#drag(event));
    on(this.svg, "pointerup", (event) => this.#drop(event));
    this.watching = new ResizeObserver(() => this.hasAttribute("open") && this.#set(this.box));
    this.watching.observe(this.svg);
  }

  disconnectedCallback() {
    this.ending?.abort();
    this.watching?.disconnect();
  }

  open() {
    const { width, height } = this.size;
    const part = boxToShown(this.edits.crop ?? WHOLE, this.whole);
    this.box = { x: part.x * width, y: part.y * height, width: part.width * width, height: part.height * height };
    this.underneath?.setAttribute("href", this.dataset.original);
    this.form.reset();
    this.upended = false;
    this.setAttribute("open", "");
    this.#reshape();
    this.frame.focus({ preventScroll: true });
    this.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.removeAttribute("open");
    this.querySelector("focal-point").draw();
    document.querySelector("[data-act=crop]")?.focus();
  }

  /** Width to height, or null for any. */
  get ratio() {
    const chosen = this.form.elements.shape.value;
    const ratio = chosen === "original" ? this.size.width / this.size.height : Number(chosen);
    return ratio && this.upended ? 1 / ratio : ratio || null;
  }

  #click(target) {
    if (target.closest("[data-act=cancel]")) this.close();
    if (!target.closest("[data-act=upend]")) return;
    this.upended = !this.upended;
    this.#reshape();
  }

  #reshape() {
    this.querySelector("[data-act=upend]").disabled = !this.ratio;
    this.#set(reshape(this.box, this.ratio, this.size));
  }

  #key(event) {
    if (!this.hasAttribute("open")) return;
    if (event.key === "Escape") this.close();
    else if (event.target === this.frame && event.key === "Enter") this.form.requestSubmit();
    else if (event.target === this.frame && ARROWS[event.key]) this.#step(event);
    else return;
    event.preventDefault();
  }

  #step(event) {
    const [right, down, edge] = ARROWS[event.key];
    const step = Math.max(1, Math.max(this.size.width, this.size.height) / 100);
    const { x, y, width, height } = this.box;
    const corner = { x: x + width + right * step, y: y + height + down * step };
    if (event.shiftKey) this.#set(resize(this.box, edge, corner, this.ratio, this.size));
    else this.#set(move(this.box, right * step, down * step, this.size));
  }

  #at(event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
  }

  #grab(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.frame.focus({ preventScroll: true });
    this.svg.setPointerCapture(event.pointerId);
    this.grip = { edge: event.target.dataset.edge ?? "", from: this.#at(event), box: this.box };
  }

  #drag(event) {
    const { edge, from, box } = this.grip;
    const at = this.#at(event);
    const held = { x: edge.includes("w") ? box.x : box.x + box.width, y: edge.includes("n") ? box.y : box.y + box.height };
    const corner = { x: held.x + at.x - from.x, y: held.y + at.y - from.y };
    if (edge) this.#set(resize(box, edge, corner, this.ratio, this.size));
    else this.#set(move(box, at.x - from.x, at.y - from.y, this.size));
  }

  #drop(event) {
    if (this.grip) this.#drag(event); // the last step of a fast hand may come with no move of its own
    this.grip = null;
  }

  #set(box) {
    this.box = box;
    const { x, y, width, height } = box;
    drawCrop(this.svg, box, this.size);
    drawCropped(this);
    const [pixels, place] = this.querySelector("[data-part=said]").children;
    pixels.textContent = `${Math.round(width)} × ${Math.round(height)}`;
    place.textContent = ` pixels, ${percent(x, this.size.width)} from the left, ${percent(y, this.size.height)} from the top`;
  }

  // Plain submits without the frame being open send what was typed.
  #fill() {
    if (!this.hasAttribute("open")) return;
    const { width, height } = this.size;
    const { x, y, ...sides } = this.box;
    const shown = { x: x / width, y: y / height, width: sides.width / width, height: sides.height / height };
    const box = boxToOriginal(shown, this.whole);
    for (const [name, value] of Object.entries(box)) this.form.elements[`crop_${name}`].value = value.toFixed(7);
    this.close();
  }
}

customElements.define("crop-box", CropBox);
