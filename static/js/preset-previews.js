// Draws every preset of a picture as it would be cut: now, while a hand still moves the focal point or the frame of a crop.
// The frames keep their sizes, so nothing jumps; what stands in them is their inner <svg>.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The largest box of a shape within a region, as near to the focal point as the region allows; the region itself without a shape. */
function cutOf(region, shape, focal) {
  if (!shape) return region;
  const width = Math.min(region.width, region.height * shape);
  const height = Math.min(region.height, region.width / shape);
  const x = clamp(focal.x - width / 2, region.x, region.x + region.width - width);
  const y = clamp(focal.y - height / 2, region.y, region.y + region.height - height);
  return { x, y, width, height };
}

const put = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
};

// The whole cut in the middle of its frame.
function place(preset, cut) {
  const frame = preset.viewBox.baseVal;
  const scale = Math.min(frame.width / cut.width, frame.height / cut.height);
  const [width, height] = [cut.width * scale, cut.height * scale];
  const viewBox = `${cut.x} ${cut.y} ${cut.width} ${cut.height}`;
  put(preset.firstElementChild, { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height, viewBox });
}

// In what is to be cut: the picture as it is shown, or laid beneath it what an earlier crop has cut off.
function show(preset, size, underneath) {
  const [picture, ...more] = preset.firstElementChild.children;
  put(picture, { width: size.width, height: size.height });
  if (!underneath) more.forEach((element) => element.remove());
  else if (!more.length) preset.firstElementChild.append(underneath.cloneNode());
}

function say(preset, cut, isCropping) {
  const words = preset.closest("figure").querySelector("[data-part=pixels]");
  words.dataset.stored ??= words.textContent;
  if (!isCropping) words.textContent = words.dataset.stored;
  else if (!preset.dataset.shape) {
    const [width, height] = preset.dataset.box.split(" ").map(Number);
    const scale = Math.min(1, width / cut.width, height / cut.height); // never enlarged
    words.textContent = `${Math.max(1, Math.round(cut.width * scale))} × ${Math.max(1, Math.round(cut.height * scale))}`;
  }
}

/**
 * `region`: what is left of a picture of `size`, in its units, `focal` too; while one crops these are pixels.
 * `underneath`: an <image> of the whole original, where the picture that is shown is cropped already.
 */
export function drawPresets(region, size, focal, { isCropping = false, underneath = null } = {}) {
  for (const preset of document.querySelectorAll("svg[data-preset]")) {
    const cut = cutOf(region, Number(preset.dataset.shape) || null, focal);
    show(preset, size, underneath);
    place(preset, cut);
    say(preset, cut, isCropping);
  }
}

/** What a <crop-box> leaves, while its frame moves. */
export function drawCropped(cropping) {
  const { box, size, whole, underneath } = cropping;
  const point = cropping.querySelector("focal-point").pointIn(whole);
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const focal = point ? { x: point.x * size.width, y: point.y * size.height } : middle;
  drawPresets(box, size, focal, { isCropping: true, underneath });
}
