// The head of the tray: "12 of 40 · 3 min left", one bar for all, and what can be done with all at once.

import { isUnderWay } from "./upload-queue.js";

const WINDOW = 20_000; // ms that the rate is measured over
const part = (root, name) => root.querySelector(`[data-part="${name}"]`);
const pictures = (count) => `${count} ${count === 1 ? "picture" : "pictures"}`;

const inWords = (seconds) => {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 5) return "a moment left";
  if (seconds < 90) return `${Math.ceil(seconds / 5) * 5} s left`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min left` : `${Math.round(seconds / 3600)} h left`;
};

export class UploadTotal {
  #stored = 0;
  #storedBytes = 0;
  #samples = [];
  #spoken = "";

  constructor(root, isPaused) {
    Object.assign(this, { root, isPaused, voice: document.getElementById("upload-voice") });
  }

  // A row that was stored has left the tray.
  count(entry) {
    this.#stored += 1;
    this.#storedBytes += entry.size;
  }

  show(entries, isFolded) {
    const counts = this.#countsOf(entries);
    this.root.hidden = !entries.length;
    this.#write("title", counts.underWay ? `Adding ${pictures(counts.all)}` : this.#verdict(counts));
    this.#write("counts", this.#sentence(counts, entries));
    this.#write("hide", isFolded ? "Show" : "Hide");
    this.#write("twins-count", `${counts.duplicate} of these are here already, byte for byte.`);
    part(this.root, "twins-all").hidden = counts.duplicate < 2 || isFolded;
    part(this.root, "pause").hidden = !counts.underWay;
    this.#write("pause-word", this.isPaused() ? "Resume" : "Pause");
    part(this.root, "pause").classList.toggle("paused", this.isPaused());
    part(this.root, "retry-all").hidden = counts.retry < 2;
    part(this.root, "cancel-all").hidden = counts.underWay < 2;
    part(this.root, "dismiss-all").hidden = counts.underWay > 0 || entries.length < 2;
    const bar = part(this.root, "total");
    bar.hidden = !counts.underWay;
    bar.value = Math.round((100 * this.#sent(entries)) / Math.max(1, this.#bytes(entries)));
    this.#speak(counts);
    if (!entries.length) this.#reset();
  }

  #countsOf(entries) {
    const count = (test) => entries.filter(test).length;
    const stored = this.#stored + count(({ state }) => state === "stored");
    const underWay = count(isUnderWay);
    return {
      stored,
      underWay,
      all: stored + underWay,
      cancelled: count(({ state }) => state === "cancelled"),
      duplicate: count(({ state }) => state === "duplicate"),
      retry: count(({ state, canRetry }) => state === "refused" && canRetry),
      needs: count(({ state }) => state === "refused" || state === "duplicate"),
      similar: count(({ lookalike }) => lookalike),
    };
  }

  #verdict({ stored, needs }) {
    return needs ? `${pictures(needs)} ${needs === 1 ? "needs" : "need"} you` : `${pictures(stored)} added`;
  }

  #sentence({ stored, all, underWay, needs, cancelled, similar }, entries) {
    const facts = [underWay ? `${stored} of ${all}` : needs && stored ? `${stored} added` : ""];
    if (underWay) facts.push(this.isPaused() ? "paused" : inWords(this.#secondsLeft(entries)));
    if (needs && underWay) facts.push(`${needs} ${needs === 1 ? "needs" : "need"} you`);
    if (similar) facts.push(`${similar} ${similar === 1 ? "looks" : "look"} like another`);
    if (cancelled) facts.push(`${cancelled} cancelled`);
    return facts.filter(Boolean).join(" · ");
  }

  #bytes(entries) {
    const counted = entries.filter((entry) => isUnderWay(entry) || entry.state === "stored");
    return counted.reduce((sum, { size }) => sum + size, this.#storedBytes);
  }

  #sent(entries) {
    const of = (entry) => (entry.state === "stored" ? entry.size : isUnderWay(entry) ? Math.min(entry.loaded, entry.size) : 0);
    return entries.reduce((sum, entry) => sum + of(entry), this.#storedBytes);
  }

  #secondsLeft(entries) {
    const [now, sent] = [performance.now(), this.#sent(entries)];
    this.#samples = this.#samples.filter(({ at }) => now - at < WINDOW);
    this.#samples.push({ at: now, sent });
    const [first] = this.#samples;
    const rate = (sent - first.sent) / (now - first.at);
    return now - first.at > 1000 && rate > 0 ? (this.#bytes(entries) - sent) / rate / 1000 : NaN;
  }

  // Spoken: the start, each quarter, what needs somebody, the end. A voice that reads every file helps nobody.
  #speak({ stored, all, underWay, needs }) {
    const quarter = all ? Math.floor((4 * stored) / all) : 0;
    const state = `${underWay > 0} ${quarter} ${needs > 0} ${this.isPaused()}`;
    if (state === this.#spoken) return;
    this.#spoken = state;
    const facts = [all ? `${stored} of ${pictures(all)} added` : "", needs ? `${needs} ${needs === 1 ? "needs" : "need"} you` : ""];
    if (underWay && this.isPaused()) facts.push("paused");
    this.voice.textContent = facts.filter(Boolean).join(", ");
  }

  #write(name, text) {
    const element = part(this.root, name);
    if (element.textContent !== text) element.textContent = text;
  }

  // The tray is empty: the next files begin a new count.
  #reset() {
    this.#stored = this.#storedBytes = 0;
    this.#samples = [];
  }
}
