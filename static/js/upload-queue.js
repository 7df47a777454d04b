// Keeps files until they are acknowledged and sends them three at a time; tells, through one callback, how each is doing.
// An entry is a record of upload-store.js with {file, kept, ready, loaded, total, startedAt, tries, html}. Its state is one of
// waiting, uploading, stored, duplicate, refused, cancelled, and gone: another tab has seen to it.

import { deliver, partingWords } from "./upload-delivery.js";
import { look } from "./upload-look.js";
import { fileOf, forget, keep, note, recordsOf } from "./upload-store.js";
import { alone, newKey, Patience } from "./upload-turns.js";

const AT_ONCE = 3;

export const isUnderWay = ({ state }) => state === "waiting" || state === "uploading";

export class UploadQueue {
  #entries = new Set();
  #looking = Promise.resolve();

  // target: {url, page, gallery}; desk: {url, knownUrl, limits, account (an UploadAccount)}
  constructor({ target, desk, paused, changed }) {
    Object.assign(this, { target, paused, changed });
    this.desk = { ...desk, patience: new Patience() };
  }

  get entries() {
    return [...this.#entries];
  }

  // What an earlier page, or another tab that is closed by now, left here, in whatever state it was.
  async resume() {
    const isNew = ({ id, url }) => url === this.target.url && !this.entries.some((entry) => entry.id === id);
    const records = (await recordsOf(this.desk.account.id)).filter(isNew);
    for (const record of records) record.file = await fileOf(record);
    this.#look(records.filter(isNew).map((record) => this.#enter({ ...record, kept: true })));
  }

  add(files) {
    const { url, page, gallery } = this.target;
    const same = { owner: this.desk.account.id, url, page, gallery, keyAt: Date.now(), fields: {}, kept: false, sent: false };
    const entryOf = (file, at) => {
      const { name, type, size, lastModified } = file;
      const its = { id: newKey(), key: newKey(), addedAt: Date.now() + at / 1e4, file, name, type, size, lastModified };
      return this.#enter({ ...same, ...its, state: "waiting", message: "Waiting…" });
    };
    this.#look([...files].map(entryOf));
  }

  pause(paused) {
    this.paused = paused;
    for (const entry of this.entries.filter(({ state }) => state === "uploading")) this.#stop(entry, { state: "waiting" });
    for (const entry of this.entries.filter(({ state }) => state === "waiting")) this.#set(entry, { message: this.#waits });
    this.#next();
  }

  // Another body needs another key: the same key with other fields is refused as a mix-up.
  async again(entry, fields = null) {
    if (fields) Object.assign(entry, { fields, key: newKey(), keyAt: Date.now(), sent: false });
    this.#set(entry, { state: "waiting", tries: 0, ready: false, loaded: 0, message: this.#waits });
    const stands = entry.kept ? await note(entry) : ((entry.kept = await keep(entry)), true);
    if (!stands) return this.#set(entry, { state: "gone" });
    entry.ready = true;
    this.#next();
  }

  cancel(entry) {
    const message = partingWords(entry);
    forget(entry.id);
    entry.kept = false;
    this.#stop(entry, { state: "cancelled", canRetry: true, message });
  }

  // Another tab has seen to these: they are stored, or not wanted.
  letGo(ids) {
    for (const entry of this.entries) if (isUnderWay(entry) && ids.includes(entry.id)) this.#stop(entry, { state: "gone" });
  }

  dismiss(entry) {
    this.#entries.delete(entry);
    forget(entry.id);
  }

  // The page goes: what is under way is left to the next one.
  close() {
    this.paused = true;
    for (const entry of this.#entries) entry.ending?.abort();
  }

  hurry() {
    this.desk.patience.end();
  }

  get #waits() {
    return this.paused ? "Paused" : "Waiting…";
  }

  #enter(entry) {
    if (isUnderWay(entry)) Object.assign(entry, { state: "waiting", message: this.#waits });
    Object.assign(entry, { tries: 0, loaded: 0, total: entry.size, ready: false });
    this.#entries.add(entry);
    this.changed(entry);
    return entry;
  }

  // One after the other, however many are dropped at once.
  #look(entries) {
    const ready = (those) => {
      for (const entry of those) this.#set(entry, { ready: true, message: this.#waits });
      this.#next();
    };
    const settle = (entry, changes) => this.#settle(entry, changes);
    const doubt = () => ready(entries.filter(({ state }) => state === "waiting")); // the server decides
    this.#looking = this.#looking.then(() => look(entries, this.desk, { settle, ready })).catch(doubt);
  }

  #next() {
    if (this.paused) return;
    const waiting = this.entries.filter(({ state, ready }) => state === "waiting" && ready);
    const sending = this.entries.filter(({ state, isElsewhere }) => state === "uploading" && !isElsewhere).length;
    for (const entry of waiting.slice(0, Math.max(0, AT_ONCE - sending))) this.#start(entry);
  }

  async #start(entry) {
    const { signal } = (entry.ending = new AbortController());
    const set = (changes) => signal.aborted || this.#set(entry, changes);
    set({ state: "uploading", isElsewhere: false, loaded: 0, message: "Looking at the file…" });
    const onWait = () => (set({ isElsewhere: true, message: "Another tab is sending it." }), this.#next());
    const act = async () => {
      entry.isElsewhere = false;
      const answer = await deliver(entry, signal, this.desk, set);
      if (answer) await this.#settle(entry, answer);
    };
    await alone(`portal-upload ${entry.id}`, signal, { onWait, act }).finally(() => this.#next());
  }

  async #settle(entry, changes) {
    Object.assign(entry, { canRetry: false }, changes);
    if (["stored", "gone"].includes(entry.state)) await forget(entry.id);
    else if (!(await note(entry))) changes = { state: "gone" };
    this.#set(entry, changes);
  }

  #stop(entry, changes) {
    entry.ending?.abort();
    this.#set(entry, { loaded: 0, ...changes });
  }

  #set(entry, changes) {
    Object.assign(entry, { canRetry: false }, changes);
    this.changed(entry);
  }
}
