// Keys of the gallery's grid. Enter needs none: the focused link opens the picture by itself.

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

const CONTROLS = { e: "edit", p: "primary", delete: "trash", backspace: "trash" };

// Presses the card's own button for the key; true when there was one.
export const actOnKey = (card, event) => {
  if (!event.target.matches(".open")) return false;
  const control = card.querySelector(`[data-act="${CONTROLS[event.key.toLowerCase()]}"]`);
  control?.click();
  return Boolean(control);
};
