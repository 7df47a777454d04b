// "N" takes the page's way to the next gallery that lacks something, and the bar along that way hears of what changes in this one.
import { isShortcut } from "./shortcuts.js";

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "n" || event.repeat || !isShortcut(event)) return;
  const next = document.querySelector("[data-next]");
  if (!next) return;
  event.preventDefault();
  next.click();
});

document.addEventListener("htmx:after:swap", ({ detail }) => {
  const flow = document.getElementById("flow");
  if (flow && detail.ctx?.sourceElement !== flow) flow.dispatchEvent(new CustomEvent("gallery-changed"));
});
