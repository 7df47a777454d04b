"""Is this upload a safe picture? First by structure (cheap), then by decoding every frame of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from portal.errors import (
    EmptyFile,
    ExtensionMismatch,
    HostileContent,
    NotAnImage,
    TooManyFrames,
    TooManyPixels,
    UnsupportedFormat,
)
from portal.imaging import geometry
from portal.imaging.anatomy import Anatomy, ends_early, walk
from portal.imaging.decode import open_picture, resample, scale_decoder, to_8_bit
from portal.imaging.exif import read_exif, read_orientation, safe_subset
from portal.imaging.fingerprint import fingerprint
from portal.imaging.foreign import advice_for_content
from portal.imaging.formats import DANGEROUS, EXTENSIONS, Format, check_filename, format_of_extension, sniff
from portal.imaging.placeholder import data_url, make_placeholder

# Long ones only: `<?`, `<%` and `MZ` occur by chance in every fourth good picture. In lower case.
PATTERNS: tuple[bytes, ...] = (
    b"<?php",
    b"<script",
    b"<html",
    b"<iframe",
    b"<!doctype html",
    b"<!entity",
    b"onerror=",
    b"eval(",
    b"%pdf-",
    b"eicar-standard-antivirus-test-file",
    b"this program cannot be run in dos mode",
    b"rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
)
# Short, so only where they would begin: right behind the picture.
_BEGINNINGS = (b"PK\x03\x04", b"\x7fELF", b"\x1f\x8b\x08")
# A ZIP is read from its end: a table, and within the last 64 KiB where that begins. By chance both are in no film behind a photo.
_TABLE, _TABLE_ENDS, _LAST = b"PK\x01\x02", b"PK\x05\x06", 65_557
_LOOKS_SIDE = 256  # what placeholder and fingerprint are made from
TOO_MUCH_MEMORY = "The picture needs more memory than one picture may have. Scale it down and add it again."


@dataclass(frozen=True)
class Limits:
    max_pixels: int = 64_000_000
    max_side: int = 30_000
    max_frames: int = 1000
    max_frame_pixels: int = 500_000_000  # frames x canvas
    max_scans: int = 100  # of a progressive JPEG; each costs a pass over all coefficients
    extensions: frozenset[str] = EXTENSIONS
    dangerous: frozenset[str] = DANGEROUS
    patterns: tuple[bytes, ...] = PATTERNS  # in lower case


@dataclass(frozen=True)
class Verified:
    """`width` and `height` are of the upright picture; `placeholder` is a data: URL of a WebP of at most 16 x 16,
    `fingerprint` a dHash (None for a picture without shape)."""

    media_type: str
    extension: str
    width: int
    height: int
    frames: int
    orientation: int
    placeholder: str
    exif: dict[str, Any] = field(default_factory=dict[str, Any])
    fingerprint: int | None = None


def verify(path: Path, filename: str, limits: Limits) -> Verified:
    """Header, then every frame, then whether the name says what it is. Raises a FileRefused."""
    data = path.read_bytes()
    format, anatomy = inspect(data, filename, limits)
    return verify_pixels(data, filename, format, anatomy, limits)


def inspect(data: bytes, filename: str, limits: Limits) -> tuple[Format, Anatomy]:
    """The checks before any decoder, in their order: name, magic bytes, structure, limits, active content."""
    check_filename(filename, limits.extensions, limits.dangerous)
    if not data:
        raise EmptyFile("The file is empty: 0 bytes arrived.")
    format = sniff(data[:16])
    if format is None:
        raise UnsupportedFormat(advice_for_content(data[:512]))
    if not format.extensions & limits.extensions:
        raise UnsupportedFormat(f"This is a {format} picture, which this portal does not take.")
    anatomy = walk(data, format)
    _check_limits(anatomy, limits)
    if anatomy.is_short:
        raise ends_early()
    _check_active_content(anatomy, limits)
    return format, anatomy


def _check_extension(filename: str, format: Format, limits: Limits) -> None:
    extension = check_filename(filename, limits.extensions, limits.dangerous)
    if extension and format_of_extension(extension) is not format:
        raise ExtensionMismatch(
            f"The name ends in “.{extension}”, but this is a {format} picture. "
            f"Rename it to end in “.{format.extension}” and add it again."
        )


def _check_limits(anatomy: Anatomy, limits: Limits) -> None:
    pixels = anatomy.width * anatomy.height
    if pixels > limits.max_pixels:
        raise _too_many_pixels(anatomy, limits)
    if max(anatomy.width, anatomy.height) > limits.max_side:
        raise TooManyPixels(
            f"The picture is {anatomy.width:,} × {anatomy.height:,} pixels. A side may have {limits.max_side:,}."
        )
    if anatomy.frames > limits.max_frames:
        raise TooManyFrames(f"The animation has {anatomy.frames:,} frames. {limits.max_frames:,} are allowed.")
    if anatomy.frames * pixels > limits.max_frame_pixels:
        raise TooManyFrames(
            f"The animation has {anatomy.frames:,} frames of {anatomy.width:,} × {anatomy.height:,} pixels, "
            "which is too much together. Make it shorter or smaller and add it again."
        )
    if anatomy.scans > limits.max_scans:
        raise HostileContent(
            f"The file is built from {anatomy.scans:,} layers, far more than a camera or program writes. "
            "Open it in a picture program, save it as a new JPEG and add that."
        )


def _too_many_pixels(anatomy: Anatomy, limits: Limits) -> TooManyPixels:
    return TooManyPixels(
        f"The picture is {anatomy.width:,} × {anatomy.height:,} pixels. "
        f"{limits.max_pixels / 1_000_000:g} million are allowed: scale it down and add it again."
    )


def _check_active_content(anatomy: Anatomy, limits: Limits) -> None:
    if bytes(anatomy.trailing[:4]).startswith(_BEGINNINGS) or _is_active(anatomy, limits.patterns):
        raise HostileContent(
            "Beside the picture the file carries a program or a document. "
            "Open it in a picture program, save it as a new file and add that."
        )


def _is_active(anatomy: Anatomy, patterns: tuple[bytes, ...]) -> bool:
    said = b"\n".join([*anatomy.metadata, anatomy.trailing])
    if _TABLE in said and _TABLE_ENDS in said[-_LAST:]:
        return True
    text = said.lower()
    narrow = text.replace(b"\0", b"")  # as UTF-16 has a text
    return any(each in text or each in narrow for each in patterns)


def verify_pixels(data: bytes, filename: str, format: Format, anatomy: Anatomy, limits: Limits) -> Verified:
    """Decode all of it. What a decoder can't read to its end is refused, whatever the decoder calls that."""
    verified = _decoded(data, format, anatomy, limits)
    _check_extension(filename, format, limits)
    return verified


