// How a crop's box changes under a hand: pure sums on {x, y, width, height}, in pixels of a picture of `size`. `ratio`: width to
// height, or null for any.

export const LEAST = 17; // pixels: portal/imaging/edits.py refuses less than 16, and half ones are rounded there

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
const least = (size) => Math.min(LEAST, size.width, size.height);

export function move(box, dx, dy, size) {
  return { ...box, x: clamp(box.x + dx, 0, size.width - box.width), y: clamp(box.y + dy, 0, size.height - box.height) };
}

/** The box in the shape wanted: as large as it was, around the same middle, as far as the picture reaches. */
export function reshape(box, ratio, size) {
  if (!ratio) return box;
  const wide = Math.max(Math.sqrt(box.width * box.height * ratio), least(size), least(size) * ratio);
  const width = Math.min(wide, size.width, size.height * ratio);
  const height = width / ratio;
  const x = box.x + (box.width - width) / 2;
  const y = box.y + (box.height - height) / 2;
  return move({ x, y, width, height }, 0, 0, size);
}

/** `edge`: the sides in the hand, as "n", "se". The others stay. */
export function resize(box, edge, point, ratio, size) {
  return ratio ? resizeInShape(box, edge, point, ratio, size) : resizeFreely(box, edge, point, size);
}

function resizeFreely(box, edge, point, size) {
  let [left, top, right, bottom] = [box.x, box.y, box.x + box.width, box.y + box.height];
  const small = least(size);
  if (edge.includes("w")) left = clamp(point.x, 0, right - small);
  if (edge.includes("e")) right = clamp(point.x, left + small, size.width);
  if (edge.includes("n")) top = clamp(point.y, 0, bottom - small);
  if (edge.includes("s")) bottom = clamp(point.y, top + small, size.height);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function resizeInShape(box, edge, point, ratio, size) {
  const right = box.x + box.width;
  const bottom = box.y + box.height;
  const acrossTo = edge.includes("w") ? right - point.x : point.x - box.x;
  const downTo = edge.includes("n") ? bottom - point.y : point.y - box.y;
  const wanted = Math.max(/[ew]/.test(edge) ? acrossTo : 0, /[ns]/.test(edge) ? downTo * ratio : 0);
  const room = edge.includes("w") ? right : edge.includes("e") ? size.width - box.x : size.width;
  const fall = edge.includes("n") ? bottom : edge.includes("s") ? size.height - box.y : size.height;
  const small = least(size);
  const most = Math.min(room, fall * ratio);
  const width = clamp(wanted, Math.min(Math.max(small, small * ratio), most), most);
  const height = width / ratio;
  const x = edge.includes("w") ? right - width : edge.includes("e") ? box.x : box.x + (box.width - width) / 2;
  const y = edge.includes("n") ? bottom - height : edge.includes("s") ? box.y : box.y + (box.height - height) / 2;
  return move({ x, y, width, height }, 0, 0, size);
}
