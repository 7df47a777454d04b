// Dialogs open by the platform's own `commandfor`/`command`; this stands in where a browser lacks it. A folded form
// (details.adder) also closes by Escape or a click beside it, and takes the focus when it opens.
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    const command = button?.getAttribute("command");
    if (command === "show-modal" && !dialog?.open) dialog?.showModal();
    if (command === "close") dialog?.close();
  });
}

const isAsItCame = (input) => input.value === input.defaultValue && input.checked === input.defaultChecked;
const openAdder = () => document.querySelector("details.adder[open]");

document.addEventListener(
  "toggle",
  (event) => {
    if (!event.target.matches?.("details.adder[open]")) return;
    const inside = [...event.target.querySelectorAll(":scope > :not(summary) :is(a[href], input:not([type=hidden]))")];
    (event.target.querySelector("[aria-invalid]") ?? inside.find((each) => each.checkVisibility()))?.focus();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const adder = event.key === "Escape" && openAdder();
  if (!adder) return;
  adder.open = false;
  adder.querySelector("summary").focus();
});

document.addEventListener("pointerdown", (event) => {
  const adder = openAdder();
  const isUntouched = adder && !adder.querySelector("[aria-invalid]") && [...adder.querySelectorAll("input")].every(isAsItCame);
  if (isUntouched && !adder.contains(event.target)) adder.open = false;
});
