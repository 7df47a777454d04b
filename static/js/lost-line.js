// No network, or a portal that does not answer: said in #line, until what waits for it went on.
const EVERY = 5_000; // ms between tries of what may be asked any number of times
const waiting = new Set();

const part = (name) => document.querySelector(`#line [data-part=${name}]`);

function show() {
  const line = document.getElementById("line");
  if (!line) return;
  const isLost = !navigator.onLine;
  if (!isLost && !waiting.size) return line.replaceChildren();
  if (!line.firstElementChild) line.append(document.getElementById("line-lost").content.cloneNode(true));
  const words = part("words");
  const said = isLost ? words.dataset.lost : words.dataset.silent;
  if (words.textContent !== said) words.textContent = said;
  part("again").hidden = part("drop").hidden = !waiting.size;
}

const settle = (how) => {
  for (const one of [...waiting]) one(how);
};

// Resolves when it is time to try again: by itself only what may be sent twice, or was never sent; else by a person's word.
// Rejects when it is not wanted any more.
export function backOnLine(byItself) {
  return new Promise((resolve, reject) => {
    const ending = new AbortController();
    const timer = byItself && navigator.onLine ? setTimeout(() => end("again"), EVERY) : 0;
    const end = (how) => {
      clearTimeout(timer);
      ending.abort();
      waiting.delete(end);
      show();
      if (how === "again") resolve();
      else reject(new DOMException("not wanted any more", "AbortError"));
    };
    if (byItself) addEventListener("online", () => end("again"), { signal: ending.signal });
    waiting.add(end);
    show();
  });
}

addEventListener("online", show);
addEventListener("offline", show);
show();

document.addEventListener("click", (event) => {
  const button = event.target.closest("#line button");
  if (button) settle(button.dataset.part);
});

// A plain form would leave the page for the browser's own words; it waits as well.
document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (navigator.onLine || event.defaultPrevented || form.method !== "post") return;
  event.preventDefault();
  backOnLine(true).then(
    () => form.requestSubmit(submitter),
    () => {},
  );
});
