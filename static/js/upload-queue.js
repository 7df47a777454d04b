// Sends files three at a time and tells, through one callback, how each is doing. Knows nothing of the page.
// An entry: {file, state, loaded, startedAt, message, canRetry, imageId, html}; state is one of
// waiting, uploading, stored, duplicate, refused, cancelled.

import { reasonToRefuse } from "./upload-checks.js";

const AT_ONCE = 3;
const MOST_TRIES = 6;

// crypto.randomUUID exists only in secure contexts; a portal on plain http in the office has none.
const newKey = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const problemOf = (xhr) => {
  try {
    return JSON.parse(xhr.responseText);
  } catch {
    return {};
  }
};

const secondsToWait = (xhr, tries) => {
  const said = xhr.getResponseHeader("Retry-After");
  const seconds = /^\d+$/.test(said ?? "") ? Number(said) : (Date.parse(said) - Date.now()) / 1000;
  return seconds >= 0 ? Math.min(seconds, 120) : Math.min(2 ** tries, 30);
};

export class UploadQueue {
  #entries = [];

  constructor({ url, token, limits, changed }) {
    Object.assign(this, { url, token, limits, changed });
  }

  get busy() {
    return this.#entries.some((entry) => entry.state === "waiting" || entry.state === "uploading");
  }

  add(file) {
    const entry = { file, key: newKey(), tries: 0, fields: {} };
    this.#entries.push(entry);
    this.#set(entry, { state: "waiting", loaded: 0, message: "Waiting…" });
    this.#next();
    return entry;
  }

  // Another body needs another key: the same key with other fields is refused as a mix-up.
  again(entry, fields = {}) {
    if (Object.keys(fields).length) entry.key = newKey();
    Object.assign(entry, { fields, tries: 0 });
    this.#set(entry, { state: "waiting", loaded: 0, message: "Waiting…" });
    this.#next();
  }

  cancel(entry) {
    clearTimeout(entry.timer);
    const wasWhole = entry.total && entry.loaded >= entry.total; // then it may be stored already
    const message = wasWhole ? "Cancelled late: it may show in the gallery all the same." : "Cancelled. Nothing was added.";
    this.#set(entry, { state: "cancelled", message });
    entry.xhr?.abort();
    this.#next();
  }

  forget(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
  }

  #set(entry, changes) {
    Object.assign(entry, { canRetry: false }, changes);
    this.changed(entry);
  }

  #next() {
    const sending = this.#entries.filter((entry) => entry.state === "uploading").length;
    const waiting = this.#entries.filter((entry) => entry.state === "waiting");
    for (const entry of waiting.slice(0, AT_ONCE - sending)) this.#start(entry);
  }

  async #start(entry) {
    this.#set(entry, { state: "uploading", loaded: 0, message: "Looking at the file…" });
    const reason = entry.tries ? null : await reasonToRefuse(entry.file, this.limits);
    if (entry.state !== "uploading") return;
    if (reason) this.#finish(entry, { state: "refused", message: reason });
    else this.#send(entry);
  }

  #send(entry) {
    const body = new FormData();
    body.append("csrf_token", this.token);
    for (const [name, value] of Object.entries(entry.fields)) body.append(name, value);
    body.append("file", entry.file, entry.file.name);
    const xhr = (entry.xhr = new XMLHttpRequest());
    xhr.open("POST", this.url);
    xhr.setRequestHeader("HX-Request", "true");
    xhr.setRequestHeader("Accept", "text/html, application/problem+json");
    xhr.setRequestHeader("X-CSRF-Token", this.token);
    xhr.setRequestHeader("Idempotency-Key", entry.key);
    entry.startedAt = performance.now();
    xhr.upload.onprogress = (event) =>
      entry.state === "uploading" && this.#set(entry, { loaded: event.loaded, total: event.total, message: "" });
    xhr.onload = () => this.#answered(entry, xhr);
    xhr.onerror = () => this.#broken(entry);
    xhr.send(body);
  }

  #answered(entry, xhr) {
    if (xhr.status === 201) return this.#finish(entry, { state: "stored", html: xhr.responseText });
    const problem = problemOf(xhr);
    if (problem.code === "duplicate")
      return this.#finish(entry, { state: "duplicate", message: problem.detail, imageId: problem.image_id });
    if ([429, 503].includes(xhr.status) && entry.tries < MOST_TRIES)
      return this.#later(entry, secondsToWait(xhr, entry.tries), "The portal is busy.");
    if (xhr.status === 401 || xhr.status < 300)
      return this.#finish(entry, { state: "refused", canRetry: true, message: "You are signed out. Sign in in another tab, then try again here." });
    const message = problem.detail || `The portal could not store it (${xhr.status}). The file itself may be fine.`;
    return this.#finish(entry, { state: "refused", canRetry: xhr.status >= 429 || xhr.status === 409, message });
  }

  #broken(entry) {
    if (entry.state !== "uploading") return;
    if (entry.tries < 3) this.#later(entry, 2 ** entry.tries, "The connection broke off.");
    else this.#finish(entry, { state: "refused", canRetry: true, message: "The connection broke off. Nothing was added; the file waits here." });
  }

  // Stays "uploading", so that it keeps its place and others don't press into a busy portal.
  #later(entry, seconds, why) {
    entry.tries += 1;
    this.#set(entry, { loaded: 0, message: `${why} Trying again in ${Math.ceil(seconds)} s…` });
    entry.timer = setTimeout(() => entry.state === "uploading" && this.#send(entry), seconds * 1000);
  }

  #finish(entry, changes) {
    this.#set(entry, changes);
    this.#next();
  }
}
