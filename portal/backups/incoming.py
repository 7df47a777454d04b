"""What the lines of a manifest may say. A backup comes from outside: what is read here ends in rows, keys, headers and pages.

`check_line` gives the first thing that is wrong with a line, in words. What a column can hold is read off its table; what the
portal relies on beyond that stands in `_RULES`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from portal.backups import layout, rows
from portal.embed.keys import Scope, check_key
from portal.entities.kinds import is_entity_id
from portal.errors import FormError
from portal.imaging.edits import parse_edits
from portal.imaging.formats import FORMATS
from portal.imaging.presets import PRESETS
from portal.settings import ENTITY_TYPES
from portal.tables import TABLES

Check = Callable[[Any], bool]
Line = Mapping[str, Any]

# The owner that a line names by its id, where the row has a key of the database.
OWNER: Final = {layout.LINES: "invoice", layout.IMAGES: "entity", layout.PINS: "invoice", layout.PINNED: "invoice"}
# What no default can stand for.
REQUIRED: Final = {
    layout.ENTITIES: "type id name",
    layout.LINES: "invoice position description quantity",
    layout.IMAGES: "entity id filename media_type extension bytes width height sha256 status version rendering renditions",
    layout.VERSIONS: "image version filename media_type extension bytes width height sha256 rendering renditions",
    layout.PINS: "invoice pinned_by",
    layout.PINNED: "invoice image position version renditions",
    layout.EMBED_KEYS: "id key_hash scope_type",
}
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HASH: Final = re.compile(r"\\x[0-9a-f]{64}", re.ASCII)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)  # as PostgreSQL writes it
_OF: Final = re.compile(r"([1-9][0-9]{0,8})\.([1-9][0-9]{0,8})", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"data:image/(webp|png|jpeg);base64,[A-Za-z0-9+/=]{1,20000}", re.ASCII)
_MOST_SIDE: Final = 65_535  # pixels
_MOST_DEPTH: Final = 64  # levels of JSON
_UNSHOWN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_MOST_NUMBER: Final = 900_000_000  # of a version or rendering: keys have nine digits, and others follow
_MOST_COUNT: Final = 2**30
_MEDIA_TYPES: Final = {each.extension: each.media_type for each in FORMATS}


def _is_text(value: Any) -> bool:
    """Text that PostgreSQL holds: without NUL or a lone surrogate."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -most - 1 <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_amount(value: Any) -> bool:
    return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False


def _is_moment(value: Any) -> bool:
    """One that every zone has a name for."""
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return moment is not None and moment.tzinfo is not None and 1900 <= moment.year < dt.MAXYEAR


def _is_json(value: Any) -> bool:
    """As PostgreSQL holds it: no NUL, no lone surrogate, no NaN; and not so deep that a reader gives up."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    is_short = text.count("[") + text.count("{") <= _MOST_DEPTH
    return (is_short and "\\u0000" not in text and "\\ud" not in text) or _is_plain(value, _MOST_DEPTH)


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _is_text(value)
    if isinstance(value, Mapping):
        return depth > 0 and all(_is_text(name) and _is_plain(each, depth - 1) for name, each in value.items())
    return depth > 0 and all(_is_plain(each, depth - 1) for each in value) if isinstance(value, list) else True


def _texts(most: int | None) -> Check:
    return lambda value: isinstance(value, list) and all(_is_text(each) and _fits(each, most) for each in value)


def _fits(value: str, most: int | None) -> bool:
    return most is None or len(value) <= most


def _check_of(column: Any) -> Check:
    """By the column's type. Raises KeyError for one that no table of backups has."""
    length = getattr(column, "length", None)
    checks: dict[str, Check] = {
        "Varchar": lambda value: _is_text(value) and _fits(value, length),
        "Text": _is_text,
        "Integer": lambda value: _is_whole(value, 2**31 - 1),
        "BigInt": lambda value: _is_whole(value, 2**63 - 1),
        "DoublePrecision": _is_number,
        "Numeric": _is_amount,
        "Boolean": lambda value: isinstance(value, bool),
        "UUID": _is_uuid,
        "ForeignKey": _is_uuid,  # those that lines say name images
        "JSONB": _is_json,
        "Date": _is_day,
        "Timestamptz": _is_moment,
        "Bytea": lambda value: isinstance(value, str) and _HASH.fullmatch(value) is not None,
        "Array": _texts(getattr(getattr(column, "base_column", None), "length", None)),
    }
    return checks[type(column).__name__]


