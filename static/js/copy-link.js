// Buttons that copy: [data-copy-link] a link of this portal with its host, [data-copy-text] what a field holds. [data-said] is said then.
import { showToast } from "./toasts.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy-link], [data-copy-text]");
  if (!button) return;
  const { copyLink, copyText, said } = button.dataset;
  const text = copyText ? document.getElementById(copyText).value : new URL(copyLink, location.href).href;
  try {
    await navigator.clipboard.writeText(text);
    showToast(said);
  } catch {
    showToast("The browser keeps the clipboard to itself. Open it and copy it from there.");
  }
});
