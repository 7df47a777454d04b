// <focal-point> in a picture-preview: a click, or the arrows on the stage's button, move the ring. It is drawn on the picture
// as people see it; the form's two fields (focal_x, focal_y) hold it in 0..1 of the upright original, and are saved with it.

import { toOriginal, toShown } from "./edit-geometry.js";
import { drawPresets } from "./preset-previews.js";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CENTRE = { x: 0.5, y: 0.5 };

class FocalPoint extends HTMLElement {
  connectedCallback() {
    this.edits = this.closest("picture-preview").told.edits;
    this.svg = this.querySelector("svg.focal");
    if (!this.svg) return; // for who may only look
    const { width, height } = this.svg.viewBox.baseVal;
    Object.assign(this, { width, height });
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this.svg, "pointerdown", (event) => this.#start(event));
    on(this.svg, "pointermove", (event) => event.buttons & 1 && this.dragging && this.#follow(event));
    on(this.svg, "pointerup", (event) => this.#end(event));
    on(this.svg, "click", (event) => this.#follow(event));
    on(this.svg, "touchstart", (event) => event.target.matches(".grip") && event.preventDefault()); // else the page scrolls
    on(this, "keydown", (event) => this.#key(event));
    on(this, "click", (event) => event.target.closest("[data-act=centre]") && this.#set(null));
    on(document, "input", (event) => /^focal_[xy]$/.test(event.target.name) && this.draw());
    on(document, "htmx:after:swap", () => this.draw());
    this.draw();
  }

  disconnectedCallback() {
    this.ending?.abort();
  }

  #field(axis) {
    return document.querySelector(`[name=focal_${axis}]`);
  }

  /** In 0..1 of a picture with these edits; null where there is none of its own. */
  pointIn(edits) {
    const [x, y] = ["x", "y"].map((axis) => this.#field(axis)?.value.trim().replace(",", ".") ?? "");
    if (x === "" && y === "") return null;
    const [left, top] = [x, y].map((value) => (value === "" ? 0.5 : clamp(Number(value) || 0, 0, 1)));
    return toShown({ x: left, y: top }, edits);
  }

  /** In 0..1 of the picture as it is shown. */
  get point() {
    return this.pointIn(this.edits) ?? CENTRE;
  }

  #start(event) {
    if (event.button !== 0 || !this.#field("x")) return;
    if (event.pointerType === "touch" && !event.target.matches(".grip")) return; // it may scroll; a tap comes as a click
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.#follow(event);
  }

  #end(event) {
    if (this.dragging) this.#follow(event); // the last step of a fast hand may come with no move of its own
    this.dragging = false;
  }

  #follow(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    this.#set({ x: at.x / this.width, y: at.y / this.height });
  }

  #key(event) {
    const move = MOVES[event.key];
    if (!move || !event.target.closest("[data-act=move]")) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : 0.01;
    const { x, y } = this.point;
    this.#set({ x: x + move[0] * step, y: y + move[1] * step });
  }

  // null: no focal point of its own; the picture is cut around its middle.
  #set(shown) {
    const point = shown && toOriginal({ x: clamp(shown.x, 0, 1), y: clamp(shown.y, 0, 1) }, this.edits);
    for (const axis of ["x", "y"]) {
      const field = this.#field(axis);
      if (!field) return;
      field.value = point ? Number(point[axis].toFixed(4)) : "";
    }
    this.#field("x").dispatchEvent(new Event("input", { bubbles: true }));
  }

  draw() {
    const { x, y } = this.point;
    for (const circle of this.svg.querySelectorAll("circle")) {
      circle.setAttribute("cx", x * this.width);
      circle.setAttribute("cy", y * this.height);
    }
    const words = this.querySelector("[data-part=words]");
    const text = `Focal point ${Math.round(x * 100)} %, ${Math.round(y * 100)} %`;
    if (words && words.textContent !== text) words.textContent = text;
    if (this.closest("crop-box[open]")) return; // which draws them itself
    const size = { width: this.width, height: this.height };
    drawPresets({ x: 0, y: 0, ...size }, size, { x: x * this.width, y: y * this.height });
  }
}

customElements.define("focal-point", FocalPoint);
