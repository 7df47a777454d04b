"""The few harmless facts of a picture's EXIF: never where it was taken, by whom, or with which serial number."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

_Base = ExifTags.Base
_TEXT_LENGTH = 100
_TIME = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", re.ASCII)
_OFFSET = re.compile(r"[+-][01]\d:[0-5]\d")
_EXPOSURES = (1e-6, 1e6)  # seconds


def read_orientation(exif: Image.Exif) -> int:
    """1 to 8; 1 for whatever makes no sense."""
    value = _quiet(lambda tags, _: tags.get(_Base.Orientation), exif, {})
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_exif(picture: Image.Image) -> Image.Exif:
    """An empty one where it can't be read: broken metadata is no reason to refuse a picture."""
    try:
        return picture.getexif()
    except Exception:  # any tag may hold anything, and its reader raises nearly anything
        return Image.Exif()


def safe_subset(exif: Image.Exif) -> dict[str, Any]:
    """taken_at (ISO 8601, local time, with the offset where known), camera, lens, exposure ("1/125 s"), aperture
    (f-number), iso, focal_length (mm). Only what is there."""
    try:
        details: Mapping[int, Any] = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # as above
        details = {}
    facts = {name: _quiet(read, exif, details) for name, read in _READERS.items()}
    return {name: fact for name, fact in facts.items() if fact not in (None, "")}


def _quiet(read: Callable[[Mapping[int, Any], Mapping[int, Any]], Any], *sources: Mapping[int, Any]) -> Any:
    try:
        return read(*sources)
    except Exception:  # as above
        return None


def _text(value: Any) -> str:
    text = value.decode("utf-8", "ignore") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return ""
    with contextlib.suppress(UnicodeError):  # many write UTF-8, where the standard has ASCII and Pillow reads Latin-1
        text = text.encode("latin-1").decode()
    text = text.encode("utf-8", "ignore").decode().split("\0")[0]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_TEXT_LENGTH]


def _number(value: Any) -> float | None:
    number = float(value[0] if isinstance(value, tuple) else value)  # pyright: ignore[reportUnknownArgumentType]  # any tag may hold anything
    return number if math.isfinite(number) and 0 < number < 1e7 else None


def _taken_at(_: Mapping[int, Any], details: Mapping[int, Any]) -> str | None:
    moments = ((_Base.DateTimeOriginal, _Base.OffsetTimeOriginal), (_Base.DateTimeDigitized, _Base.OffsetTimeDigitized))
    for time, offset in moments:
        if found := _TIME.match(_text(details.get(time))):
            told = datetime.strptime(found[0], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - a camera's clock knows no zone
            zone = _text(details.get(offset))
            return told.isoformat() + (zone if _OFFSET.fullmatch(zone) else "")
    return None


def _camera(exif: Mapping[int, Any], _: Mapping[int, Any]) -> str:
    make, model = _text(exif.get(_Base.Make)), _text(exif.get(_Base.Model))
    return model if model.lower().startswith(make.lower().split(" ")[0]) else f"{make} {model}".strip()


def _exposure(_: Mapping[int, Any], details: Mapping[int, Any]) -> str | None:
    seconds = _number(details[_Base.ExposureTime])
    if seconds is None or not _EXPOSURES[0] <= seconds <= _EXPOSURES[1]:
        return None
    return f"{seconds:g} s" if seconds >= 0.3 else f"1/{round(1 / seconds)} s"


def _rounded(tag: int) -> Callable[[Mapping[int, Any], Mapping[int, Any]], float | None]:
    def read(_: Mapping[int, Any], details: Mapping[int, Any]) -> float | None:
        number = _number(details[tag])
        return None if number is None else round(number, 1)

    return read


def _iso(_: Mapping[int, Any], details: Mapping[int, Any]) -> int | None:
    number = _number(details[_Base.ISOSpeedRatings])
    return None if number is None else round(number)


_READERS: dict[str, Callable[[Mapping[int, Any], Mapping[int, Any]], Any]] = {
    "taken_at": _taken_at,
    "camera": _camera,
    "lens": lambda _, details: _text(details.get(_Base.LensModel)),
    "exposure": _exposure,
    "aperture": _rounded(_Base.FNumber),
    "iso": _iso,
    "focal_length": _rounded(_Base.FocalLength),
}
