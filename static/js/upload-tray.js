// Draws one row a file, with one outcome a row. Rows come from <template id="upload-row">, twins from <template id="duplicate">.

import { megabytes } from "./upload-checks.js";

const copyOf = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

const timeLeft = (entry) => {
  const elapsed = (performance.now() - entry.startedAt) / 1000;
  if (elapsed < 1 || !entry.loaded) return "";
  const left = Math.ceil((elapsed * (entry.total - entry.loaded)) / entry.loaded);
  if (left < 2) return " · a moment left";
  return left < 90 ? ` · ${left} seconds left` : ` · ${Math.round(left / 60)} minutes left`;
};

const sentenceFor = (entry) => {
  if (entry.message) return entry.message;
  if (entry.state !== "uploading") return "";
  if (entry.loaded >= entry.total) return `All ${megabytes(entry.total)} arrived. Being checked…`;
  return `${(entry.loaded / 1e6).toFixed(1)} of ${megabytes(entry.total)}${timeLeft(entry)}`;
};

export class UploadTray {
  #rows = new Map();
  #stored = 0;

  // actions: {cancel(entry), retry(entry), addAnyway(entry), dismiss(entry)}
  constructor(root, actions) {
    Object.assign(this, { root, actions });
    this.list = part(root, "rows");
    part(root, "hide").addEventListener("click", () => this.#dismissAll());
  }

  draw(entry) {
    const row = this.#rows.get(entry) ?? this.#addRow(entry);
    row.className = `upload-row ${entry.state}`;
    row.setAttribute("aria-busy", String(entry.state === "uploading"));
    part(row, "message").textContent = sentenceFor(entry);
    const progress = part(row, "progress");
    progress.hidden = entry.state !== "uploading";
    progress.value = entry.total ? Math.round((100 * entry.loaded) / entry.total) : 0;
    part(row, "retry").hidden = !entry.canRetry;
    const underWay = entry.state === "waiting" || entry.state === "uploading";
    part(row, "close").setAttribute("aria-label", `${underWay ? "Cancel" : "Dismiss"} ${entry.file.name}`);
    if (entry.startedAt && !part(row, "picture").src) this.#showPicture(entry, row);
    part(row, "twins")?.remove();
    if (entry.state === "duplicate") this.#showTwins(entry, row);
    this.#summarise();
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
    if (entry.state === "stored") this.#stored += 1;
    if (hadFocus && neighbour) part(neighbour, "close").focus();
    this.#summarise();
    return !hadFocus || Boolean(neighbour);
  }

  #addRow(entry) {
    if (!this.#rows.size) this.#stored = 0;
    const row = copyOf("upload-row");
    part(row, "name").textContent = entry.file.name;
    part(row, "progress").setAttribute("aria-label", entry.file.name);
    part(row, "retry").addEventListener("click", () => this.actions.retry(entry));
    part(row, "retry").setAttribute("aria-label", `Try again: ${entry.file.name}`);
    part(row, "close").addEventListener("click", () => {
      const underWay = entry.state === "waiting" || entry.state === "uploading";
      this.actions[underWay ? "cancel" : "dismiss"](entry);
    });
    this.#rows.set(entry, row);
    this.list.append(row);
    return row;
  }

  #showPicture(entry, row) {
    entry.preview ??= URL.createObjectURL(entry.file);
    const picture = part(row, "picture");
    picture.addEventListener("load", () => part(row, "thumb").classList.remove("none"), { once: true });
    picture.src = entry.preview;
    picture.hidden = false;
  }

  #showTwins(entry, row) {
    const twins = copyOf("duplicate");
    const card = document.getElementById(`card-${entry.imageId}`);
    part(twins, "added").src = entry.preview ?? "";
    part(twins, "added-facts").textContent = `${entry.file.name} · ${megabytes(entry.file.size)}`;
    const here = card?.querySelector(".pic img:not(.blur)");
    if (here) part(twins, "here").src = here.currentSrc || here.src;
    else part(twins, "here").closest(".pic").hidden = true;
    part(twins, "here-facts").textContent = card?.querySelector(".name").textContent.trim() ?? "Further on in this gallery";
    part(twins, "keep").addEventListener("click", () => this.actions.dismiss(entry));
    part(twins, "anyway").addEventListener("click", () => {
      part(row, "close").focus();
      this.actions.addAnyway(entry);
    });
    row.append(twins);
  }

  #dismissAll() {
    for (const entry of [...this.#rows.keys()])
      if (entry.state !== "waiting" && entry.state !== "uploading") this.actions.dismiss(entry);
    if (this.#rows.size) this.list.hidden = !this.list.hidden;
    this.#summarise();
  }

  #summarise() {
    const states = [...this.#rows.keys()].map((entry) => entry.state);
    const count = (...wanted) => states.filter((state) => wanted.includes(state)).length;
    const total = states.length + this.#stored;
    const facts = [
      [this.#stored + count("stored"), "stored"],
      [count("waiting", "uploading"), "on its way", "on their way"],
      [count("refused", "duplicate"), "needs you", "need you"],
      [count("cancelled"), "cancelled"],
    ];
    const said = facts
      .filter(([number]) => number)
      .map(([number, one, many = one]) => `${number} ${number === 1 ? one : many}`)
      .join(" · ");
    this.root.hidden = !states.length;
    if (!states.length) this.list.hidden = false;
    part(this.root, "title").textContent = `Adding ${total} ${total === 1 ? "picture" : "pictures"}`;
    part(this.root, "counts").textContent = said;
    part(this.root, "hide").textContent = this.list.hidden ? "Show" : "Hide";
    // Only the counts are announced: a voice that reads every percent helps nobody.
    const voice = document.getElementById("upload-voice");
    const spoken = states.length ? said.replaceAll(" · ", ", ") : this.#stored ? `${this.#stored} stored` : "";
    if (voice.textContent !== spoken) voice.textContent = spoken;
  }
}
