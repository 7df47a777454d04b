// <replace-file data-max-bytes data-max-mb data-max-pixels data-extensions> around the plain form: the button asks for a file at
// once, a file may be dropped on the stage, and #replacing tells how it goes or what stands against it.

import { megabytes, reasonToRefuse } from "./upload-checks.js";

const isFile = (event) => event.dataTransfer?.types.includes("Files");
const stageAt = (event) => event.target.closest?.("#picture .stage");

class ReplaceFile extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.input = this.form.elements.file;
    this.panel = document.getElementById("replacing");
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this.querySelector("summary"), "click", (event) => {
      event.preventDefault();
      this.input.click();
    });
    on(this.input, "change", () => this.#take(this.input.files[0]));
    on(this.#part("again"), "click", () => this.#send());
    on(this.#part("close"), "click", () => this.#close());
    on(window, "beforeunload", (event) => this.xhr && event.preventDefault());
    this.#listenToDrops(on);
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  // A file let go beside the stage would take its reader away from the page.
  #listenToDrops(on) {
    const mark = (stage) => {
      document.querySelector("#picture .stage.over")?.classList.remove("over");
      stage?.classList.add("over");
    };
    on(window, "dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = stageAt(event) ? "copy" : "none";
      mark(stageAt(event));
    });
    on(window, "dragleave", (event) => event.relatedTarget === null && mark(null));
    on(window, "drop", (event) => {
      mark(null);
      if (!isFile(event)) return;
      event.preventDefault();
      if (stageAt(event)) this.#take(event.dataTransfer.files[0]);
    });
  }

  #part(name) {
    return this.panel.querySelector(`[data-part=${name}]`);
  }

  #say(message, { progress = null, refused = false, again = false, twin = null } = {}) {
    this.panel.hidden = false;
    this.#part("row").classList.toggle("refused", refused);
    this.#part("message").textContent = message;
    this.#part("progress").hidden = progress === null;
    this.#part("progress").value = progress ?? 0;
    this.#part("again").hidden = !again;
    this.#part("twin").hidden = !twin;
    if (twin) this.#part("twin").href = `/images/${twin}`;
    this.#part("close").ariaLabel = refused ? "Dismiss" : "Cancel";
  }

  async #take(file) {
    this.input.value = ""; // the same file may be chosen again
    if (!file || this.xhr) return;
    this.file = file;
    this.#part("name").textContent = file.name;
    this.#say("Looking at the file…");
    const { maxBytes, maxMb, maxPixels, extensions } = this.dataset;
    const limits = { maxBytes: Number(maxBytes), maxMb, maxPixels: Number(maxPixels), extensions: extensions.split(" ") };
    const reason = await reasonToRefuse(file, limits);
    if (reason) this.#say(reason, { refused: true });
    else this.#send();
  }

  #send() {
    const body = new FormData();
    body.append("csrf_token", this.form.elements.csrf_token.value);
    body.append("file", this.file, this.file.name);
    const xhr = (this.xhr = new XMLHttpRequest());
    xhr.open("POST", this.form.action);
    xhr.setRequestHeader("HX-Request", "true");
    xhr.setRequestHeader("Accept", "text/html, application/problem+json");
    xhr.setRequestHeader("X-CSRF-Token", this.form.elements.csrf_token.value);
    xhr.upload.onprogress = ({ loaded, total }) =>
      this.#say(loaded < total ? `${megabytes(loaded)} of ${megabytes(total)}` : "Being checked…", { progress: (100 * loaded) / total });
    xhr.onload = () => this.#answered(xhr);
    xhr.onerror = () => this.#refuse("The connection broke off. The picture is as it was; the file waits here.", { again: true });
    this.#say(`0 of ${megabytes(this.file.size)}`, { progress: 0 });
    xhr.send(body);
  }

  #answered(xhr) {
    if (xhr.status === 200 || xhr.status === 201) return this.#renew(xhr.responseText);
    const problem = xhr.getResponseHeader("Content-Type")?.includes("json") ? JSON.parse(xhr.responseText) : {};
    if (problem.code === "duplicate") return this.#refuse(problem.detail, { twin: problem.image_id });
    if (xhr.status === 401) return this.#refuse("You are signed out. Sign in in another tab, then try again here.", { again: true });
    const again = xhr.status >= 429 || !problem.detail;
    return this.#refuse(problem.detail ?? `The portal could not store it (${xhr.status}). The file itself may be fine.`, { again });
  }

  #refuse(message, more = {}) {
    this.xhr = null;
    this.#say(message, { refused: true, ...more });
  }

  // What the form itself would renew, had htmx sent it: htmx tells nothing of how much is sent.
  #renew(text) {
    this.#close();
    const said = (name) => this.form.getAttribute(name);
    const where = { target: said("hx-target"), swap: said("hx-swap"), selectOOB: said("hx-select-oob") };
    window.htmx.swap({ text, sourceElement: this.form, ...where });
  }

  #close() {
    this.xhr?.abort();
    this.xhr = null;
    this.panel.hidden = true;
    this.querySelector("summary").focus();
  }
}

customElements.define("replace-file", ReplaceFile);
