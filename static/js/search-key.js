// "/" goes to the page's own search field; where there is none, and by the link in the menu, it opens the search over all.
import "./search-box.js";
import { isShortcut } from "./shortcuts.js";

const openSearch = (field) => {
  const dialog = document.getElementById("quick-search");
  if (!field && !dialog) return false;
  if (!field) dialog.showModal();
  const box = field ?? dialog.querySelector("input[type=search]");
  box.focus();
  box.select();
  return true;
};

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || !isShortcut(event)) return;
  if (openSearch(document.querySelector("main input[type=search]"))) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest("[data-search]")) return;
  if (openSearch(document.querySelector("main search-box input[type=search]"))) event.preventDefault();
});

// A search field takes Escape for itself, to empty it: here it closes the dialog, as everywhere.
document.addEventListener("keydown", (event) => {
  const dialog = event.key === "Escape" && event.target.closest("#quick-search");
  if (!dialog) return;
  event.preventDefault();
  dialog.close();
});
