// <compare-slider>: two pictures of a dialog one upon the other, parted where the slider stands. Without script they stand side by side.

class CompareSlider extends HTMLElement {
  connectedCallback() {
    this.range = this.querySelector("input[type=range]");
    this.addEventListener("change", (event) => event.target.name?.startsWith("how-") && this.#choose(event.target.value));
    this.range.addEventListener("input", () => this.#part());
    this.querySelector(".sides").addEventListener("pointermove", (event) => event.buttons & 1 && this.#follow(event));
    this.querySelector(".sides").addEventListener("pointerdown", (event) => this.#follow(event));
    this.#part();
  }

  #choose(how) {
    this.toggleAttribute("data-slides", how === "slider");
    this.range.closest(".slide").hidden = how !== "slider";
  }

  #follow(event) {
    if (!this.hasAttribute("data-slides") || event.pointerType === "touch") return; // a finger has the slider below
    const box = this.querySelector(".sides .pic").getBoundingClientRect();
    this.range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    this.#part();
    event.preventDefault();
  }

  // style by script alone: the policy forbids it in the page
  #part() {
    this.style.setProperty("--part", `${this.range.value}%`);
    this.range.setAttribute("aria-valuetext", `${this.range.value} % of the old version`);
  }
}

customElements.define("compare-slider", CompareSlider);
