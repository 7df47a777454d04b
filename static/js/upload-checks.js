// Looks at a file before it is sent, so that nobody waits for 15 MB to be refused. The server decides again.

const SIGNS = [
  ["JPEG", [0xff, 0xd8, 0xff], ["jpg", "jpeg", "jpe", "jfif", "mpo"]],
  ["PNG", [0x89, 0x50, 0x4e, 0x47], ["png", "apng"]],
  ["GIF", [0x47, 0x49, 0x46, 0x38], ["gif"]],
];
// The sentences are the server's own (portal/imaging/foreign.py); a test compares them.
const OTHERS = [
  [/^%PDF/, "This is a PDF. Export the page as JPEG or PNG and add it again."],
  [/^....ftyp(avi[fs]|mi[fa][12f]....(....)*?avi[fs])/s, "This is an AVIF picture. Save it as JPEG, PNG or WebP and add it again."],
  [/^....ftyp(hei|hev|mi[fa][12f]|msf1)/s, "This is a HEIC photo, as iPhones take them. Export it as JPEG and add it again. For JPEGs from now on, choose Settings › Camera › Formats › Most Compatible on the iPhone."],
  [/^....ftyp/s, "This is a video. Save one picture of it as JPEG and add it again."],
  [/^(II[*+]\0|MM\0[*+])/, "This is a TIFF picture. Export it as JPEG or PNG and add it again."],
  [/^\s*(<\?xml[^]*)?(<!DOCTYPE svg|<svg)/i, "This is an SVG drawing, which can carry programs. Export it as JPEG or PNG and add it again."],
  [/^BM/, "This is a BMP picture. Save it as PNG or JPEG and add it again."],
  [/^8BPS/, "This is a Photoshop file. Export it as JPEG or PNG and add it again."],
  [/^PK\x03\x04/, "This is an archive. Unpack it and add the pictures inside."],
];
const HEAD_BYTES = 512 * 1024; // a JPEG's size stands behind its metadata, which may be long

// Powers of 1000, as everywhere on the pages.
export const megabytes = (bytes) =>
  bytes < 1e5 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const formatOf = (head) => {
  for (const [name, sign, extensions] of SIGNS)
    if (sign.every((byte, at) => head[at] === byte)) return { name, extensions };
  const text = String.fromCharCode(...head.subarray(0, 256));
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return { name: "WebP", extensions: ["webp"] };
  const other = OTHERS.find(([pattern]) => pattern.test(text));
  return { why: other?.[1] ?? "This is not a picture that can be shown here. JPEG, PNG, WebP and GIF can." };
};

// Width and height of a JPEG stand in its frame header; everything before it is skipped by its written length.
const jpegSize = (view) => {
  for (let at = 2; at + 9 < view.byteLength; ) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return [view.getUint16(at + 7), view.getUint16(at + 5)];
    else at += 2 + view.getUint16(at + 2);
  }
  return null;
};

const webpSize = (view) => {
  const uint24 = (at) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  const kind = String.fromCharCode(view.getUint8(15));
  if (kind === "X") return [uint24(24) + 1, uint24(27) + 1];
  if (kind === "L") {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
  }
  return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
};

// [width, height] as the header says, without decoding; null when the header is not within the bytes read.
export const pixelsOf = (name, buffer) => {
  const view = new DataView(buffer);
  if (view.byteLength < 32) return null;
  if (name === "PNG") return [view.getUint32(16), view.getUint32(20)];
  if (name === "GIF") return [view.getUint16(6, true), view.getUint16(8, true)];
  return name === "WebP" ? webpSize(view) : jpegSize(view);
};

// As an element's data-* attributes say them.
export const limitsOf = ({ maxBytes, maxMb, maxPixels, extensions }) => {
  return { maxBytes: Number(maxBytes), maxMb, maxPixels: Number(maxPixels), extensions: extensions.split(" ") };
};

// A sentence that says what is wrong and what to do, or null when the file may be sent.
export async function reasonToRefuse(file, { maxBytes, maxMb, maxPixels, extensions }) {
  if (file.size === 0) return "The file is empty: 0 bytes. Copy it again from where it came from.";
  let buffer;
  try {
    buffer = await file.slice(0, HEAD_BYTES).arrayBuffer();
  } catch {
    return "This could not be read. If it is a folder, open it and add the pictures in it.";
  }
  const format = formatOf(new Uint8Array(buffer));
  if (format.why) return format.why;
  const extension = /\.([^.]+)$/.exec(file.name)?.[1].toLowerCase() ?? "";
  const fitting = format.extensions.filter((each) => extensions.includes(each));
  if (!fitting.length) return `${format.name} pictures can’t be added here. Export it as ${extensions.join(", ")}.`;
  if (!fitting.includes(extension)) {
    const renamed = `${file.name.replace(/\.[^.]*$/, "")}.${fitting[0]}`;
    const said = extension ? `The name ends in .${extension}, but the file is a ${format.name}.` : "The name has no ending.";
    return `${said} Rename it to ${renamed} and add it again.`;
  }
  if (file.size > maxBytes)
    return `${megabytes(file.size)} is more than the ${maxMb} MB that one picture may have. Export it smaller and add it again.`;
  const pixels = pixelsOf(format.name, buffer);
  if (pixels && pixels[0] * pixels[1] > maxPixels) {
    const millions = (count) => Math.round(count / 1e6);
    return `${pixels[0]} × ${pixels[1]} is ${millions(pixels[0] * pixels[1])} million pixels; up to ${millions(maxPixels)} million fit. Export it smaller and add it again.`;
  }
  return null;
}
