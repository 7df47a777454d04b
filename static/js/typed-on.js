// What one types on after Save, while the answer is on its way, was not sent: it outlives the answer, and so does the place of the caret.

// Fields that a person fills. Tags are kept in a hidden one beside theirs.
const isFilled = ({ name, type, dataset }) => name && !["radio", "submit"].includes(type) && (type !== "hidden" || "first" in dataset);
const fieldsOf = (form, name) => [...form.elements].filter((field) => field.name === name && isFilled(field));

/** Names of the fields that hold something else than what was sent (a FormData or URLSearchParams). */
export function typedSince(form, sent) {
  const now = new FormData(form);
  const names = new Set([...form.elements].filter(isFilled).map(({ name }) => name));
  return [...names].filter((name) => JSON.stringify(now.getAll(name)) !== JSON.stringify(sent.getAll(name)));
}

/** Before `fresh` (the answer's form) takes the place of `form`. `from`: what had the focus when it was sent. */
export function carryOver(form, fresh, sent, from) {
  const names = typedSince(form, sent);
  const isInRows = names.includes("attribute") || names.includes("value");
  if (isInRows) carryRows(form, fresh);
  for (const name of names) if (!isInRows || !ROW.includes(name)) carryField(form, fresh, name);
  const at = document.activeElement;
  const isWriting = form.contains(at) && at.matches("input, textarea") && (at !== from || names.length > 0 || isUnsent(at));
  if (isWriting) keepFocus(form, fresh, at);
}

const ROW = ["attribute", "value"];
const isUnsent = (field) => field.id === "field-tags" && field.value !== "";

function carryField(form, fresh, name) {
  for (const [at, field] of fieldsOf(form, name).entries()) {
    const other = fieldsOf(fresh, name)[at] ?? fresh.elements[name];
    if (field.type === "checkbox") other.checked = field.checked;
    else other.value = field.value;
  }
}

// Rows come and go, so they go over as they are; what is left of the answer's own is its spare one.
function carryRows(form, fresh) {
  const rows = [...fresh.querySelectorAll(".attribute")];
  const spare = rows.pop();
  spare.classList.add("spare");
  for (const row of rows) row.remove();
  spare.before(...[...form.querySelectorAll(".attribute")].map((row) => row.cloneNode(true)));
  fresh.querySelector("attribute-rows").dataset.removed = ""; // more or fewer: not saved yet
}

const all = (form) => [...form.querySelectorAll("input:not([type=hidden], [type=radio]), textarea")];

function keepFocus(form, fresh, at) {
  const twin = (at.id && fresh.querySelector(`#${at.id}`)) || all(fresh)[all(form).indexOf(at)];
  const begun = isUnsent(at) ? at.value : null; // no tag yet
  const { selectionStart, selectionEnd } = at;
  for (const other of fresh.querySelectorAll("[autofocus]")) other.removeAttribute("autofocus");
  queueMicrotask(() => {
    if (begun !== null) twin.value = begun;
    twin?.focus();
    if (selectionStart !== null) twin?.setSelectionRange(selectionStart, selectionEnd);
  });
}
