"""Pictures for tests, good and bad, made on the spot: each function gives the bytes of one file."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

ORIENTATION, GPS = 0x0112, 0x8825
_TURN_BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that undoes each orientation


@lru_cache(maxsize=16)
def scene(width: int, height: int) -> Image.Image:
    """A picture whose four corners differ: red, green, blue and white, with gradients between. Copy before you draw."""
    corners = Image.new("RGB", (2, 2))
    for at, colour in {(0, 0): "red", (1, 0): "lime", (0, 1): "blue", (1, 1): "white"}.items():
        corners.putpixel(at, _rgb(colour))
    return corners.resize((width, height), Image.Resampling.BILINEAR)


def _rgb(name: str) -> tuple[int, int, int]:
    return {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}[name]


def save(picture: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def jpeg(width: int = 640, height: int = 480, **options: Any) -> bytes:
    return save(scene(width, height), "JPEG", **options)


def png(width: int = 320, height: int = 240, mode: str = "RGB", **options: Any) -> bytes:
    return save(scene(width, height).convert(mode), "PNG", **options)


def webp(width: int = 320, height: int = 240, **options: Any) -> bytes:
    return save(scene(width, height), "WEBP", **options)


def gif(width: int = 160, height: int = 120, **options: Any) -> bytes:
    return save(scene(width, height), "GIF", **options)


def noisy(width: int = 640, height: int = 480, quality: int = 95, **options: Any) -> bytes:
    """A JPEG with detail everywhere: large for its size, as camera files are."""
    noise = Image.merge("RGB", [Image.effect_noise((width, height), 60) for _ in range(3)])
    return save(Image.blend(scene(width, height), noise, 0.3), "JPEG", quality=quality, **options)


def distinct(number: int, width: int = 64, height: int = 48) -> bytes:
    """A JPEG whose bytes differ from those of any other number."""
    return jpeg(width, height, comment=f"sample {number}".encode())


def shapes(number: int, width: int = 320, height: int = 240, **options: Any) -> bytes:
    """A JPEG that looks like none of another number: 5 x 4 fields of light and dark."""
    tones = hashlib.shake_128(str(number).encode()).digest(20)
    return save(
        Image.frombytes("L", (5, 4), tones).resize((width, height), Image.Resampling.BICUBIC), "JPEG", **options
    )


def animated(format: str = "GIF", frames: int = 4, width: int = 60, height: int = 40) -> bytes:
    """GIF, WEBP or PNG; its first frame is the scene, the others are plain."""
    rest = [Image.new("RGB", (width, height), (40 * n % 256, 90, 200)) for n in range(1, frames)]
    return save(scene(width, height), format, save_all=True, append_images=rest, duration=100)


def film(format: str, frames: list[tuple[int, str]], **options: Any) -> bytes:
    """An animation of plain frames: the milliseconds and the colour of each."""
    pictures = [Image.new("RGB", (60, 40), colour) for _, colour in frames]
    times = [time for time, _ in frames]
    return save(pictures[0], format, save_all=True, append_images=pictures[1:], duration=times, **options)


def exif_rotated(orientation: int, width: int = 640, height: int = 480, format: str = "JPEG") -> bytes:
    """Upright it is `scene(width, height)`, red in its top left corner; stored it lies as the orientation says."""
    picture = scene(width, height)
    if orientation in _TURN_BACK:
        picture = picture.transpose(Image.Transpose(_TURN_BACK[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return save(picture, format, exif=exif)


def with_location() -> bytes:
    """A camera's JPEG: model, lens, exposure, and where and by whom it was taken."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B] = "Canon", "Canon EOS 5D", "SECRET-AUTHOR"
    exif.get_ifd(0x8769).update(
        {0x9003: "2026:05:17 14:30:00", 0x9011: "+02:00", 0x829A: 0.008, 0x829D: 2.8, 0x8827: 400, 0x920A: 50.0}
    )
    exif.get_ifd(0x8769)[0xA434] = "EF 50mm f/1.4"
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0), 29: "SECRET-PLACE"})
    return jpeg(exif=exif, comment=b"SECRET-COMMENT", xmp=b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>")


def transparent(format: str = "PNG", width: int = 100, height: int = 80) -> bytes:
    """Left half clear, right half red."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (width // 2, 0, width, height))
    return save(picture, format, **({"lossless": True} if format == "WEBP" else {}))


def grey_16_bit(width: int = 100, height: int = 80) -> bytes:
    """A PNG of 16 bits, half as bright as white."""
    picture = Image.frombytes("I;16", (width, height), struct.pack("<H", 0x8000) * (width * height))
    return save(picture, "PNG")


def cmyk(width: int = 320, height: int = 240) -> bytes:
    return save(scene(width, height).convert("CMYK"), "JPEG", quality=95)


def swapped_channels() -> bytes:
    """Stored as pure blue under a profile in which that is red: what ignores the profile shows it blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    rows = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, blue = rows[b"rXYZ"], rows[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    profile = profile.replace(b"s\0R\0G\0B", b"O\0d\0d\0!")
    return save(Image.new("RGB", (200, 150), (0, 0, 255)), "JPEG", quality=95, icc_profile=bytes(profile))


def truncated(data: bytes | None = None, share: float = 0.6) -> bytes:
    data = noisy() if data is None else data
    return data[: int(len(data) * share)]


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of some hundred bytes whose header claims billions of pixels."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND")


def _chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def lying_gif() -> bytes:
    """A GIF that says 2 x 2 in its header and has a frame of 60,000 x 60,000."""
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\x00;"


def many_frames(count: int = 1001) -> bytes:
    """A GIF of `count` frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return head + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00") * count + b";"


def many_scans(count: int = 3000, side: int = 2000) -> bytes:
    """A progressive JPEG of some hundred KB whose last scan comes again and again.

    Each costs the decoder a pass over all coefficients: the default takes seconds.
    """
    data = save(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def polyglot() -> bytes:
    """A picture and an archive in one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("evil.jsp", "PAYLOAD")
    return jpeg() + out.getvalue()


def with_php() -> bytes:
    return jpeg(comment=b"<?php system($_GET['PAYLOAD']); ?>")


def motion_photo() -> bytes:
    """A JPEG with a short film behind it, as phones make them: a good picture."""
    return jpeg() + struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + b"PAYLOAD" * 100


def mpo() -> bytes:
    """Two pictures in one file, as phones and stereo cameras make them; the first is the scene."""
    second = Image.new("RGB", (640, 480), "black")
    return save(scene(640, 480), "MPO", save_all=True, append_images=[second])


# Red, green and blue of some spaces, as XYZ under D50, and the exponent of their curve.
_SPACES: dict[str, tuple[tuple[float, ...], float]] = {
    "Display P3": ((0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407), 2.2),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457), 2.19921875),
    "ProPhoto": ((0.79767, 0.28804, 0.0, 0.13519, 0.71188, 0.0, 0.03134, 0.00009, 0.82491), 1.8),
}
_D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(space: str) -> bytes:
    """An ICC profile of a wider space than sRGB."""
    primaries, gamma = _SPACES[space]
    parts = {kind: _xyz(primaries[at : at + 3]) for kind, at in ((b"rXYZ", 0), (b"gXYZ", 3), (b"bXYZ", 6))}
    return _icc(b"mntr", b"RGB ", b"XYZ ", space, parts | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)))


