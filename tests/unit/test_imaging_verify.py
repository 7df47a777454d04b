from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from portal.errors import (
    EmptyFile,
    ExtensionMismatch,
    FileRefused,
    HostileContent,
    NotAnImage,
    TooManyFrames,
    TooManyPixels,
    UnsupportedFormat,
)
from portal.imaging.verify import Limits, Verified, inspect, verify
from tests import samples

LIMITS = Limits()


def verify_bytes(folder: Path, data: bytes, name: str = "picture", limits: Limits = LIMITS) -> Verified:
    return verify(samples.write(folder, "upload", data), name, limits)


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (samples.jpeg(), "a.jpg", ("image/jpeg", "jpg", 640, 480, 1)),
        (samples.jpeg(progressive=True), "a.jfif", ("image/jpeg", "jpg", 640, 480, 1)),
        (samples.png(), "a.png", ("image/png", "png", 320, 240, 1)),
        (samples.webp(), "a.webp", ("image/webp", "webp", 320, 240, 1)),
        (samples.gif(), "a.gif", ("image/gif", "gif", 160, 120, 1)),
        (samples.animated("GIF"), "a.gif", ("image/gif", "gif", 60, 40, 4)),
        (samples.animated("WEBP"), "a.webp", ("image/webp", "webp", 60, 40, 4)),
        (samples.animated("PNG"), "a.png", ("image/png", "png", 60, 40, 4)),
        (samples.mpo(), "a.jpg", ("image/jpeg", "jpg", 640, 480, 1)),
        (samples.motion_photo(), "a.jpg", ("image/jpeg", "jpg", 640, 480, 1)),
        (samples.cmyk(), "a.jpg", ("image/jpeg", "jpg", 320, 240, 1)),
        (samples.grey_16_bit(), "a.png", ("image/png", "png", 100, 80, 1)),
        (samples.jpeg(1, 1), "a.jpg", ("image/jpeg", "jpg", 1, 1, 1)),
    ],
)
def test_a_good_picture_is_described(tmp_path: Path, data: bytes, name: str, expected: tuple[str, str, int, int, int]):
    found = verify_bytes(tmp_path, data, name)
    assert (found.media_type, found.extension, found.width, found.height, found.frames) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_placeholder_are_of_the_upright_picture(tmp_path: Path, orientation: int):
    found = verify_bytes(tmp_path, samples.exif_rotated(orientation))
    assert (found.width, found.height, found.orientation) == (640, 480, orientation)
    placeholder = decode_placeholder(found)
    assert placeholder.size == (16, 12)
    red, green, blue = pixel(placeholder, 0, 0)
    assert red > 150 > max(green, blue)


@pytest.mark.parametrize("nonsense", [0, 9, 65535])
def test_an_orientation_that_makes_no_sense_counts_as_upright(tmp_path: Path, nonsense: int):
    assert verify_bytes(tmp_path, samples.exif_rotated(nonsense)).orientation == 1


def test_a_placeholder_keeps_transparency_and_shape(tmp_path: Path):
    placeholder = decode_placeholder(verify_bytes(tmp_path, samples.transparent(width=200, height=50)))
    assert placeholder.size == (16, 4)
    assert placeholder.mode == "RGBA"


def test_exif_keeps_the_camera_and_drops_place_and_people(tmp_path: Path):
    assert verify_bytes(tmp_path, samples.with_location()).exif == {
        "taken_at": "2026-05-17T14:30:00+02:00",
        "camera": "Canon EOS 5D",
        "lens": "EF 50mm f/1.4",
        "exposure": "1/125 s",
        "aperture": 2.8,
        "iso": 400,
        "focal_length": 50.0,
    }


@pytest.mark.parametrize(
    ("data", "name", "error", "words"),
    [
        (b"", "a.jpg", EmptyFile, "0 bytes"),
        (samples.png(), "a.jpg", ExtensionMismatch, r"“\.jpg”, but this is a PNG.*“\.png”"),
        (samples.bomb(), "a.png", TooManyPixels, "60,000 × 60,000"),
        (samples.bomb(31_000, 10), "a.png", TooManyPixels, "30,000"),
        (samples.lying_gif(), "a.gif", TooManyPixels, "60,000 × 60,000"),
        (samples.many_frames(), "a.gif", TooManyFrames, "1,001 frames"),
        (samples.many_scans(150), "a.jpg", HostileContent, "layers"),
        (samples.polyglot(), "a.jpg", HostileContent, "Beside the picture"),
        (samples.with_php(), "a.jpg", HostileContent, "Beside the picture"),
        (b"\xff\xd8\xff" + b"<?php evil" * 9, "a.jpg", NotAnImage, "damaged"),
        (b"\xff\xd8\xff", "a.jpg", NotAnImage, "damaged"),
        (b"\x89PNG\r\n\x1a\n", "a.png", NotAnImage, "ends early"),
        (b"GIF89a", "a.gif", NotAnImage, "ends early"),
        (samples.bomb(0, 0), "a.png", NotAnImage, "no pixels"),
        (samples.bomb(100, 100)[:-30], "a.png", NotAnImage, "ends early"),
    ],
)
def test_a_bad_file_is_refused_in_plain_words(
    tmp_path: Path, data: bytes, name: str, error: type[FileRefused], words: str
):
    with pytest.raises(error, match=words):
        verify_bytes(tmp_path, data, name)


