"""Names in a folder that any other system understands, whatever its disk makes of names.

<entity_type>/<entity id>/<nn>-<filename>   originals, in the order of their gallery
pictures.csv                                what is said of each: a line a picture, a gallery's lines together
entities.jsonl                              what owns them, as `portal entities import` takes it

An id is written as it is, but for what some disk cannot keep: `:`, `~`, a point at either end and names of Windows' devices are
percent-encoded, and so are the capitals of ids that differ in nothing else from another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from portal.entities.kinds import is_entity_id

PICTURES: Final = "pictures.csv"
ENTITIES: Final = "entities.jsonl"
ENTITIES_CSV: Final = "entities.csv"
UNFINISHED: Final = "pictures.csv.part"
COLUMNS: Final = tuple(
    "path entity_type entity_id entity_name alt_text decorative caption tags is_primary sort_order focal_x focal_y edits"
    " attributes filename sha256 created_at".split()
)
NEEDED: Final = ("path", "entity_type", "entity_id")

_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def folder_of(entity_id: str, *, has_twin: bool = False) -> str:
    """`has_twin`: another id of this type differs only in capitals."""
    last = len(entity_id) - 1
    name = "".join(
        _percent(sign)
        if sign in ":~" or (sign == "." and place in (0, last)) or (has_twin and sign.isupper())
        else sign
        for place, sign in enumerate(entity_id)
    )
    return f"{_percent(name[0])}{name[1:]}" if _DEVICE.match(name) else name


def id_of(folder: str) -> str:
    """Raises ValueError, in words for people, for what can be no id."""
    entity_id = unquote(folder)
    if not is_entity_id(entity_id):
        raise ValueError("the folder's name is no id: ids are 1 to 64 letters, digits or . _ - ~ :")
    return entity_id


def _percent(sign: str) -> str:
    return f"%{ord(sign):02X}"


def parts_of(path: str) -> Sequence[str]:
    """Folders and name of a path below the folder, as a CSV says it. Raises ValueError for one that leads out of it."""
    plain = path if "/" in path else path.replace("\\", "/")
    if not plain or "\0" in plain:
        raise ValueError("there is no path in this line")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or re.match(r"[A-Za-z]:(/|\\)", plain) or ".." in parts or not parts:
        raise ValueError("this path leads out of the folder: name a file in it, as inventory_items/MUG-1/front.jpg")
    return parts


def in_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """To sort names as people count: photo2 before photo10."""
    pieces = re.split(r"([0-9]+)", name.casefold())  # every second one is a number
    numbered = tuple((1, int(piece), "") if place % 2 else (0, 0, piece) for place, piece in enumerate(pieces))
    return (*numbered, (0, 0, name))