def grey_profile(gamma: float = 1.8) -> bytes:
    return _icc(b"mntr", b"GRAY", b"XYZ ", "Grey", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """A press whose inks are paler than pure ones: a table of the sixteen mixtures of all or nothing, as 8-bit Lab."""
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    mixtures = Image.new("RGB", (16, 1))
    for number in range(16):
        c, m, y, k = (number >> at & 1 for at in (3, 2, 1, 0))
        mixtures.putpixel((number, 0), tuple(int((250 - 200 * ink) * (1 - 0.85 * k)) for ink in (c, m, y)))
    as_lab = ImageCms.applyTransform(mixtures, lab)
    assert as_lab
    nodes = bytes(value ^ (0x80 if at % 3 else 0) for at, value in enumerate(as_lab.tobytes()))
    straight = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * (at % 4 == 0) for at in range(9)))
    table = head + straight * 4 + nodes + straight * 3
    return _icc(b"prtr", b"CMYK", b"Lab ", "Pale press", {b"A2B0": table})


def _icc(kind: bytes, space: bytes, between: bytes, name: str, parts: dict[bytes, bytes]) -> bytes:
    text = name.encode()
    described = b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    parts = {b"desc": described, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(_D50)} | parts
    at, table, body = 132 + 12 * len(parts), struct.pack(">I", len(parts)), b""
    for tag, part in parts.items():
        table += tag + struct.pack(">II", at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02100000, kind, space, between)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head + bytes(128 - len(head)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def colours(width: int = 900, height: int = 600) -> Image.Image:
    """All hues from dark through full to pale, soft and without edges; and greys along the bottom."""
    hue = Image.linear_gradient("L").rotate(90).resize((width, height))
    across = Image.linear_gradient("L").resize((width, height))
    full = Image.merge("HSV", [hue, Image.new("L", hue.size, 200), across]).convert("RGB")
    full.paste(hue.convert("RGB").crop((0, 0, width, height // 4)), (0, height - height // 4))
    return full


def as_16_bit_rgb(data: bytes, size: tuple[int, int], values: bytes) -> bytes:
    """This RGB PNG with 16 bits a channel: `values` two bytes each, the upper first."""
    row = size[0] * 6
    lines = b"".join(b"\0" + values[at : at + row] for at in range(0, len(values), row))
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 16, 2, 0, 0, 0))
    between = data[33 : data.index(b"IDAT") - 4]
    return data[:8] + head + between + _chunk(b"IDAT", zlib.compress(lines, 1)) + _chunk(b"IEND")


def clear_in_16_bit(mode: str) -> bytes:
    """A PNG of 16 bits whose left half has the colour that counts as clear."""
    clear, other = (b"\x80\x11", b"\x40\x22") if mode == "L" else (b"\x80\x11\0\x22\x40\x33", b"\x40\1\x10\2\x80\3")
    values = (clear * 50 + other * 50) * 80
    if mode == "L":
        data = save(Image.frombytes("I;16B", (100, 80), values), "PNG")
    else:
        data = as_16_bit_rgb(png(100, 80), (100, 80), values)
    return data[:33] + _chunk(b"tRNS", clear) + data[33:]


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk before its end."""
    return data[:-12] + _chunk(kind, body) + data[-12:]


def packed_text(kind: bytes, text: bytes) -> bytes:
    """The body of a zTXt, iTXt or iCCP chunk that holds this text compressed."""
    between = {b"zTXt": b"\0", b"iCCP": b"\0", b"iTXt": b"\1\0en\0Titel\0"}[kind]
    return b"Title\0" + between + zlib.compress(text)


def bad_checksum(kind: bytes, data: bytes | None = None) -> bytes:
    """A PNG whose chunk of this kind is not what its checksum says, though it may well decode."""
    data = png() if data is None else data
    at = data.index(kind)
    (length,) = struct.unpack_from(">I", data, at - 4)
    end = at + 4 + length
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


def enlarged(width: int = 7000, height: int = 7000, **options: Any) -> bytes:
    """A JPEG of 640 x 480 whose header claims more: the decoder alone would fill up with grey."""
    data = bytearray(jpeg(**options))
    at = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


def clear(width: int, height: int, format: str) -> bytes:
    """One half-clear colour: few bytes, and as much memory as its pixels may ask for."""
    options = {"lossless": True} if format == "WEBP" else {"compress_level": 1}
    return save(Image.new("RGBA", (width, height), (200, 30, 10, 90)), format, **options)


def plain(format: str, side: int = 1500, **options: Any) -> bytes:
    """One colour and nothing else: as few bytes as so many pixels can have."""
    return save(Image.new(options.pop("mode", "L"), (side, side)), format, **options)


def with_webp_chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A WebP with one more chunk, which claims to be `length` long."""
    data = webp() + kind + struct.pack("<I", len(body) if length is None else length) + body + b"\0" * (len(body) & 1)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def in_webp_frame(payload: bytes) -> bytes:
    """An animated WebP; inside its first frame stands a chunk that no decoder knows."""
    data = animated("WEBP")
    at = data.index(b"ANMF")
    (length,) = struct.unpack_from("<I", data, at + 4)
    chunk = b"noop" + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) & 1)
    end = at + 8 + length + (length & 1)
    data = data[: at + 4] + struct.pack("<I", end - at - 8 + len(chunk)) + data[at + 8 : end] + chunk + data[end:]
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def gif_comment(*parts: bytes) -> bytes:
    """A GIF whose comment is stored in these parts, each behind its length."""
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    return gif()[:-1] + b"!\xfe" + blocks + b"\0;"


