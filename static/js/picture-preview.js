// <picture-preview data-edits data-width data-height data-revision data-rendering data-made-with> around the stage; width and height
// are the upright original's. While new renditions are made, it shows the old picture as the new one will be: nothing jumps twice.

import { matrixBetween, sizeShown } from "./edit-geometry.js";

const SVG = "http://www.w3.org/2000/svg";

const draw = (name, attributes, ...inside) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
};

class PicturePreview extends HTMLElement {
  connectedCallback() {
    const image = this.querySelector(".frame > img:not(.blur)");
    if (image && this.dataset.madeWith) this.#foretell(image, JSON.parse(this.dataset.madeWith));
    this.#keepUp();
  }

  /** The edits that are wanted, and the upright original's size. */
  get told() {
    const { edits, width, height } = this.dataset;
    return { edits: JSON.parse(edits), original: { width: Number(width), height: Number(height) } };
  }

  #foretell(image, before) {
    const { edits, original } = this.told;
    const from = sizeShown(original, before);
    const { width, height } = sizeShown(original, edits);
    const picture = draw("image", {
      href: image.currentSrc || image.src,
      width: from.width,
      height: from.height,
      preserveAspectRatio: "none",
      transform: matrixBetween(before, edits, original),
    });
    const whole = draw("svg", { width, height }, picture); // an inner one cuts off what the crop does
    image.replaceWith(draw("svg", { class: "foretold", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": image.alt }, whole));
  }

  // What this page itself has changed is no reason to tell its form that somebody else was first.
  #keepUp() {
    const seen = document.querySelector("#metadata-form [name=revision]");
    if (this.hasAttribute("data-changed-here") && seen && Number(seen.value) === this.dataset.revision - 1)
      seen.value = this.dataset.revision;
  }
}

// A version brought back from beside the other: what they were compared for is decided.
document.addEventListener("submit", (event) => event.target.closest("dialog.compare")?.close());

customElements.define("picture-preview", PicturePreview);
