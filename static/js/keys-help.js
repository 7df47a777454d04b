// "?" shows which keys work on this page (#keys, in base.html).
import { isShortcut } from "./shortcuts.js";

document.addEventListener("keydown", (event) => {
  const dialog = document.getElementById("keys");
  if (event.key !== "?" || !dialog || !isShortcut(event)) return;
  event.preventDefault();
  dialog.showModal();
});