def _columns_of(kind: rows.Rows) -> dict[str, tuple[Check, bool]]:
    """By name: what its value must be, and whether it may be null."""
    (table,) = (each for each in TABLES if each._meta.tablename == kind.table)
    columns = {each._meta.db_column_name: each for each in table._meta.columns}
    return {name: (_check_of(columns[name]), columns[name]._meta.null) for name in kind.columns}


COLUMNS: Final = {kind.manifest: _columns_of(kind) for kind in rows.OF_TYPE}


def check_line(manifest: str, entity_type: str, line: Line) -> str | None:
    """The first thing that is wrong with a line of this type's manifest, in words."""
    columns, owner = COLUMNS[manifest], OWNER.get(manifest)
    if missing := [name for name in REQUIRED[manifest].split() if line.get(name) is None]:
        return f"it does not say “{missing[0]}”"
    for name, value in line.items():
        if name == owner:
            continue
        check, may_be_null = columns[name]
        if not (may_be_null if value is None else check(value)):
            return f"“{name}” cannot be {_shown(value)}"
    if owner is not None and not (isinstance(line[owner], str) and is_entity_id(line[owner])):
        return f"“{owner}” cannot be {_shown(line[owner])}"
    return next((said for rule in _RULES[manifest] if (said := rule(entity_type, line))), None)


def unknown_columns(manifest: str, line: Line) -> list[str]:
    return sorted(set(line) - set(COLUMNS[manifest]) - {OWNER.get(manifest, "")})


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


# Rules of their own: what is wrong, or None.


def _entity(entity_type: str, line: Line) -> str | None:
    parent_type, parent_id = line.get("parent_type"), line.get("parent_id")
    checks = {
        "type": line["type"] == entity_type,
        "id": is_entity_id(line["id"]),
        "name": bool(line["name"]),
        "parent_type": parent_type is None or parent_type in ENTITY_TYPES,
        "parent_id": (parent_id is None) == (parent_type is None) and (parent_id is None or is_entity_id(parent_id)),
        "attributes": isinstance(line.get("attributes", {}), dict),
    }
    return _first_wrong(checks, line)


def _bytes(entity_type: str, line: Line) -> str | None:
    checks = {
        "extension": line["extension"] in _MEDIA_TYPES,
        "media_type": line["media_type"] == _MEDIA_TYPES.get(line["extension"]),
        "sha256": _SHA256.fullmatch(line["sha256"]) is not None,
        "bytes": line["bytes"] > 0,
        **{name: 0 < line[name] <= _MOST_SIDE for name in ("width", "height")},
        "frames": line.get("frames", 1) > 0,
        "version": 0 < line["version"] <= _MOST_NUMBER,
        "rendering": 0 < line["rendering"] <= _MOST_NUMBER,
        "placeholder": line.get("placeholder") is None or _PLACEHOLDER.fullmatch(line["placeholder"]) is not None,
        "filename": _is_filename(line["filename"]),
        "edits": _are_edits(line.get("edits", {})),
        "focal_x": _is_point(line.get("focal_x"), line.get("focal_y")),
        "renditions": line["renditions"] == {} or _is_set(line["renditions"]),
        "exif": isinstance(line.get("exif", {}), dict),
    }
    return _first_wrong(checks, line)


def _image(entity_type: str, line: Line) -> str | None:
    is_trashed = line.get("trashed_at") is not None
    checks = {
        "status": line["status"] in ("pending", "processing", "ready", "failed"),
        "trashed_at": (line.get("sort_order") is None) == is_trashed,
        **{
            name: 0 <= (line.get(name) or 0) <= _MOST_COUNT
            for name in ("sort_order", "last_order", "revision", "tries")
        },
        "is_primary": not (is_trashed and line.get("is_primary")),
        "attributes": isinstance(line.get("attributes", {}), dict),
        "error": line.get("error") is None or _is_error(line["error"]),
        "renditions": line["status"] != "ready" or line["renditions"] != {},
    }
    return _first_wrong(checks, line)


