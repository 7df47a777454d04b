// Before a file is sent: it is put where it outlives the page, looked at, and the portal is asked whether it is here already.
// Web Crypto exists only in secure contexts; without it, and when the question fails, the server decides as the file arrives.

import { reasonToRefuse } from "./upload-checks.js";
import { fileOf, keep } from "./upload-store.js";

const ASKED_AT_ONCE = 50;
const PATIENCE = 10_000; // ms
const SAME = "Already in this gallery: the two files are the same, byte for byte.";
const LOST = "The browser no longer holds this file. Add it again.";

const isWaiting = ({ state }) => state === "waiting";

// All are kept before the first is read for its hash: the page may go at any moment.
// Calls `settle(entry, {state, …})` for what needs no sending, then `ready(entries)` with the rest, some at a time.
export async function look(entries, desk, { settle, ready }) {
  await keepAndCheck(entries.filter(isWaiting), desk, settle);
  for (let at = 0; at < entries.length; at += ASKED_AT_ONCE) {
    const some = entries.slice(at, at + ASKED_AT_ONCE);
    await findTwins(some.filter(isWaiting), desk, settle);
    ready(some.filter(isWaiting));
  }
}

async function keepAndCheck(entries, { limits }, settle) {
  for (const entry of entries) {
    const reason = entry.file ? await reasonToRefuse(entry.file, limits) : LOST;
    if (!entry.kept && isWaiting(entry)) entry.kept = await keep(entry, { withBytes: !reason }); // a film of 5 GB is not copied
    // the copy is what is sent: a camera's card may be pulled out by then
    if (entry.kept && !reason) entry.file = (await fileOf(entry)) ?? entry.file;
    if (reason && isWaiting(entry)) await settle(entry, { state: "refused", message: reason });
  }
}

async function findTwins(entries, desk, settle) {
  // what was sent before may be here by that very try: its own key tells, not its hash
  const unsent = entries.filter(({ sent, fields }) => !sent && !fields.allow_duplicate);
  const known = await knownOf(unsent, desk);
  for (const entry of unsent)
    if (known[entry.sha256] && isWaiting(entry))
      await settle(entry, { state: "duplicate", message: SAME, imageId: known[entry.sha256][0] });
}

// From hash to the ids of the pictures here. Sets each entry's sha256, one file in memory at a time.
async function knownOf(entries, { knownUrl, account }) {
  if (!crypto.subtle) return {};
  for (const entry of entries) entry.sha256 ??= await sha256Of(entry.file);
  const hashes = [...new Set(entries.map(({ sha256 }) => sha256).filter(Boolean))];
  if (!hashes.length) return {};
  try {
    const answer = await fetch(knownUrl, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": account.token },
      body: JSON.stringify({ sha256: hashes }),
      signal: AbortSignal.timeout?.(PATIENCE),
    });
    return answer.ok ? (await answer.json()).known : {};
  } catch {
    return {};
  }
}

async function sha256Of(file) {
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}
