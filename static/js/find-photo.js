// <find-photo> around the form: a photo that is dropped on the page or pasted is sent at once, one that is taken or chosen too (by
// the form itself), and what was sent stands beside what was found.

const WIDTH = 192; // pixels, of a picture 96 wide
const isFile = (transfer) => transfer?.types.includes("Files");

class FindPhoto extends HTMLElement {
  #photo = null; // small, as it was chosen

  connectedCallback() {
    this.ending = new AbortController();
    const on = (target, name, act, capture = false) => target.addEventListener(name, act, { signal: this.ending.signal, capture });
    on(window, "dragover", this.#over);
    on(window, "dragleave", (event) => event.relatedTarget === null && this.classList.remove("over"));
    on(window, "drop", this.#drop);
    on(window, "paste", (event) => this.#give(event.clipboardData?.files));
    on(this, "change", this.#chosen, true);
    on(document, "htmx:before:request", (event) => this.contains(event.target) && this.#say("Comparing it with every picture…"));
    on(document, "htmx:after:swap", () => this.#answered());
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  #part(name) {
    return this.querySelector(`[data-part=${name}]`);
  }

  #say(words) {
    this.#part("voice").textContent = words;
  }

  #over = (event) => {
    if (!isFile(event.dataTransfer)) return;
    event.preventDefault();
    this.classList.add("over");
  };

  #drop = (event) => {
    if (!isFile(event.dataTransfer)) return;
    event.preventDefault();
    this.classList.remove("over");
    this.#give(event.dataTransfer.files);
  };

  // Into the one field that is sent, whose change sends it.
  #give(files) {
    if (!files?.length) return;
    const one = new DataTransfer();
    one.items.add(files[0]);
    const field = this.#part("file");
    field.files = one.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #chosen = (event) => {
    if (event.target === this.#part("camera")) {
      event.stopPropagation();
      this.#give(event.target.files);
      return;
    }
    const [file] = event.target.files;
    if (!file) {
      event.stopPropagation(); // the choice was called off
      return;
    }
    this.#draw(file);
  };

  // A file that no browser can open is shown by no picture; the answer says what is wrong with it.
  async #draw(file) {
    this.#photo = null;
    const bitmap = await createImageBitmap(file, { resizeWidth: WIDTH, resizeQuality: "medium" }).catch(() => null);
    if (!bitmap) return;
    this.#photo = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    this.#photo.role = "img";
    this.#photo.ariaLabel = "The photo that is looked for";
    this.#photo.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#show();
  }

  #show() {
    if (this.#photo) this.#part("shown").replaceChildren(this.#photo);
  }

  #answered() {
    this.#show();
    this.#say(this.querySelector("[data-said]")?.dataset.said ?? "");
    this.querySelector("[aria-invalid]")?.focus();
  }
}

customElements.define("find-photo", FindPhoto);
