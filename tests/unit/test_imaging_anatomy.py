"""What is found in a file's structure before any decoder sees it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from portal.errors import FileRefused, HostileContent, NotAnImage, TooManyPixels
from portal.imaging.verify import Limits, verify
from tests import samples

PHP = b"<?php system('id'); ?>"
LIMITS = Limits()


def check(folder: Path, data: bytes) -> None:
    verify(samples.write(folder, "upload", data), "picture", LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        samples.jpeg(comment=PHP),
        samples.jpeg(xmp=b"<x:xmpmeta>" + PHP + b"</x:xmpmeta>"),
        samples.jpeg(icc_profile=PHP * 20),
        samples.with_exif({0x010E: PHP.decode()}),
        samples.with_exif({0x9C9C: PHP.decode().encode("utf-16-le")}),
        samples.jpeg()[:20] + b"\0" + PHP + samples.jpeg()[20:],
        samples.jpeg()[:-2] + b"\xff\xdc" + struct.pack(">H", len(PHP) + 2) + PHP + b"\xff\xd9",
        samples.jpeg() + PHP,
        samples.with_chunk(samples.png(), b"tEXt", b"Title\0" + PHP),
        samples.with_chunk(samples.png(), b"zTXt", samples.packed_text(b"zTXt", PHP)),
        samples.with_chunk(samples.png(), b"iTXt", samples.packed_text(b"iTXt", PHP)),
        samples.with_chunk(samples.png(), b"iCCP", samples.packed_text(b"iCCP", PHP)),
        samples.with_chunk(samples.png(), b"eXIf", b"MM\0*" + PHP),
        samples.with_chunk(samples.png(), b"viRt", PHP),
        samples.png() + PHP,
        samples.webp(exif=b"Exif\0\0" + PHP),
        samples.webp(xmp=PHP),
        samples.webp(icc_profile=PHP * 20),
        samples.with_webp_chunk(b"viRt", PHP),
        samples.in_webp_frame(PHP),
        samples.webp() + PHP,
        samples.gif(comment=PHP),
        samples.gif_comment(PHP[:3], PHP[3:]),
        samples.gif_stray(PHP),
        samples.gif() + PHP,
    ],
    ids=[
        *("comment", "xmp", "profile", "exif", "exif in utf-16", "between segments", "line count", "behind a jpeg"),
        *("text", "packed text", "international text", "packed profile", "png exif", "private chunk", "behind a png"),
        *("webp exif", "webp xmp", "webp profile", "webp chunk", "inside a frame", "behind a webp"),
        *("gif comment", "parted comment", "stray bytes", "behind a gif"),
    ],
)
def test_a_program_is_found_wherever_no_pixel_comes_from(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(HostileContent, match="program or a document"):
        check(tmp_path, data)


@pytest.mark.parametrize(
    "behind",
    [
        b"PK\x03\x04" + bytes(40),
        b"\n" + samples.polyglot()[len(samples.jpeg()) :],
        b"\x7fELF" + bytes(40),
        b"MZ" + bytes(60) + b"This program cannot be run in DOS mode.",
        b"Rar!\x1a\x07\x00" + bytes(40),
        b"\n7z\xbc\xaf\x27\x1c" + bytes(40),
        b"\x1f\x8b\x08" + bytes(40),
        b"%PDF-1.7",
        b"<ScRiPt>alert(1)</sCrIpT>",
    ],
    ids=["zip", "zip after a gap", "elf", "exe", "rar", "7z", "gzip", "pdf", "script"],
)
@pytest.mark.parametrize("data", [samples.jpeg(), samples.png(), samples.webp(), samples.gif()])
def test_what_is_two_things_at_once_is_refused(tmp_path: Path, data: bytes, behind: bytes) -> None:
    with pytest.raises(HostileContent):
        check(tmp_path, data + behind)


def test_an_archive_inside_a_comment_is_found(tmp_path: Path) -> None:
    archive = samples.polyglot()[len(samples.jpeg()) :]
    with pytest.raises(HostileContent):
        check(tmp_path, samples.jpeg(comment=archive))


@pytest.mark.parametrize(
    "data",
    [
        samples.jpeg() + bytes(5000),
        samples.jpeg() + b"\n",
        samples.png() + b"\r\n",
        samples.gif() + b"\0\0",
        samples.webp() + b"\0",
        samples.gif_comment(b"made ", b"with love"),
        samples.gif_stray(b"\0\0\0"),
        samples.with_chunk(samples.png(), b"zTXt", samples.packed_text(b"zTXt", b"A long story. " * 5000)),
        samples.with_chunk(samples.png(), b"zTXt", b"Title\0\0not packed at all"),
        samples.with_chunk(samples.png(), b"iTXt", b"Title"),
        samples.with_webp_chunk(b"viRt", b"harmless"),
        samples.in_webp_frame(b"odd"),
        samples.plain("JPEG"),
        samples.plain("JPEG", optimize=True),
        samples.plain("JPEG", progressive=True),
        samples.plain("JPEG", mode="RGB", progressive=True, subsampling=0),
        samples.plain("JPEG", mode="RGB", optimize=True, subsampling=2),
        samples.plain("JPEG", mode="CMYK", optimize=True),
        samples.plain("PNG"),
        samples.plain("PNG", mode="1"),
    ],
)
def test_what_good_programs_write_is_taken(tmp_path: Path, data: bytes) -> None:
    check(tmp_path, data)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE", b"tRNS"])
def test_a_png_that_breaks_its_own_checksums_is_refused(tmp_path: Path, kind: bytes) -> None:
    data = samples.transparent() if kind in (b"IHDR", b"IDAT") else _palette()
    with pytest.raises(NotAnImage, match="checksum"):
        check(tmp_path, samples.bad_checksum(kind, data))


def _palette() -> bytes:
    return samples.save(samples.scene(64, 48).quantize(16), "PNG", transparency=bytes(16))


@pytest.mark.parametrize("kind", [b"acTL", b"fcTL", b"fdAT"])
def test_also_one_of_an_animations_later_frames(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(NotAnImage, match="checksum"):
        check(tmp_path, samples.bad_checksum(kind, samples.animated("PNG")))


def test_a_checksum_of_what_is_no_picture_is_nobodys_business(tmp_path: Path) -> None:
    check(tmp_path, samples.bad_checksum(b"IEND"))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_a_jpeg_that_claims_more_than_its_data_can_hold_is_refused(tmp_path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(NotAnImage, match="ends early"):
        check(tmp_path, samples.enlarged(**options))
    with pytest.raises(TooManyPixels):
        check(tmp_path, samples.enlarged(60_000, 60_000, **options))


def test_a_png_that_claims_more_than_its_data_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnImage, match="ends early"):
        check(tmp_path, samples.bomb(7000, 7000))


@pytest.mark.parametrize("length", [9, 1000, 2**31, 2**32 - 1])
def test_a_webp_chunk_that_claims_more_than_there_is_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(NotAnImage, match="ends early"):
        check(tmp_path, samples.with_webp_chunk(b"viRt", b"12345678", length))


@pytest.mark.parametrize("declared", [0, 3, 12, 100, 2**32 - 1])
def test_a_webp_that_lies_about_its_length_is_refused(tmp_path: Path, declared: int) -> None:
    data = samples.webp()
    with pytest.raises(FileRefused):
        check(tmp_path, data[:4] + struct.pack("<I", declared) + data[8:])


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_unpacks_without_end_is_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(HostileContent, match="unpacks"):
        check(tmp_path, samples.with_chunk(samples.png(), kind, samples.packed_text(kind, bytes(50_000_000))))


def test_many_texts_that_unpack_to_much_together_are_refused(tmp_path: Path) -> None:
    data = samples.png()
    for _ in range(17):
        data = samples.with_chunk(data, b"zTXt", samples.packed_text(b"zTXt", bytes(1_000_000)))
    with pytest.raises(HostileContent, match="unpacks"):
        check(tmp_path, data)


@pytest.mark.parametrize("format", ["jpeg", "png", "gif"])
def test_a_file_of_parts_without_end_is_refused(tmp_path: Path, format: str) -> None:
    crowds = {
        "jpeg": samples.jpeg()[:2] + b"\xff\xfe\0\3x" * 30_000 + samples.jpeg()[2:],
        "png": samples.png()[:33] + samples.with_chunk(bytes(12), b"tEXt", b"a\0b")[:-12] * 30_000 + samples.png()[33:],
        "gif": samples.gif()[:-1] + b"!\xfe\1x\0" * 30_000 + b";",
    }
    with pytest.raises(HostileContent, match="parts"):
        check(tmp_path, crowds[format])


def test_frames_that_lie_about_their_place_or_size_are_refused(tmp_path: Path) -> None:
    for format, mark, at in (("PNG", b"fcTL", 8), ("WEBP", b"ANMF", 14)):
        data = bytearray(samples.animated(format))
        data[data.index(mark) + at + 1 : data.index(mark) + at + 3] = b"\xff\xff"
        with pytest.raises(FileRefused):
            check(tmp_path, bytes(data))
