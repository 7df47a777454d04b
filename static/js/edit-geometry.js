// Where a point of the upright original lies in what people see of it, and back; all in 0..1. Pure; twin of portal/imaging/edits.py.
// Edits: {rotate: 0|90|180|270 clockwise, flip: "horizontal"|"vertical", crop: {x, y, width, height}}: cropped, flipped, then rotated.

export const WHOLE = { x: 0, y: 0, width: 1, height: 1 };

const clamp = (value) => Math.min(Math.max(value, 0), 1);
const FLIPS = { horizontal: ([x, y]) => [1 - x, y], vertical: ([x, y]) => [x, 1 - y] };
const TURNS = { 90: ([x, y]) => [1 - y, x], 180: ([x, y]) => [1 - x, 1 - y], 270: ([x, y]) => [y, 1 - x] };
const stay = (point) => point;
const turnBy = (degrees) => TURNS[(degrees + 360) % 360] ?? stay;
const flipBy = (flip) => FLIPS[flip] ?? stay;

function forth([x, y], { rotate = 0, flip, crop }) {
  const part = crop ?? WHOLE;
  return turnBy(rotate)(flipBy(flip)([(x - part.x) / part.width, (y - part.y) / part.height]));
}

function back(point, { rotate = 0, flip, crop }) {
  const part = crop ?? WHOLE;
  const [x, y] = flipBy(flip)(turnBy(-rotate)(point));
  return [part.x + x * part.width, part.y + y * part.height];
}

/** {x, y} of the upright original in what is seen; what was cut off lies at the edge. */
export function toShown({ x, y }, edits) {
  const [left, top] = forth([x, y], edits);
  return { x: clamp(left), y: clamp(top) };
}

export function toOriginal({ x, y }, edits) {
  const [left, top] = back([x, y], edits);
  return { x: clamp(left), y: clamp(top) };
}

const boxOf = ([[left, top], [right, bottom]]) => ({
  x: Math.min(left, right),
  y: Math.min(top, bottom),
  width: Math.abs(right - left),
  height: Math.abs(bottom - top),
});
const corners = ({ x, y, width, height }) => [[x, y], [x + width, y + height]];

export const boxToShown = (box, edits) => boxOf(corners(box).map((corner) => forth(corner, edits)));
export const boxToOriginal = (box, edits) => boxOf(corners(box).map((corner) => back(corner, edits)));

/** Of an original of this size, as people see it: turned a quarter, its sides change places. */
export function sizeShown({ width, height }, { rotate = 0, crop }) {
  const part = crop ?? WHOLE;
  const size = { width: width * part.width, height: height * part.height };
  return rotate % 180 ? { width: size.height, height: size.width } : size;
}

/** An SVG `transform` that lays a picture made with the edits `before` where those of `after` want it; sizes as sizeShown gives. */
export function matrixBetween(before, after, original) {
  const from = sizeShown(original, before);
  const to = sizeShown(original, after);
  const place = (point) => forth(back(point, before), after);
  const [[x, y], [ax, ay], [bx, by]] = [place([0, 0]), place([1, 0]), place([0, 1])];
  const numbers = [
    ((ax - x) * to.width) / from.width,
    ((ay - y) * to.height) / from.width,
    ((bx - x) * to.width) / from.height,
    ((by - y) * to.height) / from.height,
    x * to.width,
    y * to.height,
  ];
  return `matrix(${numbers.map((number) => number.toFixed(6)).join(" ")})`;
}
