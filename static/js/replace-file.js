// <replace-file data-max-bytes data-max-mb data-max-pixels data-extensions> around the plain form: the button asks for a file at
// once, a file may be dropped on the stage, and #replacing tells how it goes or what stands against it.

import { UploadAccount } from "./upload-account.js";
import { limitsOf, megabytes, reasonToRefuse } from "./upload-checks.js";

const SIGNED_OUT = "You are signed out. Sign in in another tab, then try again here.";
const BROKEN = "The connection broke off. Whether the file arrived is not known; to try again does no harm.";
const WHO = { out: SIGNED_OUT, other: "Somebody else is signed in here now. It waits for you.", unknown: "The portal is busy." };

const isFile = (event) => event.dataTransfer?.types.includes("Files");
const stageAt = (event) => event.target.closest?.("#picture .stage");

class ReplaceFile extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.input = this.form.elements.file;
    this.panel = document.getElementById("replacing");
    this.account = new UploadAccount(location.pathname, this.form.elements.csrf_token.value);
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

  // `message` is spoken each time that it changes; `soFar` is not.
  #say(message, { soFar = "", progress = null, refused = false, again = false, twin = null } = {}) {
    this.panel.hidden = false;
    this.#part("row").classList.toggle("refused", refused);
    if (this.#part("message").textContent !== message) this.#part("message").textContent = message;
    this.#part("so-far").textContent = soFar;
    this.#part("progress").hidden = progress === null;
    this.#part("progress").value = progress ?? 0;
    this.#part("again").hidden = !again;
    this.#part("twin").hidden = !twin;
    if (twin) this.#part("twin").href = `/images/${twin}`;
    this.#part("close").ariaLabel = refused ? "Dismiss" : "Cancel";
  }

  #sayProgress(loaded, total) {
    const progress = (100 * loaded) / total;
    if (loaded < total) this.#say("Sending…", { progress, soFar: `${megabytes(loaded)} of ${megabytes(total)}` });
    else this.#say("Being checked…", { progress });
  }

  async #take(file) {
    this.input.value = ""; // the same file may be chosen again
    if (!file || this.xhr) return;
    this.file = file;
    this.#part("name").textContent = file.name;
    this.#say("Looking at the file…");
    const reason = await reasonToRefuse(file, limitsOf(this.dataset));
    if (this.file !== file) return; // called off, or another one was chosen
    if (reason) this.#say(reason, { refused: true });
    else this.#send();
  }

  #send() {
    const body = new FormData();
    const { token } = this.account;
    body.append("csrf_token", token);
    body.append("file", this.file, this.file.name);
    const xhr = (this.xhr = new XMLHttpRequest());
    xhr.open("POST", this.form.action);
    xhr.setRequestHeader("HX-Request", "true");
    xhr.setRequestHeader("Accept", "text/html, application/problem+json");
    xhr.setRequestHeader("X-CSRF-Token", token);
    xhr.upload.onprogress = ({ loaded, total }) => this.#sayProgress(loaded, total);
    xhr.onload = () => this.#answered(xhr, token);
    xhr.onerror = () => this.#refuse(BROKEN, { again: true });
    this.#sayProgress(0, this.file.size);
    xhr.send(body);
  }

  #answered(xhr, token) {
    if (xhr.status === 200 || xhr.status === 201) return this.#renew(xhr.responseText);
    const problem = xhr.getResponseHeader("Content-Type")?.includes("json") ? JSON.parse(xhr.responseText) : {};
    if (problem.code === "duplicate") return this.#refuse(problem.detail, { twin: problem.image_id });
    if (xhr.status === 401 || xhr.status === 403) return this.#askWho(xhr, token, problem.detail);
    const again = xhr.status >= 429 || !problem.detail;
    return this.#refuse(problem.detail ?? `The portal could not store it (${xhr.status}). The file itself may be fine.`, { again });
  }

  // A new session has a new token, with which the file goes out again.
  async #askWho(xhr, token, detail) {
    const who = await this.account.look(token);
    if (this.xhr !== xhr) return; // called off
    if (who === "renewed") this.#send();
    else this.#refuse(WHO[who] ?? detail ?? SIGNED_OUT, { again: who in WHO });
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
    this.xhr = this.file = null;
    this.panel.hidden = true;
    this.querySelector("summary").focus();
  }
}

customElements.define("replace-file", ReplaceFile);
