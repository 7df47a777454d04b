// Files let go anywhere on the page. While they are over it, the veil says what letting go will do.

export function takeDrops(on, veil, add) {
  let fromThisPage = false; // a picture of the page itself being dragged is no upload
  const hasFiles = (event) => !fromThisPage && event.dataTransfer?.types.includes("Files");
  on(document, "dragstart", () => (fromThisPage = true));
  on(document, "pointermove", () => (fromThisPage = false)); // not dragend: what was dragged may be gone by then
  on(window, "dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    showVeil(veil, event.dataTransfer.items.length);
  });
  on(window, "dragleave", (event) => event.relatedTarget === null && (veil.hidden = true));
  on(window, "drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
}

function showVeil(veil, count) {
  if (!veil.hidden) return;
  veil.querySelector("strong").textContent = count > 1 ? `Let go to add ${count} pictures` : "Let go to add the picture";
  veil.hidden = false;
}