def gif_stray(payload: bytes) -> bytes:
    """A GIF with bytes between its blocks that belong to none."""
    return gif()[:-1] + b"\0" + payload + b";"


def with_location_in(format: str) -> bytes:
    """JPEG, PNG (its eXIf chunk) or WEBP that says where it was taken and with which camera."""
    exif = Image.Exif()
    exif[0x0110], exif[0x013B], exif[0xA431] = "Pixel 9", "SECRET-AUTHOR", "SECRET-SERIAL"
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0), 29: "SECRET-PLACE"})
    return save(scene(640, 480), format, exif=exif)


def with_exif(tags: dict[int, Any] | None = None, details: dict[int, Any] | None = None) -> bytes:
    """A JPEG with these EXIF tags: of the picture, and of how it was taken."""
    exif = Image.Exif()
    exif.update(tags or {})
    exif.get_ifd(0x8769).update(details or {})
    return jpeg(exif=exif)


# What people try that is no picture of ours, by the name they would give it.
FOREIGN: dict[str, bytes] = {
    "page.pdf": b"%PDF-1.7\n" + bytes(100),
    "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "photo.avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(100),
    "drawing.svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "scan.tiff": b"II*\0\x08\0\0\0" + bytes(100),
    "old.bmp": b"BM" + struct.pack("<I", 200) + bytes(100),
    "photos.zip": b"PK\x03\x04" + bytes(100),
    "page.html": b"<!DOCTYPE html><html><body>hello</body></html>",
    "film.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(100),
}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
