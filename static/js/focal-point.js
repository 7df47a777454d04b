// <focal-point data-width data-height> around the stage: a click, or the arrows on the stage's button, move the ring.
// The numbers live in the form's two fields (focal_x, focal_y from 0 to 1); they are saved with it, and without script alone.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class FocalPoint extends HTMLElement {
  connectedCallback() {
    this.width = Number(this.dataset.width);
    this.height = Number(this.dataset.height);
    this.frame = this.querySelector(".frame");
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this.frame, "pointerdown", (event) => this.#start(event));
    on(this.frame, "pointermove", (event) => event.buttons & 1 && this.dragging && this.#follow(event));
    on(this.frame, "pointerup", () => (this.dragging = false));
    on(this, "keydown", (event) => this.#key(event));
    on(this, "click", (event) => event.target.closest("[data-act=centre]") && this.#set(null));
    on(document, "input", (event) => /^focal_[xy]$/.test(event.target.name) && this.#draw());
    on(document, "htmx:after:swap", () => this.#draw());
    for (const button of this.querySelectorAll(".hud [hidden]")) button.hidden = false;
    this.#draw();
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  #field(axis) {
    return document.querySelector(`[name=focal_${axis}]`);
  }

  get point() {
    const number = (axis) => {
      const value = this.#field(axis)?.value;
      return value === "" || value == null ? 0.5 : clamp(Number(value), 0, 1);
    };
    return { x: number("x"), y: number("y") };
  }

  #start(event) {
    if (event.button !== 0 || !this.#field("x")) return;
    event.preventDefault();
    this.frame.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.#follow(event);
  }

  #follow(event) {
    const box = this.frame.getBoundingClientRect();
    this.#set({ x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height });
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
  #set(point) {
    for (const axis of ["x", "y"]) {
      const field = this.#field(axis);
      if (!field) return;
      field.value = point ? clamp(point[axis], 0, 1).toFixed(2) : "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  #draw() {
    const { x, y } = this.point;
    for (const circle of this.frame.querySelectorAll("circle")) {
      circle.setAttribute("cx", x * this.width);
      circle.setAttribute("cy", y * this.height);
    }
    const words = this.querySelector("[data-part=words]");
    const text = `Focal point ${Math.round(x * 100)} %, ${Math.round(y * 100)} %`;
    if (words && words.textContent !== text) words.textContent = text;
    for (const crop of document.querySelectorAll("svg[data-crop]")) this.#cut(crop, x, y);
  }

  // The largest box of the preset's shape, as near to the focal point as the picture allows.
  #cut(crop, x, y) {
    const shape = Number(crop.dataset.crop);
    const width = Math.min(this.width, this.height * shape);
    const height = Math.min(this.height, this.width / shape);
    const left = clamp(x * this.width - width / 2, 0, this.width - width);
    const top = clamp(y * this.height - height / 2, 0, this.height - height);
    crop.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
  }
}

customElements.define("focal-point", FocalPoint);
