// Keys of one picture's page: the arrows lead to its neighbours, E to its words, P and Del press the page's own buttons, Escape leads back.
import { isShortcut } from "./shortcuts.js";

// Where arrows have a meaning of their own: groups of choices, what moves the focal point, what scrolls.
const OWN_ARROWS = "input, [role=radiogroup], [data-act=move], .crop-frame, .scroll, .presets";

const ACTS = {
  ArrowLeft: () => document.querySelector("main a[rel=prev]")?.click(),
  ArrowRight: () => document.querySelector("main a[rel=next]")?.click(),
  e: () => document.getElementById("alt-text")?.focus(),
  p: () => document.querySelector("[data-act=primary]")?.click(),
  Delete: () => document.querySelector("[data-act=trash]")?.click(),
};

document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = ACTS[key];
  if (!act || !isShortcut(event) || event.shiftKey || document.querySelector("dialog[open], crop-box[open]")) return;
  if (key.startsWith("Arrow") && event.target.closest(OWN_ARROWS)) return;
  event.preventDefault();
  act();
});
