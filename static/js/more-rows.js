// The next rows of a list take the place of the link that asked for them: who was on that link goes on at the first of them.
let followed = null; // the row before the link, while the focus is on it

document.addEventListener("htmx:before:swap", () => {
  followed = document.activeElement?.closest("tr.more")?.previousElementSibling ?? null;
});
document.addEventListener("htmx:after:swap", () => {
  followed?.nextElementSibling?.querySelector("a")?.focus({ preventScroll: true });
  followed = null;
});
