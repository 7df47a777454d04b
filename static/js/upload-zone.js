// <upload-zone data-max-bytes data-max-mb data-max-pixels data-extensions> around the plain upload form.
// Takes pictures by drop anywhere on the page, by paste, by file dialog and by camera; works as a form without this script.

import { UploadQueue } from "./upload-queue.js";
import { UploadTray } from "./upload-tray.js";

const isTyping = (element) => element.closest?.("input, textarea, select, [contenteditable]");

class UploadZone extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.veil = document.getElementById("drop-veil");
    this.queue = new UploadQueue({
      url: this.form.action,
      token: this.form.elements.csrf_token.value,
      limits: {
        maxBytes: Number(this.dataset.maxBytes),
        maxMb: this.dataset.maxMb,
        maxPixels: Number(this.dataset.maxPixels),
        extensions: this.dataset.extensions.split(" "),
      },
      changed: (entry) => this.#changed(entry),
    });
    this.tray = new UploadTray(this.querySelector(".tray"), {
      cancel: (entry) => this.queue.cancel(entry),
      retry: (entry) => this.queue.again(entry),
      addAnyway: (entry) => this.queue.again(entry, { allow_duplicate: "true" }),
      dismiss: (entry) => this.#remove(entry),
    });
    this.ending = new AbortController();
    this.#listen();
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  #listen() {
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "change", (event) => {
      if (event.target.type !== "file") return;
      this.#take(event.target.files);
      event.target.value = ""; // the same file may be chosen again
    });
    on(document, "paste", (event) => {
      const files = event.clipboardData?.files;
      if (!files?.length || isTyping(event.target)) return;
      event.preventDefault();
      this.#take(files);
    });
    on(document, "click", (event) => {
      if (!event.target.closest(".tabbar .shoot")) return;
      event.preventDefault(); // without script the tab's camera leads to the form instead
      this.querySelector("input[capture]").click();
    });
    on(window, "beforeunload", (event) => this.queue.busy && event.preventDefault());
    this.#listenToDrops(on);
  }

  #listenToDrops(on) {
    let fromThisPage = false; // a picture of the page itself being dragged is no upload
    const hasFiles = (event) => !fromThisPage && event.dataTransfer?.types.includes("Files");
    on(document, "dragstart", () => (fromThisPage = true));
    on(document, "pointermove", () => (fromThisPage = false)); // not dragend: what was dragged may be gone by then
    on(window, "dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      this.#showVeil(event.dataTransfer.items.length);
    });
    on(window, "dragleave", (event) => event.relatedTarget === null && (this.veil.hidden = true));
    on(window, "drop", (event) => {
      this.veil.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#take(event.dataTransfer.files);
    });
  }

  #showVeil(count) {
    if (!this.veil.hidden) return;
    this.veil.querySelector("strong").textContent =
      count > 1 ? `Let go to add ${count} pictures` : "Let go to add the picture";
    this.veil.hidden = false;
  }

  #take(files) {
    for (const file of files) this.queue.add(file);
  }

  #changed(entry) {
    this.tray.draw(entry);
    if (entry.state !== "stored") return;
    this.#addCards(entry.html);
    this.#remove(entry);
    if (!this.queue.busy) this.#grid.dispatchEvent(new CustomEvent("refresh"));
  }

  #remove(entry) {
    this.queue.forget(entry);
    if (!this.tray.remove(entry)) this.querySelector(".picker").focus();
  }

  get #grid() {
    return document.getElementById("gallery-grid");
  }

  #addCards(html) {
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    for (const card of parsed.content.querySelectorAll(".image-card")) {
      const old = document.getElementById(card.id);
      if (old) old.replaceWith(card);
      else this.#grid.querySelector(".gallery").append(card);
      window.htmx.process(card); // a pending card polls until it is ready
    }
    this.querySelector(".upload-zone").classList.remove("roomy");
    this.querySelector("[data-when=empty]")?.remove();
    this.querySelector("[data-when=filled]")?.removeAttribute("hidden");
  }
}

customElements.define("upload-zone", UploadZone);