def _pin(entity_type: str, line: Line) -> str | None:
    return None if entity_type == "invoices" else "only invoices are pinned"


def _pinned(entity_type: str, line: Line) -> str | None:
    said = line["renditions"]
    checks = {
        "position": line["position"] >= 0,
        "version": 0 < line["version"] <= _MOST_NUMBER,
        "renditions": _is_set(said) and said["of"].partition(".")[0] == str(line["version"]),
        "item": line.get("item") is None or is_entity_id(line["item"]),
    }
    return _pin(entity_type, line) or _first_wrong(checks, line)


def _invoice_line(entity_type: str, line: Line) -> str | None:
    item = line.get("item")
    checks = {"position": line["position"] >= 0, "item": item is None or is_entity_id(item)}
    return "only invoices have lines" if entity_type != "invoices" else _first_wrong(checks, line)


def _key(entity_type: str, line: Line) -> str | None:
    if line["scope_type"] != entity_type:
        return f"“scope_type” cannot be {_shown(line['scope_type'])}"
    try:  # its parents end in a header of the frame
        check_key(Scope(entity_type, line.get("scope_id")), line.get("presets"), line.get("parents") or [], None, ())
    except FormError as error:
        return next(f"“{name}”: {words}" for name, words in error.errors.items())
    return None


def _first_wrong(checks: Mapping[str, bool], line: Line) -> str | None:
    return next(
        (f"“{name}” cannot be {_shown(line.get(name))}" for name, is_right in checks.items() if not is_right), None
    )


def _is_filename(value: str) -> bool:
    """As `clean_filename` leaves it: what joins the parts of one emoji stays."""
    return bool(value) and all(
        sign == "\u200d" or (sign not in "/\\" and unicodedata.category(sign) not in _UNSHOWN) for sign in value
    )


def _is_error(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("code", "message"))


def _is_point(x: Any, y: Any) -> bool:
    return (x is None) == (y is None) and (x is None or (0 <= x <= 1 and 0 <= y <= 1))


def _are_edits(value: Any) -> bool:
    try:
        return isinstance(value, dict) and parse_edits(value) is not None
    except (ValueError, TypeError):
        return False


def _is_set(value: Any) -> bool:
    """A set of renditions, as `image` describes it."""
    if not isinstance(value, dict) or not set(value) <= {"of", "items", "made_of"}:
        return False
    of, items = value.get("of"), value.get("items")
    if not isinstance(of, str) or _OF.fullmatch(of) is None or not isinstance(items, dict) or not items:
        return False
    return set(items) <= set(PRESETS) and all(map(_is_item, items.values())) and _is_recipe(value.get("made_of"))


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict) or set(item) != {"width", "height", "bytes", "sha256", "media_type"}:
        return False
    most = {"width": _MOST_SIDE, "height": _MOST_SIDE, "bytes": 2**31 - 1}
    sizes = all(_is_whole(item[name], limit) and item[name] > 0 for name, limit in most.items())
    is_hash = isinstance(item["sha256"], str) and _SHA256.fullmatch(item["sha256"]) is not None
    return sizes and is_hash and item["media_type"] == "image/jpeg"


def _is_recipe(said: Any) -> bool:
    if said is None:
        return True
    if not isinstance(said, dict) or not set(said) <= {"extension", "edits", "focal_point", "presets"}:
        return False
    if said.get("extension") not in _MEDIA_TYPES or not _are_edits(said.get("edits")):
        return False
    point, presets = said.get("focal_point"), said.get("presets", {})
    is_point = point is None or (isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)))
    return is_point and isinstance(presets, dict) and all(map(_is_measure, presets.items()))


def _is_measure(preset: tuple[str, Any]) -> bool:
    name, value = preset
    return (
        name in PRESETS
        and isinstance(value, list)
        and len(value) == 3
        and all(_is_whole(each, 10_000) for each in value)
    )


_RULES: Final[Mapping[str, tuple[Callable[[str, Line], str | None], ...]]] = {
    layout.ENTITIES: (_entity,),
    layout.LINES: (_invoice_line,),
    layout.IMAGES: (_bytes, _image),
    layout.VERSIONS: (_bytes,),
    layout.PINS: (_pin,),
    layout.PINNED: (_pinned,),
    layout.EMBED_KEYS: (_key,),
}