def _decoded(data: bytes, format: Format, anatomy: Anatomy, limits: Limits) -> Verified:
    try:
        return _decode_all(data, format, anatomy, limits)
    except Image.DecompressionBombWarning as error:
        raise TooManyPixels("The file holds more pixels than its header says. It was not opened further.") from error
    except MemoryError as error:
        raise TooManyPixels(TOO_MUCH_MEMORY) from error
    except Exception as error:  # decoders raise nearly anything for damaged bytes
        if "truncated" in str(error):
            raise ends_early() from error
        raise NotAnImage("The picture is damaged and can't be read to its end. Save it anew and add that.") from error


def _decode_all(data: bytes, format: Format, anatomy: Anatomy, limits: Limits) -> Verified:
    with open_picture(data, format, limits.max_pixels) as picture:
        size = picture.size
        # Scaled, the decoder still reads every bit of the stream, so a cut file is found; only the sums are saved.
        scale_decoder(picture, geometry.jpeg_scale(size, _LOOKS_SIDE))
        picture.load()
        exif = read_exif(picture)
        orientation = read_orientation(exif)
        small = _shrunk(picture)
        placeholder = data_url(make_placeholder(small, geometry.upright(size, orientation), (orientation,)))
        looks = fingerprint(small, orientation)
        frames = 1 + _decode_rest(picture, limits) if anatomy.frames > 1 else 1
    width, height = geometry.upright(size, orientation)
    facts = safe_subset(exif)
    return Verified(format.media_type, format.extension, width, height, frames, orientation, placeholder, facts, looks)


def _shrunk(picture: Image.Image) -> Image.Image:
    """Of 8 bits, with its profile; transparency only as a channel."""
    side = (_LOOKS_SIDE, _LOOKS_SIDE)
    return resample(to_8_bit(picture), geometry.fit_within(picture.size, side), Image.Resampling.BOX)


def _decode_rest(picture: ImageFile.ImageFile, limits: Limits) -> int:
    """The number of frames after the first, each decoded."""
    count = 0
    while True:
        try:
            picture.seek(count + 1)
        except EOFError:
            return count
        picture.load()
        count += 1
        if count >= limits.max_frames:
            raise TooManyFrames(f"The animation has more than {limits.max_frames:,} frames.")
