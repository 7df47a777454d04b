// <upload-zone data-max-bytes data-max-mb data-max-pixels data-extensions data-known data-page data-gallery> around the plain
// upload form. Takes pictures by drop anywhere on the page, by paste, by file dialog and by camera, and goes on with those that
// an earlier page left; works as a form without this script.

import { UploadAccount } from "./upload-account.js";
import { limitsOf } from "./upload-checks.js";
import { takeDrops } from "./upload-drops.js";
import { UploadQueue, isUnderWay } from "./upload-queue.js";
import { onForgotten } from "./upload-store.js";
import { UploadTray } from "./upload-tray.js";

const PAUSED = "uploads-paused"; // in this tab: outlives a refresh
const isTyping = (element) => element.closest?.("input, textarea, select, [contenteditable]");

class UploadZone extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    const { page, gallery, known } = this.dataset;
    const url = this.form.getAttribute("action");
    const account = new UploadAccount(page, this.form.elements.csrf_token.value);
    this.queue = new UploadQueue({
      target: { url, page, gallery },
      desk: { url, knownUrl: known, account, limits: limitsOf(this.dataset) },
      paused: sessionStorage.getItem(PAUSED) === url,
      changed: (entry) => this.#changed(entry),
    });
    this.tray = new UploadTray(this.querySelector("#upload-tray"), {
      cancel: (entry) => this.queue.cancel(entry),
      retry: (entry) => this.queue.again(entry),
      addAnyway: (entry) => this.queue.again(entry, { allow_duplicate: "true" }),
      dismiss: (entry) => this.#remove(entry),
      pause: (paused) => this.#pause(paused, url),
      isPaused: () => this.queue.paused,
    });
    this.ending = new AbortController();
    this.#listen();
    this.queue.resume();
    for (const input of this.querySelectorAll("input[type=file]")) this.#take(input); // chosen before this script was there
  }

  disconnectedCallback() {
    this.ending.abort();
    this.queue.close();
  }

  // There may be a network again; somebody may have signed in meanwhile, or closed another tab with files of this gallery.
  #comeBack() {
    this.queue.hurry();
    this.queue.resume();
  }

  #pause(paused, url) {
    sessionStorage.setItem(PAUSED, paused ? url : "");
    this.queue.pause(paused);
    this.tray.summarise();
  }

  #take(input) {
    if (!input.files.length) return;
    this.queue.add(input.files);
    input.value = ""; // the same file may be chosen again
  }

  #listen() {
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "change", (event) => {
      if (event.target.type === "file") this.#take(event.target);
    });
    on(document, "paste", (event) => {
      const files = event.clipboardData?.files;
      if (!files?.length || isTyping(event.target)) return;
      event.preventDefault();
      this.queue.add(files);
    });
    on(document, "click", (event) => {
      if (!event.target.closest(".tabbar .shoot")) return;
      event.preventDefault(); // without script the tab's camera leads to the form instead
      this.querySelector("input[capture]").click();
    });
    onForgotten((ids) => this.queue.letGo(ids), this.ending.signal);
    on(window, "online", () => this.queue.hurry());
    on(document, "signed-in", () => this.#comeBack());
    on(window, "focus", () => this.#comeBack());
    on(document, "visibilitychange", () => document.visibilityState === "visible" && this.#comeBack());
    // what is kept goes on by itself on the next page; only what could not be kept is worth a question
    on(window, "beforeunload", (event) => {
      if (this.queue.entries.some((entry) => isUnderWay(entry) && !entry.kept)) event.preventDefault();
    });
    takeDrops(on, document.getElementById("drop-veil"), (files) => this.queue.add(files));
  }

  #changed(entry) {
    if (entry.state === "stored") entry.lookalike ??= this.#addCards(entry.html);
    const isOver = entry.state === "gone" || (entry.state === "stored" && !entry.lookalike);
    if (isOver) this.#remove(entry);
    else this.tray.draw(entry);
    if (["stored", "gone"].includes(entry.state) && !this.queue.entries.some(isUnderWay))
      this.#grid.dispatchEvent(new CustomEvent("refresh"));
  }

  #remove(entry) {
    this.queue.dismiss(entry);
    if (!this.tray.remove(entry)) this.querySelector(".picker").focus();
  }

  get #grid() {
    return document.getElementById("gallery-grid");
  }

  // Gives what a new picture looks like, if the server has found something.
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
    return parsed.content.querySelector(".twins");
  }
}

customElements.define("upload-zone", UploadZone);
