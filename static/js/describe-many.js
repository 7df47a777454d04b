// The texts of many pictures in one dialog: a row for each, its picture beside the field. What was typed and not saved stays typed
// until it is saved; what nobody touched is not sent, so that nobody else's words are overwritten.
import { idOf } from "./gallery-drag.js";

const rowsOf = (dialog) => [...dialog.querySelectorAll("[data-part=rows] > li")];
const fieldOf = (row) => row.querySelector("textarea");

function rowFor(dialog, card) {
  const row = dialog.querySelector("template").content.firstElementChild.cloneNode(true);
  const id = idOf(card);
  const field = fieldOf(row);
  const name = card.querySelector(".name").textContent.trim();
  row.dataset.id = id;
  row.querySelector("label .sr").textContent = ` of ${name}`;
  row.querySelector("label").htmlFor = field.id = `text-${id}`;
  field.name = `alt_text.${id}`;
  field.defaultValue = "unsaid" in card.dataset || card.dataset.decorative === "" ? "" : name;
  const picture = card.querySelector(".pic img:not(.blur)") ?? card.querySelector(".pic img");
  if (picture) row.querySelector("img").src = picture.currentSrc || picture.src;
  return row;
}

export function fillTexts(dialog, cards) {
  const kept = new Map(rowsOf(dialog).filter(isChanged).map((row) => [row.dataset.id, row]));
  const rows = cards.map((card) => kept.get(idOf(card)) ?? rowFor(dialog, card));
  for (const [at, row] of rows.entries()) fieldOf(row).autofocus = at === 0; // else a list that scrolls would have it
  dialog.querySelector("[data-part=rows]").replaceChildren(...rows);
}

const isChanged = (row) => fieldOf(row).value !== fieldOf(row).defaultValue;

/** [id, text] of each that was changed. */
export const changedTexts = (root) =>
  rowsOf(root.querySelector("#batch-describe"))
    .filter(isChanged)
    .map((row) => [row.dataset.id, fieldOf(row).value]);

export function forgetTexts(root) {
  root.querySelector("#batch-describe [data-part=rows]").replaceChildren();
}
