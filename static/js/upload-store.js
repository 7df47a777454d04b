// Files that wait to be sent, in IndexedDB: they outlive the page, the tab and the browser. One object store, two records a
// file: what is known of it (small, changed often) and, under `<id>/bytes`, the file itself (written once).
// Where nothing can be kept (private mode, no room) `keep` says so and the caller holds the file as long as the page lives.

const NAME = "portal-uploads";
const STORE = "files";
const PATIENCE = 15000; // ms; a browser whose storage hangs must not hold up for long what could be sent
const FACTS = ["id", "owner", "url", "page", "gallery", "key", "keyAt", "name", "type", "size", "lastModified"];
const PROGRESS = ["fields", "state", "message", "canRetry", "imageId", "sent", "sha256", "addedAt"];

let opening = null;

const opened = () =>
  (opening ??= new Promise((resolve) => {
    setTimeout(resolve, PATIENCE, null);
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      return resolve(null);
    }
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "id" }).createIndex("owner", "owner"); // bytes have no owner
    };
    request.onerror = () => resolve(null);
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = () => (opening = null); // site data was cleared, or the disk failed
      database.onversionchange = () => {
        database.close();
        opening = null;
      };
      opening = Promise.resolve(database); // also when it comes after all
      resolve(database);
    };
  }));

const valueOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

// Runs `act(files)` in one transaction and gives its value once that is durable; undefined when it could not be.
async function within(mode, act) {
  const database = await opened();
  let transaction = null;
  try {
    transaction = database.transaction(STORE, mode, { durability: "strict" });
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    ended.catch(() => {}); // told by the await below, also when `act` fails first
    const value = await act(transaction.objectStore(STORE));
    await ended;
    return value;
  } catch {
    if (transaction) abort(transaction);
    return undefined;
  }
}

const abort = (transaction) => {
  try {
    transaction.abort(); // what a request made of it before another failed
  } catch {
    // it had ended
  }
};

const recordOf = (entry) => Object.fromEntries([...FACTS, ...PROGRESS].map((name) => [name, entry[name]]));

// Where the browser has already granted it, ask it not to clear this under pressure; never with a question to the person.
async function askToStay() {
  const { state } = (await navigator.permissions?.query({ name: "persistent-storage" }).catch(() => null)) ?? {};
  if (state === "granted") await navigator.storage?.persist?.();
}

// True when file and record are safe; false for nobody's file, and where there is no room.
export async function keep(entry, { withBytes = true } = {}) {
  if (!entry.owner) return false;
  // by way of memory: a File put as it is would still be read from where it lay
  const bytes = withBytes && (await entry.file.arrayBuffer().catch(() => null));
  if (bytes === null || entry.state !== "waiting") return false; // unreadable, or cancelled meanwhile
  const kept = await within("readwrite", async (files) => {
    if (bytes) files.put({ id: `${entry.id}/bytes`, file: new Blob([bytes]) });
    await valueOf(files.put(recordOf(entry)));
    return true;
  });
  if (kept) askToStay().catch(() => {});
  return kept === true && entry.state === "waiting"; // else it was cancelled meanwhile, and forgotten
}

// False when the record is gone: another tab has sent it, or somebody has dismissed it there.
export async function note(entry) {
  if (!entry.kept) return true;
  const there = await within("readwrite", async (files) => {
    if (!(await valueOf(files.getKey(entry.id)))) return false;
    await valueOf(files.put(recordOf(entry)));
    return true;
  });
  return there !== false;
}

const tabs = window.BroadcastChannel ? new BroadcastChannel(NAME) : null;

// Tells which ids another tab has forgotten: stored, cancelled or discarded there.
export const onForgotten = (tell, signal) => tabs?.addEventListener("message", ({ data }) => tell(data), { signal });

export async function forget(...ids) {
  await within("readwrite", async (files) => {
    for (const id of ids) {
      files.delete(`${id}/bytes`);
      files.delete(id);
    }
  });
  tabs?.postMessage(ids);
}

// What waits for this person, in the order added; the bytes are not read.
export async function recordsOf(owner) {
  const found = owner ? await within("readonly", (files) => valueOf(files.index("owner").getAll(owner))) : null;
  return (found ?? []).sort((a, b) => a.addedAt - b.addedAt);
}

export async function fileOf({ id, name, type, lastModified }) {
  const { file } = (await within("readonly", (files) => valueOf(files.get(`${id}/bytes`)))) ?? {};
  return file && new File([file], name, { type, lastModified });
}
