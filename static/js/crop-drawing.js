// Draws a crop's frame into its <svg>, whose units are the picture's pixels: what is cut off lies in shade, the rule of thirds and
// the marks lie on the box, and around it the places where a hand takes hold (44 px of the screen, less where the box is small).

const FINGER = 44;
const SIDES = { n: [0.5, 0], e: [1, 0.5], s: [0.5, 1], w: [0, 0.5], nw: [0, 0], ne: [1, 0], se: [1, 1], sw: [0, 1] };

const put = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
};

export function drawCrop(svg, box, size) {
  const scale = svg.getScreenCTM()?.a || 1;
  const part = (name) => svg.querySelector(`[data-part=${name}]`);
  const { x, y, width, height } = box;
  put(part("shade"), { d: `M0 0H${size.width}V${size.height}H0ZM${x} ${y}v${height}h${width}v${-height}Z` });
  put(part("box"), box);
  const [w, h] = [width / 3, height / 3];
  put(part("thirds"), { d: `M${x + w} ${y}v${height}m${w} 0v${-height}M${x} ${y + h}h${width}m0 ${h}h${-width}` });
  put(part("marks"), { d: marks(box, Math.min(18 / scale, w, h)) });
  for (const grip of svg.querySelectorAll("[data-edge]")) putGrip(grip, box, scale);
}

function marks({ x, y, width, height }, long) {
  const corner = (left, top, right, down) => `M${left + right * long} ${top}H${left}V${top + down * long}`;
  const [right, bottom, middle, centre] = [x + width, y + height, x + width / 2, y + height / 2];
  return [
    corner(x, y, 1, 1) + corner(right, y, -1, 1) + corner(right, bottom, -1, -1) + corner(x, bottom, 1, -1),
    `M${middle - long / 2} ${y}h${long}M${middle - long / 2} ${bottom}h${long}`,
    `M${x} ${centre - long / 2}v${long}M${right} ${centre - long / 2}v${long}`,
  ].join("");
}

function putGrip(grip, { x, y, width, height }, scale) {
  const { edge } = grip.dataset;
  const [across, down] = SIDES[edge];
  const finger = Math.max(Math.min(FINGER, (Math.min(width, height) * scale) / 2), FINGER / 2) / scale;
  const wide = edge === "n" || edge === "s" ? Math.max(width - finger, 0) : finger;
  const high = edge === "e" || edge === "w" ? Math.max(height - finger, 0) : finger;
  put(grip, { x: x + across * width - wide / 2, y: y + down * height - high / 2, width: wide, height: high });
}
