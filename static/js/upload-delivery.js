// Sends one file for as long as it takes: until it is stored, refused, or called off by `signal`.

import { reasonToRefuse } from "./upload-checks.js";
import { send } from "./upload-send.js";
import { note } from "./upload-store.js";
import { backOff, newKey } from "./upload-turns.js";

const KEY_LIVES = 23 * 3600 * 1000; // ms; the server keeps a key's answer for 24 hours
const WHO = {
  out: "You are signed out. Sign in again, and it goes on by itself.",
  other: "Somebody else is signed in here now. It waits for you.",
};

// desk: {url, limits, account, patience}; `set(changes)` tells how it goes. Gives {state, …}, or null when called off.
export async function deliver(entry, signal, desk, set) {
  while (!signal.aborted) {
    const answer = await attempt(entry, signal, desk, set);
    if (answer.state && (!signal.aborted || answer.state === "stored")) return answer;
    if (!signal.aborted) await waitOut(entry, answer, signal, desk, set);
  }
  return null;
}

async function attempt(entry, signal, { url, limits, account }, set) {
  const reason = await reasonToRefuse(entry.file, limits);
  if (reason) return { state: "refused", message: reason };
  const barred = entry.barred ? await askWho({}, account, account.token) : {}; // asked first: no bytes are sent in vain
  entry.barred = false;
  if (barred.isPlain) return barred;
  renewOldKey(entry);
  Object.assign(entry, { isFirstTry: !entry.sent, sent: true });
  if (!(await note(entry))) return { state: "gone" };
  if (signal.aborted) return {};
  entry.startedAt = performance.now();
  set({ message: "Sending…" });
  const { token } = account;
  const onProgress = (loaded, total) => set({ loaded, total, message: "" });
  const answer = await send(entry, { url, token, signal, onProgress });
  return answer.asksWho && !signal.aborted ? await askWho(answer, account, token) : answer;
}

// Once all its bytes have left, a file may be stored, whether or not an answer has come.
export function partingWords(entry) {
  const isPartWay = entry.state === "uploading" && entry.isFirstTry && entry.loaded < entry.total;
  const mayBeThere = entry.sent && !isPartWay;
  return mayBeThere ? "Cancelled late: it may show in the gallery all the same." : "Cancelled. Nothing was added.";
}

async function askWho({ message }, account, token) {
  const who = await account.look(token);
  if (who === "renewed") return { wait: 0, why: "Signed in again." };
  if (who === "same" && message) return { state: "refused", canRetry: true, message };
  return { why: WHO[who] ?? "The portal is busy.", isPlain: who in WHO };
}

// After a day the server has forgotten the key: what it may have stored by then is found as a duplicate, not doubled.
function renewOldKey(entry) {
  if (Math.abs(Date.now() - entry.keyAt) < KEY_LIVES) return;
  const { allow_duplicate: _, ...others } = entry.fields;
  Object.assign(entry, { key: newKey(), keyAt: Date.now(), fields: entry.sent ? others : entry.fields });
}

const inWords = (seconds) => (seconds < 90 ? `${Math.round(seconds) || 1} s` : `${Math.round(seconds / 60)} min`);

// Keeps its place meanwhile, so that others don't press into a busy portal.
async function waitOut(entry, { wait, why, isPlain }, signal, { patience }, set) {
  const isAsked = wait > 0; // by the server, which wants not to be hurried, nor sent the same bytes every second
  const seconds = isAsked ? Math.max(wait * (1 + Math.random() / 4), backOff(entry.tries)) : (wait ?? backOff(entry.tries));
  Object.assign(entry, { tries: entry.tries + 1, barred: isPlain });
  set({ loaded: 0, message: isPlain ? why : `${why} Trying again in ${inWords(seconds)}…` });
  await patience.wait(seconds, signal, { firm: isAsked });
}
