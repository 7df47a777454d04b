// One try of one file. What comes of it is {state, …}, which ends the matter; {wait, why}, to be tried again
// (wait in seconds; undefined: as patience says); or {asksWho, message}, when the session is not what the page thought.

const SILENCE = 120_000; // ms without a sign of life; checking a picture takes a minute at most
const AWAY = [408, 425, 429, 502, 503, 504];

const problemOf = (xhr) => {
  try {
    return JSON.parse(xhr.responseText);
  } catch {
    return {};
  }
};

const retryAfter = (xhr) => {
  const said = xhr.getResponseHeader("Retry-After");
  const seconds = /^\d+$/.test(said ?? "") ? Number(said) : (Date.parse(said) - Date.now()) / 1000;
  return seconds >= 0 ? seconds : undefined;
};

const meaningOf = (xhr) => {
  if (xhr.status === 201) return { state: "stored", html: xhr.responseText };
  const problem = problemOf(xhr);
  const wait = retryAfter(xhr);
  if (problem.code === "duplicate") return { state: "duplicate", message: problem.detail, imageId: problem.image_id };
  if (xhr.status === 409 && wait !== undefined) return { wait, why: "Its first try is still being answered." };
  const why = problem.code === "restoring" ? "The portal is being restored." : "The portal is busy.";
  if (AWAY.includes(xhr.status)) return { wait, why };
  if (xhr.status < 400) return { asksWho: true }; // led away to the sign-in
  if (xhr.status === 401 || xhr.status === 403) return { asksWho: true, message: xhr.status === 403 ? problem.detail : "" };
  const message = problem.detail || `The portal could not store it (${xhr.status}). The file itself may be fine.`;
  return { state: "refused", canRetry: [400, 404, 409].includes(xhr.status) || xhr.status >= 500, message };
};

export function send(entry, { url, token, signal, onProgress }) {
  const body = new FormData();
  body.append("csrf_token", token);
  for (const [name, value] of Object.entries(entry.fields)) body.append(name, value);
  body.append("file", entry.file, entry.name);
  const xhr = new XMLHttpRequest();
  xhr.open("POST", url);
  xhr.setRequestHeader("HX-Request", "true");
  xhr.setRequestHeader("Accept", "text/html, application/problem+json");
  xhr.setRequestHeader("X-CSRF-Token", token);
  xhr.setRequestHeader("Idempotency-Key", entry.key);
  let silence = setTimeout(() => xhr.abort(), SILENCE);
  xhr.upload.onprogress = (event) => {
    clearTimeout(silence);
    silence = setTimeout(() => xhr.abort(), SILENCE);
    if (!signal.aborted) onProgress(event.loaded, event.total);
  };
  return new Promise((resolve) => {
    xhr.onload = () => resolve(meaningOf(xhr));
    xhr.onerror = () => resolve({ why: navigator.onLine ? "The connection broke off." : "There is no network." });
    xhr.onabort = () => resolve({ why: "The portal does not answer." });
    const stop = () => xhr.abort();
    xhr.onloadend = () => {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop); // else the entry holds each try's body
    };
    signal.addEventListener("abort", stop);
    xhr.send(body);
  });
}
