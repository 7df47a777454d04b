// Draws one row a file, with one outcome a row. Rows come from <template id="upload-row">; above them stands the whole.

import { megabytes } from "./upload-checks.js";
import { isUnderWay } from "./upload-queue.js";
import { UploadTotal } from "./upload-total.js";
import { dressLookalike, showTwins } from "./upload-twins.js";

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

const timeLeft = (entry) => {
  const elapsed = (performance.now() - entry.startedAt) / 1000;
  if (elapsed < 1 || !entry.loaded) return "";
  const left = Math.ceil((elapsed * (entry.total - entry.loaded)) / entry.loaded);
  if (left < 2) return " · a moment left";
  return left < 90 ? ` · ${left} seconds left` : ` · ${Math.round(left / 60)} minutes left`;
};

const sentenceFor = (entry) => {
  if (entry.lookalike) return `Stored. Looks like ${entry.lookalike.dataset.name}`;
  if (entry.message) return entry.message;
  if (entry.state !== "uploading") return "";
  if (entry.loaded >= entry.total) return `All ${megabytes(entry.total)} arrived. Being checked…`;
  return `${(entry.loaded / 1e6).toFixed(1)} of ${megabytes(entry.total)}${timeLeft(entry)}`;
};

export class UploadTray {
  #rows = new Map();
  #due = null;

  // actions: {cancel(entry), retry(entry), addAnyway(entry), dismiss(entry), pause(yes), isPaused()}
  constructor(root, actions) {
    Object.assign(this, { root, actions });
    this.list = part(root, "rows");
    this.total = new UploadTotal(root, actions.isPaused);
    const press = (name, act) => part(root, name).addEventListener("click", act);
    press("hide", () => this.#toggle());
    press("pause", () => actions.pause(!actions.isPaused()));
    press("retry-all", () => this.#each("refused", (entry) => entry.canRetry && actions.retry(entry)));
    press("use-all", () => this.#each("duplicate", actions.dismiss));
    press("keep-all", () => this.#each("duplicate", actions.addAnyway));
    press("cancel-all", () => this.#cancelAll());
    press("dismiss-all", () => this.#each("", actions.dismiss));
  }

  draw(entry) {
    const row = this.#rows.get(entry) ?? this.#addRow(entry);
    row.className = `upload-row ${entry.lookalike ? "similar" : entry.state}`;
    row.setAttribute("aria-busy", String(entry.state === "uploading"));
    part(row, "message").textContent = sentenceFor(entry);
    part(row, "unkept").hidden = entry.kept || !entry.ready || !isUnderWay(entry);
    const progress = part(row, "progress");
    progress.hidden = entry.state !== "uploading";
    progress.value = entry.total ? Math.round((100 * entry.loaded) / entry.total) : 0;
    part(row, "retry").hidden = !entry.canRetry;
    part(row, "close").setAttribute("aria-label", `${isUnderWay(entry) ? "Cancel" : "Dismiss"} ${entry.name}`);
    if (entry.ready || ["duplicate", "stored"].includes(entry.state)) this.#showPicture(entry, row);
    this.#showOther(entry, row);
    this.summarise();
  }

  // The row of a stored picture leaves as its card arrives; the focus moves to the next row, or is given back by `false`.
  remove(entry) {
    const row = this.#rows.get(entry);
    if (!row) return true;
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    const hadFocus = row.contains(document.activeElement);
    URL.revokeObjectURL(entry.preview);
    this.#rows.delete(entry);
    row.remove();
    if (entry.state === "stored") this.total.count(entry);
    if (hadFocus && neighbour) part(neighbour, "close").focus();
    this.summarise();
    return !hadFocus || Boolean(neighbour);
  }

  // Once a frame, however many rows have changed.
  summarise() {
    this.#due ??= requestAnimationFrame(() => {
      this.#due = null;
      if (!this.#rows.size) this.list.hidden = false;
      const active = document.activeElement; // asked before: what is hidden has lost it already
      this.total.show([...this.#rows.keys()], this.list.hidden);
      this.#keepFocus(active);
    });
  }

  // A button that has done its work hides: the focus goes to the next one, or back to the zone.
  #keepFocus(active) {
    if (!this.root.contains(active) || !active.closest("[hidden]")) return;
    const next = this.root.hidden ? null : this.root.querySelector("header button:not([hidden])");
    (next ?? document.getElementById("upload-files")).focus();
  }

  #addRow(entry) {
    const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    part(row, "name").textContent = entry.name;
    part(row, "progress").setAttribute("aria-label", entry.name);
    part(row, "retry").addEventListener("click", () => this.actions.retry(entry));
    part(row, "retry").setAttribute("aria-label", `Try again: ${entry.name}`);
    part(row, "close").addEventListener("click", () => this.actions[isUnderWay(entry) ? "cancel" : "dismiss"](entry));
    this.#rows.set(entry, row);
    this.list.append(row);
    return row;
  }

  #showPicture(entry, row) {
    if (entry.preview || !entry.file) return;
    entry.preview = URL.createObjectURL(entry.file);
    const picture = part(row, "picture");
    picture.addEventListener("load", () => part(row, "thumb").classList.remove("none"), { once: true });
    picture.src = entry.preview;
    picture.hidden = false;
  }

  #showOther(entry, row) {
    const shown = part(row, "twins");
    if (entry.state === "duplicate" && !shown) showTwins(entry, row, this.actions);
    else if (entry.lookalike && !shown) dressLookalike(entry, row, this.actions);
    else if (shown && entry.state !== "duplicate" && !entry.lookalike) shown.remove();
  }

  // "" for all that is not under way. What acts may remove rows: a copy is walked.
  #each(state, act) {
    for (const entry of [...this.#rows.keys()])
      if (state ? entry.state === state : !isUnderWay(entry)) act(entry);
  }

  #cancelAll() {
    for (const entry of [...this.#rows.keys()]) if (isUnderWay(entry)) this.actions.cancel(entry);
  }

  #toggle() {
    this.list.hidden = !this.list.hidden;
    this.summarise();
  }
}
