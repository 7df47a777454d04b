// An answer may come while a hand is at a card: what is lifted or dragged stays in the hand, what is being written stays written.
import { typedSince } from "./typed-on.js";

/** host: the gallery; of htmx:before:swap. True when the grid is to be asked for again, once the hand is empty. */
export function keepAtHand(host, { ctx, tasks }) {
  // Sortable leaves style attributes behind; htmx would copy them to the new elements, which the policy forbids
  for (const element of host.querySelectorAll("[style]")) element.removeAttribute("style");
  const task = tasks.find(({ type, target }) => type === "main" && host.contains(target));
  if (!task) return false;
  const drop = () => tasks.splice(tasks.indexOf(task), 1);
  if (host.inHand && task.target.contains(host.inHand)) return drop(), true;
  const card = task.target.closest(".image-card");
  if (!card) for (const each of host.querySelectorAll(".image-card.editing")) keepOpen(each, task.fragment);
  else if (card.matches(".editing") && isStillWritten(card, ctx, task.fragment)) drop();
  return false;
}

// The card that one writes on moves into the new grid; around its fields it looks as the portal says.
function keepOpen(card, fragment) {
  const fresh = fragment.getElementById(card.id);
  if (!fresh) return;
  card.classList.toggle("lead", fresh.matches(".lead"));
  card.querySelector(".pic").replaceWith(fresh.querySelector(".pic").cloneNode(true));
  card.querySelector("[autofocus]")?.removeAttribute("autofocus"); // else htmx would take the focus from another field
  fresh.setAttribute("hx-preserve", "true");
}

// Only its own Save and Cancel close it, not what was asked before it opened; and no Save that does not have the last words.
function isStillWritten(card, { request, response, sourceElement }, fragment) {
  if (!card.contains(sourceElement)) return true;
  const { form } = request;
  const isTypedOn = form?.matches("[data-act=describe]") && response.status < 400 && typedSince(form, request.body).length > 0;
  const fresh = fragment.getElementById(card.id);
  if (isTypedOn && fresh) form.elements.revision.value = fresh.dataset.revision;
  return isTypedOn;
}
