// On every page: files of yours that wait for a gallery which is not open here, and the way there. Only a gallery's page
// sends: there a duplicate or a refusal can be answered. Until then they are safe where they are.
import { forget, recordsOf } from "./upload-store.js";

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

function galleriesOf(records) {
  const galleries = new Map();
  for (const record of records) galleries.set(record.url, [...(galleries.get(record.url) ?? []), record]);
  return [...galleries.values()];
}

function words(records) {
  const waiting = records.filter(({ state }) => state === "waiting" || state === "uploading").length;
  const count = waiting || records.length;
  const said = waiting ? ["waits to be uploaded to", "wait to be uploaded to"] : ["needs you in", "need you in"];
  return `${count} ${count === 1 ? `picture ${said[0]}` : `pictures ${said[1]}`} ${records[0].gallery}`;
}

function noticeOf(records) {
  const notice = document.getElementById("waiting-upload").content.firstElementChild.cloneNode(true);
  part(notice, "title").textContent = words(records);
  part(notice, "open").href = records[0].page;
  const discard = part(notice, "discard");
  // what is discarded is gone from here: said in the button itself, and done at the second press
  discard.addEventListener("click", async () => {
    if (!discard.classList.contains("danger")) {
      discard.classList.replace("quiet", "danger");
      discard.textContent = `Discard ${records.length} for good`;
      return;
    }
    await forget(...records.map(({ id }) => id));
    notice.remove();
  });
  return notice;
}

let shown = ""; // what is there already is left in peace: with the focus on it, and pressed once

async function show() {
  const area = document.getElementById("waiting-uploads");
  if (!area || document.visibilityState === "hidden") return;
  const here = document.querySelector("upload-zone form")?.getAttribute("action");
  const records = (await recordsOf(document.body.dataset.account)).filter(({ url }) => url !== here);
  const found = JSON.stringify(records.map(({ id, state }) => [id, state]));
  if (found === shown) return;
  shown = found;
  area.replaceChildren(...galleriesOf(records).map(noticeOf));
}

show();
document.addEventListener("visibilitychange", show);
