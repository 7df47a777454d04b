// A session that ended while the page stood open: who wrote here signs in again in a dialog (#sign-in-again), and what was
// asked goes on. In another tab is as good: the page looks when it is seen again.
import { look, readSession, takeSession } from "./session.js";

const GOOD = ["renewed", "same"];
let asking = null;

const dialog = () => document.getElementById("sign-in-again");

// Looks first, because another tab may have signed in: "renewed", "same", "other", or "out" when somebody does not want to.
export function signedIn() {
  return (asking ??= find().finally(() => (asking = null)));
}

async function find() {
  const found = await look(dialog().dataset.page);
  return found === "out" ? ask() : found;
}

function ask() {
  const box = dialog();
  const form = box.querySelector("form");
  say(form, "");
  form.reset();
  box.showModal();
  form.elements.password.focus();
  const ending = new AbortController();
  const on = (target, name, act) => target.addEventListener(name, act, { signal: ending.signal });
  return new Promise((resolve) => {
    const end = (found) => {
      ending.abort();
      box.close();
      if (GOOD.includes(found)) document.dispatchEvent(new CustomEvent("signed-in"));
      resolve(found);
    };
    on(box, "close", () => end("out"));
    on(form, "submit", (event) => {
      event.preventDefault();
      send(form).then((found) => found && end(found));
    });
    on(document, "visibilitychange", async () => {
      const found = document.hidden ? "out" : await look(box.dataset.page);
      if (GOOD.includes(found)) end(found);
    });
  });
}

// What came of it, or nothing where it is to be tried again.
async function send(form) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "text/html, application/problem+json" },
    });
    if (answer.ok) return takeSession(await readSession(answer));
    if (answer.status === 403) return look(dialog().dataset.page); // somebody is signed in already, by another tab
    say(form, wordsOf(await answer.json()));
  } catch {
    say(form, "The portal did not answer. Try again.");
  } finally {
    button.disabled = false;
  }
  return undefined;
}

const wordsOf = (problem) => problem.errors?.map(({ message }) => message).join(" ") || problem.detail;

function say(form, words) {
  const { password } = form.elements;
  const place = form.querySelector("[data-part=error]");
  place.hidden = !words;
  place.querySelector("span").textContent = words;
  if (!words) return password.removeAttribute("aria-invalid");
  password.setAttribute("aria-invalid", "true");
  password.select();
  password.focus();
}
