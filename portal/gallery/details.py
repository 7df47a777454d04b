"""What is said of a picture by its page's form: read, and compared with what the form was made of and with what is stored.

Somebody's change is what differs from what their form was made of. Two people who changed different things both get theirs;
only where both have changed the same, somebody has to choose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from portal.entities.forms import parse_attributes
from portal.errors import FormError
from portal.gallery.forms import clean_tags, read_flag, read_picture_fields
from portal.gallery.views import ImageView

Details = dict[
    str, Any
]  # by the names of LABELS, or is_primary where it is to become that; what was not sent is left out
Sent = Mapping[str, Sequence[str]]

LABELS: Final = {
    "alt_text": "Alt text",
    "decorative": "Decorative",
    "caption": "Caption",
    "tags": "Tags",
    "attributes": "Attributes",
    "focal_point": "Focal point",
}
_MOST_NAME: Final = 100
_USE_NUMBERS: Final = "Use numbers from 0 to 1."


def details_of(image: ImageView) -> Details:
    focal = image.focal_point
    return {
        "alt_text": image.alt_text,
        "decorative": image.decorative,
        "caption": image.caption,
        "tags": list(image.tags),
        "attributes": image.attributes,
        "focal_point": None if focal is None else [focal.x, focal.y],
    }


def read_details(sent: Sent, stored: Mapping[str, Any]) -> Details:
    """What a form says, of what it has fields for; `stored`: the attributes, whose values keep their kinds.

    Raises FormError with every wrong field.
    """
    said: Details = {"is_primary": True} if one(sent, "is_primary") == "true" else {}
    errors: dict[str, str] = {}
    for name, (field, parse) in _READERS.items():
        if field not in sent:
            continue
        try:
            said[name] = parse(sent, stored)
        except FormError as error:
            errors.update(error.errors)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise FormError(errors)
    return said


def one(sent: Sent, name: str) -> str:
    """The last value of a field, empty where it was not sent."""
    values = sent.get(name)
    return values[-1] if values else ""


def _focal_point(x: str, y: str) -> list[float] | None:
    if not x and not y:
        return None
    if not x or not y:
        raise ValueError("Give both numbers, or none for the middle.")
    try:
        point = [float(x.replace(",", ".")), float(y.replace(",", "."))]
    except ValueError as error:
        raise ValueError(_USE_NUMBERS) from error
    if not all(math.isfinite(each) and 0 <= each <= 1 for each in point):
        raise ValueError(_USE_NUMBERS)
    return point


def columns_of(details: Details) -> dict[str, Any]:
    """As the table has them."""
    columns = {name: value for name, value in details.items() if name not in ("attributes", "focal_point")}
    if "attributes" in details:
        columns["attributes"] = json.dumps(details["attributes"])
    if "focal_point" in details:
        columns["focal_x"], columns["focal_y"] = details["focal_point"] or (None, None)
    return columns


# ── attributes, as rows of a name and a value


def rows_of(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, shown(value)) for name, value in attributes.items()]


def sent_rows(sent: Sent) -> list[tuple[str, str]]:
    """Those that are not blank."""
    rows = zip(sent.get("attribute", ()), sent.get("value", ()), strict=False)
    return [(name, value) for name, value in rows if name.strip() or value.strip()]


def shown(value: Any) -> str:
    """A text as it is, anything else as JSON; in one line, as a field holds it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\r", "").replace("\n", "")


def _attributes(rows: Sequence[tuple[str, str]], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError."""
    found: dict[str, Any] = {}
    for name, value in ((name.strip(), value.strip()) for name, value in rows):
        if not name:
            raise ValueError(f"Give “{value[:40]}” a name.")
        if len(name) > _MOST_NAME:
            raise ValueError(f"Use at most {_MOST_NAME} characters for a name.")
        if name in found:
            raise ValueError(f"“{name}” stands here twice.")
        found[name] = _value(name, value, stored.get(name, ""))
    return parse_attributes(found)


def _value(name: str, text: str, before: Any) -> Any:
    """What was no text stays of its kind as long as it can; what a script nests must stay readable to it."""
    if text == shown(before).strip():
        return before
    if isinstance(before, str):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(before, (dict, list)):
            raise ValueError(f"“{name}” holds more than a text: write it as JSON.") from error
        return text
    return value if isinstance(value, type(before)) or _are_numbers(value, before) else text


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)


Reader = tuple[str, Callable[[Sent, Mapping[str, Any]], Any]]
# Each with the field that tells that it is there: a box that is not checked is not sent.
_READERS: Final[Mapping[str, Reader]] = {
    "alt_text": ("alt_text", lambda sent, _: read_picture_fields({"alt_text": one(sent, "alt_text")}).alt_text),
    "decorative": ("alt_text", lambda sent, _: read_flag(one(sent, "decorative"))),
    "caption": ("caption", lambda sent, _: read_picture_fields({"caption": one(sent, "caption")}).caption),
    "tags": ("tags", lambda sent, _: list(clean_tags(one(sent, "tags")))),
    "attributes": ("attribute", lambda sent, stored: _attributes(sent_rows(sent), stored)),
    "focal_point": (
        "focal_x",
        lambda sent, _: _focal_point(one(sent, "focal_x").strip(), one(sent, "focal_y").strip()),
    ),
}


# ── two people at once


def read_was(text: str) -> Details | None:
    """What a form says it was made of; None where it does not say."""
    try:
        was = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {name: was[name] for name in LABELS if name in was} if isinstance(was, dict) else None


def changed(mine: Details, was: Details | None, sent: Sent) -> Details:
    """What this form changes: not what stands as it was found, nor where somebody chose what the other one wrote."""
    return {
        name: value
        for name, value in mine.items()
        if not _is_as_found(name, value, was or {}, sent) and one(sent, f"take_{name}") != "theirs"
    }


def _is_as_found(name: str, value: Any, was: Details, sent: Sent) -> bool:
    if name == "tags" and name in was and ", ".join(map(str, was[name])) == one(sent, name):
        return True  # scripts may have put commas within a tag
    return name in was and value == was[name]


def in_quarrel(wanted: Details, was: Details | None, theirs: Details) -> list[str]:
    """The names of what this form and somebody else have changed, each in another way."""
    return [
        name
        for name, value in wanted.items()
        if name in theirs and value != theirs[name] and (was is None or name not in was or theirs[name] != was[name])
    ]


def in_words(name: str, value: Any) -> str:
    """A detail as people read it."""
    if name == "decorative":
        return "Decorative" if value else "Not decorative"
    if name == "focal_point":
        return "The middle" if value is None else f"{value[0]:.0%}, {value[1]:.0%}".replace("%", " %")
    if name == "tags":
        return ", ".join(value) or "No tags"
    if name == "attributes":
        return ", ".join(f"{key}: {text}" for key, text in rows_of(value)) or "No attributes"
    return value or f"No {LABELS[name].lower()}"
