"""What a file says of itself, read from its structure alone, before any decoder sees it.

Each walk costs time in proportion to the number of segments, not of pixels. A damaged inner structure is left to the
decoder; what is refused here is a file that ends before its own parts do.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from portal.errors import HostileContent, NotAnImage
from portal.imaging.formats import Format

# Not stuffing (00), not a restart (D0-D7), not filling (FF). `\xff+` would make the search 20 times slower.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOI, _EOI, _SOS, _COMMENT, _TEM = 0xD8, 0xD9, 0xDA, 0xFE, 0x01
_JPEG_TABLES_OF_RARE_CODING = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})  # arithmetic: less than a bit a block
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"fdAT", b"fcTL", b"acTL", b"IEND"})
_PNG_PACKED = {b"zTXt": 1, b"iCCP": 1, b"iTXt": 2}  # bytes between the name's end and what is packed
_WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
MOST_PARTS = 20_000  # a book's worth of comments; each costs memory
MOST_UNPACKED = 1024 * 1024  # of one packed text, as the decoder itself has it
MOST_UNPACKED_IN_ALL = 16 * MOST_UNPACKED


@dataclass
class Anatomy:
    """Largest width and height that any header claims, and the parts that no pixel comes from."""

    width: int = 0
    height: int = 0
    frames: int = 0
    scans: int = 0  # JPEG only
    progressive: bool = False  # JPEG only: the decoder keeps every coefficient in memory
    least_bits: int = 0  # JPEG only: fewer can't hold so many blocks
    is_short: bool = False  # JPEG only: they are fewer, and the decoder would fill up with grey
    metadata: list[memoryview] = field(default_factory=list[memoryview])
    trailing: memoryview = field(default_factory=lambda: memoryview(b""))

    def claim(self, width: int, height: int) -> None:
        self.width, self.height = max(self.width, width), max(self.height, height)

    def carry(self, part: memoryview) -> None:
        """Raises HostileContent for more parts than anybody writes."""
        if part:
            self.metadata.append(part)
        if len(self.metadata) > MOST_PARTS:
            raise HostileContent(
                f"The file is built from more than {MOST_PARTS:,} parts. Save it anew in a picture program and add that."
            )


def walk(data: bytes, format: Format) -> Anatomy:
    """Raises NotAnImage for a file that ends inside one of its own parts."""
    try:
        anatomy = _WALKS[format.name](data)
    except (struct.error, IndexError) as error:
        raise ends_early() from error
    if not (anatomy.width and anatomy.height):
        raise NotAnImage("The file says of itself that it has no pixels. It is damaged.")
    return anatomy


def ends_early(arrived: int | None = None, promised: int | None = None) -> NotAnImage:
    """The refusal of a cut file, with both sizes in bytes where they are known."""
    if arrived is None or promised is None:
        return NotAnImage("The file ends early: a part of the picture is missing. Copy it again from where it came.")
    return NotAnImage(f"The file ends early: {_size(arrived)} of {_size(promised)} arrived whole.")


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count:,} bytes"
    return f"{count / 1000:.1f} KB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def _walk_jpeg(data: bytes) -> Anatomy:
    anatomy = Anatomy(frames=1)
    view, at, first_scan, end = memoryview(data), 2, 0, len(data)
    while marker := _JPEG_MARKER.search(data, at):
        if not anatomy.scans:
            anatomy.carry(view[at : marker.start()])  # between segments, where nothing should be
        code, at = marker[1][0], marker.end()
        if code in (_SOI, _TEM):
            continue
        if code == _EOI:
            anatomy.trailing, end = view[at:], at
            break
        (length,) = struct.unpack_from(">H", data, at)
        _read_jpeg_segment(anatomy, code, view[at + 2 : at + length])
        at += max(length, 2)
        first_scan = first_scan or (at if code == _SOS else 0)
    anatomy.is_short = bool(first_scan) and anatomy.least_bits > 8 * (end - first_scan)
    return anatomy


def _read_jpeg_segment(anatomy: Anatomy, code: int, body: memoryview) -> None:
    if code in _JPEG_FRAMES:
        height, width = struct.unpack_from(">HH", body, 1)
        anatomy.claim(width, height)
        anatomy.progressive |= code in (0xC2, 0xC6, 0xCA, 0xCE)
        if code not in _JPEG_TABLES_OF_RARE_CODING:
            anatomy.least_bits = _least_bits(body, width, height) * (1 if anatomy.progressive else 2)
    elif code == _SOS:
        anatomy.scans += 1
    else:  # tables too: who hides something there finds it read
        anatomy.carry(body)


def _least_bits(body: memoryview, width: int, height: int) -> int:
    """The number of blocks of 8 x 8: of each at least its brightness is coded, and (not progressive) its end."""
    factors = [(body[at] >> 4, body[at] & 15) for at in range(7, 6 + 3 * body[5], 3)]
    across, down = (max((pair[side] for pair in factors), default=1) or 1 for side in (0, 1))
    return sum(-(-width * h // (8 * across)) * -(-height * v // (8 * down)) for h, v in factors)


def _walk_png(data: bytes) -> Anatomy:
    anatomy = Anatomy()
    view, at, frames, has_pixels, unpacked = memoryview(data), 8, 0, False, 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise ends_early(len(data), at + 12 + length) if has_pixels and kind == b"IDAT" else ends_early()
        body = view[at + 8 : at + 8 + length]
        if kind in _PNG_PIXELS:
            _check_sum(view[at + 4 : at + 12 + length])
            frames += _claim_png_frame(anatomy, kind, body)
        else:
            unpacked += _carry_png_text(anatomy, kind, body, MOST_UNPACKED_IN_ALL - unpacked)
        has_pixels |= kind == b"IDAT"
        at += 12 + length
        if kind == b"IEND":
            break
    anatomy.frames = max(1, frames)
    anatomy.trailing = view[at:]
    return anatomy


def _check_sum(chunk: memoryview) -> None:
    """The decoder leaves that of the pixels unread."""
    if zlib.crc32(chunk[:-4]) != int.from_bytes(chunk[-4:], "big") and bytes(chunk[:4]) != b"IEND":
        raise NotAnImage("The picture is damaged: a part of it is not what its checksum says. Copy it again.")


def _claim_png_frame(anatomy: Anatomy, kind: bytes, body: memoryview) -> int:
    """The number of frames of an animation that this begins: 0 or 1."""
    if kind in (b"IHDR", b"fcTL"):
        anatomy.claim(*struct.unpack_from(">II", body, 0 if kind == b"IHDR" else 4))
    return int(kind == b"fcTL")


def _carry_png_text(anatomy: Anatomy, kind: bytes, body: memoryview, room: int) -> int:
    """As it is, and unpacked. Gives the number of bytes that it unpacked to."""
    anatomy.carry(body)
    name_ends = bytes(body[:80]).find(b"\0")
    if kind not in _PNG_PACKED or name_ends < 0:
        return 0
    packed = body[name_ends + 1 + _PNG_PACKED[kind] :]
    if kind == b"iTXt":  # its language and its name in that language stand before
        packed = packed[len(b"\0".join(bytes(packed).split(b"\0", 2)[:2])) + 1 :]
    text = _unpack(packed, min(room, MOST_UNPACKED))
    anatomy.carry(memoryview(text))
    return len(text)


def _unpack(packed: memoryview, most: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, most + 1)
    except zlib.error:
        return b""
    if len(text) > most:
        raise HostileContent("A text inside the file unpacks to far more than a text. Save it anew and add that.")
    return text


def _walk_webp(data: bytes) -> Anatomy:
    anatomy = Anatomy()
    view = memoryview(data)
    (declared,) = struct.unpack_from("<I", data, 4)
    end = 8 + declared
    if end > len(data):
        raise ends_early(len(data), end)
    for kind, body in _chunks(view[12:end]):
        _read_webp_chunk(anatomy, kind, body)
    anatomy.frames = max(1, anatomy.frames)
    anatomy.trailing = view[end + (declared & 1) :]
    return anatomy


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(view):
        kind, length = struct.unpack_from("<4sI", view, at)
        if at + 8 + length > len(view):
            raise ends_early(len(view), at + 8 + length)
        yield kind, view[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _read_webp_chunk(anatomy: Anatomy, kind: bytes, body: memoryview) -> None:
    if kind == b"VP8X":
        anatomy.claim(1 + _uint24(body, 4), 1 + _uint24(body, 7))
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        anatomy.claim(width & 0x3FFF, height & 0x3FFF)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        anatomy.claim(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    elif kind == b"ANMF":
        anatomy.frames += 1
        anatomy.claim(1 + _uint24(body, 6), 1 + _uint24(body, 9))
        for inner, part in _chunks(body[16:]):
            if inner != b"ANMF":
                _read_webp_chunk(anatomy, inner, part)
    elif kind not in _WEBP_PIXELS:
        anatomy.carry(body)


def _uint24(view: memoryview, at: int) -> int:
    return view[at] | view[at + 1] << 8 | view[at + 2] << 16


def _walk_gif(data: bytes) -> Anatomy:
    anatomy = Anatomy()
    view = memoryview(data)
    anatomy.claim(*struct.unpack_from("<HH", data, 6))
    at = stray = 13 + _colour_table(data[10])
    while at < len(data) and data[at] != 0x3B:
        if data[at] not in b"!,":
            at += 1  # decoders skip it too
            continue
        anatomy.carry(view[stray:at])
        if data[at] == 0x21:
            at = _read_gif_extension(anatomy, view, at)
        else:
            left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
            anatomy.claim(left + width, top + height)
            anatomy.frames += 1
            at = _skip_blocks(data, at + 11 + _colour_table(data[at + 9]))
        stray = at
    anatomy.carry(view[stray:at])
    anatomy.trailing = view[at + 1 :]
    return anatomy


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _read_gif_extension(anatomy: Anatomy, view: memoryview, at: int) -> int:
    end = _skip_blocks(view, at + 2)
    if view[at + 1] != 0xF9:  # a comment, text or an application's own; F9 is timing
        anatomy.carry(view[at + 2 : end])
        anatomy.carry(memoryview(b"".join(_blocks(view, at + 2))))  # without the lengths that part a word in two
    return end


def _blocks(view: memoryview, at: int) -> Iterator[memoryview]:
    while at < len(view) and view[at]:
        yield view[at + 1 : at + 1 + view[at]]
        at += view[at] + 1


def _skip_blocks(data: bytes | memoryview, at: int) -> int:
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1


_WALKS: dict[str, Callable[[bytes], Anatomy]] = {
    "JPEG": _walk_jpeg,
    "PNG": _walk_png,
    "WEBP": _walk_webp,
    "GIF": _walk_gif,
}
