// Dragging in the gallery, and how a new place is saved, however it was chosen: by the form #gallery-place, which says which picture
// now follows (or, at the end of what is shown, which one precedes). So it holds in a gallery of any length, and beside others' changes.
import Sortable from "../vendor/sortable.esm.js";

export const idOf = (card) => card?.id.slice("card-".length) ?? "";

const beside = (card, step) => {
  const found = card[step];
  return found?.matches(".image-card") ? found : null;
};

export function savePlace(card) {
  const form = document.getElementById("gallery-place");
  const following = beside(card, "nextElementSibling");
  form.elements.image.value = idOf(card);
  form.elements.before.value = idOf(following);
  form.elements.after.value = following ? "" : idOf(beside(card, "previousElementSibling"));
  form.requestSubmit();
}

/** The card that is being dragged, or null. */
export const dragged = () => Sortable.dragged ?? null;

export const isPlaceForm = (element) => element?.id === "gallery-place";

export function makeSortable(list, onDrop) {
  return Sortable.create(list, {
    draggable: ".image-card",
    filter: "input, textarea, button, form, .pick, [popover]",
    preventOnFilter: false,
    delay: 220, // a finger that only scrolls must not lift a picture
    delayOnTouchOnly: true,
    touchStartThreshold: 5,
    animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 220,
    ghostClass: "dragged",
    onEnd: (event) => onDrop(event.item, event.oldIndex !== event.newIndex),
  });
}
