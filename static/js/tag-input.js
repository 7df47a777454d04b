// <tag-input data-options> around the plain field of tags with commas between them: each tag is a chip that can be taken off, and while one
// types, known tags are offered (a combobox: arrows choose, Enter or a comma takes, Backspace in the empty field takes the last one off).

const PAUSE = 120; // ms

const make = (name, attributes, ...inside) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
};

class TagInput extends HTMLElement {
  connectedCallback() {
    const field = this.querySelector("input[name=tags]");
    if (!field || field.disabled || this.stored) return;
    this.#build(field);
    this.addEventListener("click", (event) => this.#click(event.target));
    this.typed.addEventListener("input", () => this.#type());
    this.typed.addEventListener("keydown", (event) => this.#key(event));
    this.typed.addEventListener("focus", () => this.#ask());
    this.addEventListener("focusout", (event) => this.contains(event.relatedTarget) || this.#leave());
    this.closest("form").addEventListener("submit", () => this.#leave(), { capture: true }); // before htmx reads it
    this.addEventListener("pointerdown", (event) => event.target.closest("[role=option]") && event.preventDefault());
    this.#draw();
  }

  // A page may have drawn the chips already, so that nothing moves.
  #build(field) {
    this.stored = make("input", { type: "hidden", name: "tags", value: field.value, "data-first": field.defaultValue });
    this.typed = field;
    if (!this.querySelector(".tags-input")) {
      const frame = make("div", { class: "tags-input input" }, make("ul", { "aria-label": "Tags of this picture" }));
      field.before(frame);
      frame.append(field);
      field.classList.remove("input");
    }
    this.chips = this.querySelector("ul");
    field.removeAttribute("name");
    field.defaultValue = field.value = "";
    const combobox = { role: "combobox", "aria-expanded": "false", "aria-controls": "tag-options", "aria-autocomplete": "list" };
    for (const [name, value] of Object.entries({ ...combobox, placeholder: "Add a tag" })) field.setAttribute(name, value);
    this.list = make("div", { role: "listbox", id: "tag-options", "aria-label": "Tags that are known" });
    field.after(this.list);
    this.append(this.stored);
  }

  get tags() {
    return this.stored.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  }

  #set(tags) {
    this.stored.value = [...new Set(tags)].join(", ");
    this.#draw();
    this.stored.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #draw() {
    const chip = (tag) => {
      const off = make("button", { type: "button", "data-off": tag, "aria-label": `Remove the tag ${tag}` }, "×");
      return make("li", { class: "tag" }, tag, off);
    };
    this.chips.replaceChildren(...this.tags.map(chip));
  }

  #add(text) {
    const fresh = text.split(",").map((tag) => tag.trim()).filter(Boolean);
    this.typed.value = "";
    this.#close();
    if (fresh.length) this.#set([...this.tags, ...fresh]);
  }

  #click(target) {
    const off = target.closest("[data-off]");
    const option = target.closest("[role=option]");
    if (option) this.#add(option.dataset.tag);
    else if (off) this.#takeOff(this.tags.indexOf(off.dataset.off));
    else if (target.closest(".tags-input")) this.typed.focus();
  }

  // The focus goes to the neighbour, or to the field.
  #takeOff(place) {
    this.#set(this.tags.toSpliced(place, 1));
    const beside = this.chips.children[Math.min(place, this.chips.children.length - 1)];
    (beside?.querySelector("button") ?? this.typed).focus();
  }

  #type() {
    if (this.typed.value.includes(",")) return this.#add(this.typed.value);
    clearTimeout(this.pausing);
    this.pausing = setTimeout(() => this.#ask(), PAUSE);
  }

  async #ask() {
    const asked = (this.asked = this.typed.value.trim());
    const answer = await fetch(`${this.dataset.options}?q=${encodeURIComponent(asked)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || this.asked !== asked || document.activeElement !== this.typed) return; // typed on, or gone on
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("[role=option]");
    const chosen = this.list.children[this.at]?.dataset.tag; // an arrow may have been faster than this answer
    this.list.replaceChildren(...[...found].filter((option) => !this.tags.includes(option.dataset.tag)));
    [...this.list.children].forEach((option, number) => (option.id = `tag-option-${number}`));
    this.#point([...this.list.children].findIndex((option) => option.dataset.tag === chosen));
    this.typed.setAttribute("aria-expanded", String(this.list.childElementCount > 0));
  }

  #point(place) {
    this.at = place;
    [...this.list.children].forEach((option, number) => option.setAttribute("aria-selected", String(number === place)));
    if (place < 0) this.typed.removeAttribute("aria-activedescendant");
    else this.typed.setAttribute("aria-activedescendant", `tag-option-${place}`);
  }

  #key(event) {
    const options = this.list.children;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) this.#point(((this.at + 1 + step + options.length + 1) % (options.length + 1)) - 1);
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && (options[this.at] || this.typed.value.trim()))
      this.#add(options[this.at]?.dataset.tag ?? this.typed.value);
    else if (event.key === "Escape" && options.length) this.#close();
    else if (event.key === "Backspace" && !this.typed.value && this.tags.length) this.#set(this.tags.slice(0, -1));
    else return;
    event.preventDefault();
  }

  #close() {
    this.asked = null;
    clearTimeout(this.pausing);
    this.list.replaceChildren();
    this.#point(-1);
    this.typed.setAttribute("aria-expanded", "false");
  }

  // What was typed to its end counts, also without a comma.
  #leave() {
    this.#add(this.typed.value);
  }
}

customElements.define("tag-input", TagInput);