def test_the_name_is_compared_last(tmp_path: Path):
    """The order of the checks: extension, magic bytes, limits, every frame, and only then whether they agree."""
    for data, error in (
        (samples.FOREIGN["page.pdf"], UnsupportedFormat),
        (samples.bomb(), TooManyPixels),
        (samples.bad_checksum(b"IDAT"), NotAnImage),
        (samples.truncated(samples.png()), NotAnImage),
        (samples.png(), ExtensionMismatch),
    ):
        with pytest.raises(error):
            verify_bytes(tmp_path, data, "a.jpg")
    with pytest.raises(HostileContent, match="The name"):
        verify_bytes(tmp_path, b"", "a.php.jpg")
    with pytest.raises(UnsupportedFormat, match="this portal does not take"):
        verify_bytes(tmp_path, samples.bomb(), "a.jpg", replace(LIMITS, extensions=frozenset({"jpg"})))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize(
    "whole",
    [
        samples.noisy(),
        samples.jpeg(1000, 800, progressive=True),
        samples.png(),
        samples.webp(),
        samples.webp(lossless=True),
        samples.animated("WEBP"),
        samples.animated("PNG"),
        samples.gif(),
    ],
    ids=["baseline", "progressive", "png", "lossy", "lossless", "webp frames", "png frames", "gif"],
)
def test_a_file_that_ends_early_is_refused(tmp_path: Path, whole: bytes, share: float):
    with pytest.raises(NotAnImage):
        verify_bytes(tmp_path, samples.truncated(whole, share))


def test_a_cut_webp_says_how_much_arrived(tmp_path: Path):
    data = samples.webp()
    with pytest.raises(NotAnImage, match=f"500 bytes of {len(data):,} bytes"):
        verify_bytes(tmp_path, data[:500])


@pytest.mark.parametrize("name", samples.FOREIGN)
def test_another_kind_of_file_is_refused_under_any_name(tmp_path: Path, name: str):
    for claimed in (name, "a.jpg", "no extension"):
        with pytest.raises(UnsupportedFormat, match="This is a"):
            verify_bytes(tmp_path, samples.FOREIGN[name], claimed)


def test_frames_times_canvas_are_limited_together(tmp_path: Path):
    with pytest.raises(TooManyFrames, match="too much together"):
        verify_bytes(tmp_path, samples.animated(frames=4), limits=replace(LIMITS, max_frame_pixels=9_000))


def test_limits_come_from_the_caller(tmp_path: Path):
    with pytest.raises(TooManyPixels, match=r"0\.1 million"):
        verify_bytes(tmp_path, samples.jpeg(), limits=replace(LIMITS, max_pixels=100_000))
    with pytest.raises(UnsupportedFormat, match="GIF"):
        verify_bytes(tmp_path, samples.gif(), limits=replace(LIMITS, extensions=frozenset({"jpg"})))
    with pytest.raises(HostileContent):
        verify_bytes(tmp_path, samples.jpeg(comment=b"My Word"), limits=replace(LIMITS, patterns=(b"my word",)))


def test_short_marks_that_good_pictures_hold_are_no_reason_to_refuse(tmp_path: Path):
    verify_bytes(tmp_path, samples.jpeg(comment=b"MZ <? <% <?xpacket begin='' ?> PK\x03\x04", xmp=b"<x:xmpmeta/>"))


def test_the_header_check_alone_finds_what_needs_no_decoding():
    assert inspect(samples.truncated(), "a.jpg", LIMITS)[0].name == "JPEG"
    with pytest.raises(TooManyPixels):
        inspect(samples.bomb(), "a.png", LIMITS)


def decode_placeholder(found: Verified) -> Image.Image:
    head, _, body = found.placeholder.partition(",")
    assert head == "data:image/webp;base64"
    assert len(body) < 300
    return Image.open(io.BytesIO(base64.b64decode(body)))


def pixel(picture: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    value = picture.convert("RGB").getpixel((x, y))
    assert isinstance(value, tuple)
    return value[0], value[1], value[2]
