// A file beside the picture that it is (from <template id="duplicate">), or that it looks like (from the server, in its row).

import { megabytes } from "./upload-checks.js";

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

// The picture's card: on this page, or, when it stands further on in the gallery, asked for.
async function cardOf(imageId) {
  const here = document.getElementById(`card-${imageId}`);
  if (here) return here;
  const answer = await fetch(`/images/${encodeURIComponent(imageId)}/card`, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return null;
  const parsed = document.createElement("template");
  parsed.innerHTML = await answer.text();
  return parsed.content.querySelector(".image-card");
}

async function showPictureHere(entry, twins) {
  const card = await cardOf(entry.imageId);
  const picture = card?.querySelector(".pic img:not(.blur)") ?? card?.querySelector(".pic img");
  if (picture) part(twins, "here").src = picture.currentSrc || picture.getAttribute("src");
  part(twins, "here").closest(".pic").hidden = !picture;
  part(twins, "here-facts").textContent = card?.querySelector(".name").textContent.trim() ?? "It is not shown on this page";
  part(twins, "open").href = card?.querySelector("a.name").getAttribute("href") ?? part(twins, "open").href;
}

export function showTwins(entry, row, actions) {
  const twins = document.getElementById("duplicate").content.firstElementChild.cloneNode(true);
  part(twins, "added").src = entry.preview ?? "";
  part(twins, "added-facts").textContent = `${entry.name} · ${megabytes(entry.size)}`;
  for (const name of ["keep", "anyway"]) part(twins, `${name}-name`).textContent = `: ${entry.name}`;
  part(twins, "keep").addEventListener("click", () => actions.dismiss(entry));
  part(twins, "anyway").addEventListener("click", () => {
    part(row, "close").focus();
    actions.addAnyway(entry);
  });
  row.append(twins);
  showPictureHere(entry, twins);
}

// The hint is never a refusal: the picture is stored, and both buttons only put an end to the row.
export function dressLookalike(entry, row, actions) {
  const twins = entry.lookalike;
  part(twins, "added").src = entry.preview ?? "";
  part(twins, "keep").addEventListener("click", () => actions.dismiss(entry));
  part(twins, "remove").addEventListener("htmx:after:request", ({ detail }) => {
    if (detail.ctx.response?.status < 400) actions.dismiss(entry);
  });
  row.append(twins);
  window.htmx.process(twins);
}
