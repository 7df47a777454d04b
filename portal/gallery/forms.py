"""What people and scripts send about a picture, checked field by field and made into frozen values."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from portal.entities.forms import parse_attributes
from portal.errors import FormError
from portal.imaging.edits import NONE as NO_EDITS
from portal.imaging.edits import Edits, parse_edits

MAX_ALT_TEXT: Final = 500
MAX_CAPTION: Final = 2000
MAX_TAGS: Final = 50
MAX_TAG: Final = 60
_YES: Final = {"1", "true", "on", "yes"}
_NO: Final = {"", "0", "false", "off", "no"}


@dataclass(frozen=True, slots=True)
class ReceivedPicture:
    """An upload on our disk: `path` in the store's temp folder, `filename` as it was sent, `sha256` in hex."""

    path: Path
    filename: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PictureFields:
    """What may be said about a picture while it is added. `more`: other columns, out of `read_metadata`."""

    alt_text: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    is_primary: bool = False
    allow_duplicate: bool = False
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_picture_fields(fields: Mapping[str, str]) -> PictureFields:
    """From a multipart form. Raises FormError naming every wrong field."""
    errors: dict[str, str] = {}

    def take(name: str, parse: Callable[[str], Any], default: Any) -> Any:
        try:
            return parse(fields[name]) if name in fields else default
        except ValueError as error:
            errors[name] = str(error)
            return default

    read = PictureFields(
        alt_text=take("alt_text", lambda text: clean_text(text, MAX_ALT_TEXT), None),
        caption=take("caption", lambda text: clean_text(text, MAX_CAPTION), None),
        tags=take("tags", clean_tags, ()),
        is_primary=take("is_primary", read_flag, False),
        allow_duplicate=take("allow_duplicate", read_flag, False),
    )
    if errors:
        raise FormError(errors)
    return read


# The fields of PUT …/metadata, each with what makes its value fit for the table. A null clears.
_PARSERS: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "alt_text": lambda value: {"alt_text": clean_text(_text(value), MAX_ALT_TEXT)},
    "caption": lambda value: {"caption": clean_text(_text(value), MAX_CAPTION)},
    "decorative": lambda value: {"decorative": _flag(value)},
    "tags": lambda value: {"tags": list(_tags(value))},
    "is_primary": lambda value: {"is_primary": _flag(value)},
    "focal_point": lambda value: _focal_point(value),
    "edits": lambda value: _edits(value),
    "attributes": lambda value: {"attributes": json.dumps({} if value is None else parse_attributes(value))},
}


def read_metadata(sent: Any) -> dict[str, Any]:
    """Columns and their new values, only of what was sent. Raises FormError, also for unknown and read-only fields."""
    if not isinstance(sent, dict):
        raise FormError({"": "Send a JSON object with the fields to change."})
    changes: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in sent.items():
        if name not in _PARSERS:
            errors[str(name)[:60]] = "This field cannot be changed here."
            continue
        try:
            changes |= _PARSERS[name](value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise FormError(errors)
    return changes


def clean_text(text: str, most: int) -> str | None:
    """NFC, without control characters; None when nothing is left. Raises ValueError, with the sentence for staff."""
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("This text holds characters that are no text. Type it again.")
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
    if len(kept) <= 4 * most:  # NFC of hostile text costs more than linear time, and shrinks none below a third
        kept = unicodedata.normalize("NFC", kept).strip()
    if len(kept) > most:
        raise ValueError(f"Use at most {most} characters; these are {len(kept)}.")
    return kept or None


def clean_tags(text: str) -> tuple[str, ...]:
    """Tags from a list with commas: trimmed, each once, in the order given. Raises ValueError."""
    return _tags(text.split(","))


def read_revision(sent: Mapping[str, str]) -> int | None:
    """The one that a form was made of; None where it does not say."""
    text = sent.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def read_flag(text: str) -> bool:
    """Raises ValueError for anything but true and false (or what a checkbox sends)."""
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("Use true or false.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("Use a text or null.")
    return value


def _flag(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ValueError("Use true or false.")
    return value


def _tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError("Use a list of texts.")
    cleaned = [clean_text(tag.replace("\n", " "), MAX_TAG) for tag in value]
    tags = tuple(dict.fromkeys(tag for tag in cleaned if tag))
    if len(tags) > MAX_TAGS:
        raise ValueError(f"Use at most {MAX_TAGS} tags.")
    return tags


def _focal_point(value: Any) -> dict[str, Any]:
    if value is None:
        return {"focal_x": None, "focal_y": None}
    if not isinstance(value, dict) or set(value) != {"x", "y"}:
        raise ValueError("Use {x, y}, each from 0 to 1, or null.")
    for number in value.values():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError("x and y are numbers from 0 to 1.")
        if not 0 <= number <= 1:  # also NaN
            raise ValueError("x and y are numbers from 0 to 1.")
    return {"focal_x": float(value["x"]), "focal_y": float(value["y"])}


def read_edit_form(sent: Mapping[str, str]) -> Callable[[Edits], Edits]:
    """What a form asks of the edits that stand: `turn`, `mirror` or `reset` (of what people see), else the fields `rotate`,
    `flip` and `crop_…`, of which those not sent stay. Raises FormError."""
    quick: dict[str, Callable[[Edits], Edits]] = {
        "turn=left": lambda edits: edits.turned("left"),
        "turn=right": lambda edits: edits.turned("right"),
        "mirror=horizontal": lambda edits: edits.mirrored("horizontal"),
        "mirror=vertical": lambda edits: edits.mirrored("vertical"),
        "reset=1": lambda edits: NO_EDITS,
    }
    for name in ("turn", "mirror", "reset"):
        if sent.get(name):
            change = quick.get(f"{name}={sent[name]}")
            if change is None:
                raise FormError({"edits": "Turn left or right, mirror horizontal or vertical, or reset with 1."})
            return change
    try:
        asked = _edit_fields(sent)
        parse_edits(asked)
    except ValueError as error:
        raise FormError({"edits": str(error)}) from error
    return lambda edits: parse_edits(edits.stored() | asked)


def _edit_fields(sent: Mapping[str, str]) -> dict[str, Any]:
    """Raises ValueError."""
    asked: dict[str, Any] = {}
    if "rotate" in sent:
        text = sent["rotate"].strip() or "0"
        asked["rotate"] = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else text
    if "flip" in sent:
        asked["flip"] = sent["flip"].strip() or None
    crop = {name: sent.get(f"crop_{name}", "").strip() for name in ("x", "y", "width", "height")}
    if any(f"crop_{name}" in sent for name in crop):
        asked["crop"] = {name: _number(text) for name, text in crop.items()} if any(crop.values()) else None
    return asked


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise ValueError("Give all four numbers of the crop, each from 0 to 1, or none.") from error


def _edits(value: Any) -> dict[str, Any]:
    return {"edits": json.dumps(parse_edits(value).stored())}
