// Keys of the gallery's grid. Enter needs none: the focused link opens the picture by itself. Walking, carrying and choosing by range
// work whatever the account says of single keys, because the grid is one tab stop; letters and Delete ask first.
import { isShortcut } from "./shortcuts.js";

const centre = (card) => {
  const box = card.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2, top: box.top, bottom: box.bottom };
};

// Up and down go by sight, because the primary picture spans two rows: the nearest card that lies wholly beyond.
const vertical = (cards, from, down) => {
  const here = centre(cards[from]);
  const beyond = cards.filter((card) => {
    const there = centre(card);
    return down ? there.top >= here.bottom : there.bottom <= here.top;
  });
  const far = (card) => {
    const there = centre(card);
    return Math.abs(there.y - here.y) * 2 + Math.abs(there.x - here.x);
  };
  return beyond.sort((a, b) => far(a) - far(b))[0];
};

// The card that a key leads to, or undefined.
export const stepFrom = (cards, from, key) => {
  if (key === "ArrowRight") return cards[from + 1];
  if (key === "ArrowLeft") return cards[from - 1];
  if (key === "ArrowDown" || key === "ArrowUp") return vertical(cards, from, key === "ArrowDown");
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  return undefined;
};

const CONTROLS = { e: "edit", p: "primary", v: "view", delete: "trash", backspace: "trash" };

// Presses the card's own button for the key; true when there was one.
const actOnCard = (card, key) => {
  const control = card.querySelector(`[data-act="${CONTROLS[key]}"]`);
  control?.click();
  return Boolean(control);
};

// The same for all that are chosen, by the bar's buttons.
const actOnChosen = (key) => {
  const control = document.querySelector(`bulk-bar [data-many="${CONTROLS[key]}"]`);
  control?.click();
  return Boolean(control);
};

// On no picture: all that have no text yet.
const describeUnsaid = () => {
  const opener = document.getElementById("describe-unsaid");
  opener?.click();
  return Boolean(opener);
};

const isAll = (event) => (event.ctrlKey || event.metaKey) && event.key === "a";

/** gallery: the element; card: the one that the key was pressed on, if any. True when the key was one of ours. */
export function answerKey(gallery, event, card) {
  const { cards, selection, lift } = gallery;
  if (isAll(event)) return cards.length > 0 && (selection.chooseAll(), true);
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (card && document.getElementById("gallery-place") && lift.key(event, card)) return true;
  if (event.key === "Escape" && selection.isOn) return selection.clear(), gallery.showMode(), true;
  if (!card && event.key.toLowerCase() === "e" && isShortcut(event)) return selection.count > 0 ? actOnChosen("e") : describeUnsaid();
  return Boolean(card) && (walk(gallery, event, card) || act(gallery, event, card));
}

function walk({ cards, selection, focusCard }, event, card) {
  const step = stepFrom(cards, cards.indexOf(card), event.key);
  if (!step) return false;
  if (event.shiftKey) {
    selection.beginAt(card);
    selection.extend(step);
  }
  focusCard(step);
  return true;
}

function act({ selection }, event, card) {
  const key = event.key.toLowerCase();
  if (!isShortcut(event) || !event.target.matches(".open, .pick input")) return false;
  if (key === "x") return selection.toggle(card), true;
  return (selection.count > 0 && key in CONTROLS && actOnChosen(key)) || actOnCard(card, key);
}
