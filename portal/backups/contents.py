"""What of a backup somebody looks for: galleries by name, id, reference or number, pictures by file name, alt text, caption.

The manifests are read as a stream (`sieve`), up to the first hits or for some seconds. Nothing is written.
"""

from __future__ import annotations

import contextlib
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from uuid import UUID

from portal import database
from portal.backups import layout
from portal.backups.destination import Destination
from portal.backups.lines import Line
from portal.backups.listing import read_root
from portal.backups.root import Damaged, Root
from portal.backups.selection import Selection
from portal.backups.sieve import Group, IsOver, ManifestReader, Take, bytes_of_id, bytes_of_word
from portal.entities.kinds import EntityRef, is_entity_id
from portal.entities.queries import MOST_WORDS, plain_query
from portal.errors import FormError, NotFound

MOST: Final = 20
PATIENCE: Final = 20.0  # seconds
_QUICK: Final = 5.0
_SHOWN_TEXT: Final = 300
_ENTITY_TEXTS: Final = ("id", "name", "reference", "number")
_IMAGE_TEXTS: Final = ("id", "filename", "alt_text", "caption")
Here = Literal["yes", "trash", "no"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A gallery, or with `image_id` a picture of it. `detail`: reference or number, or what the picture shows. `pictures`: how
    many the gallery has in the backup, None where they were not all counted. `here`: is it in the portal now?"""

    entity: EntityRef
    image_id: str | None
    name: str
    detail: str | None
    pictures: int | None = None
    here: Here = "no"


@dataclass(frozen=True, slots=True)
class Contents:
    """`has_more`: than these first hits. `is_whole`: was all of it looked through, or as much as was needed?"""

    hits: list[Hit]
    has_more: bool
    is_whole: bool


async def find_in_backup(
    destination: Destination, backup_id: str, q: str, *, is_over: IsOver = lambda: False, patience: float = PATIENCE
) -> Contents:
    """The first hits for all of these words, each the beginning of one that is there. `is_over`: nobody waits for it any more.

    Raises FormError where nothing is asked, NotFound, Damaged, Foreign, Unavailable.
    """
    words = _words(q)
    search = _Search(destination, await read_root(destination, backup_id), words, _deadline(patience, is_over))
    await search.run()
    half = MOST // 2
    pictures = search.pictures[: max(half, MOST - len(search.galleries))]
    galleries = search.galleries[: MOST - len(pictures)]
    hits = [replace(each, pictures=search.counted(each.entity)) for each in galleries] + pictures
    found = len(search.galleries) + len(search.pictures)
    return Contents(await _with_here(hits), found > len(hits), search.is_whole)


async def refuse_unheld(
    destination: Destination, backup_id: str, selection: Selection, *, patience: float = _QUICK
) -> None:
    """Raises NotFound for what this backup does not hold; where that takes long or it is damaged, the restore says so."""
    root = await read_root(destination, backup_id)
    types, said = selection.types_of(root), f"This backup does not hold {selection.entity}."
    if selection.entity is not None:
        manifest, id = layout.ENTITIES, selection.entity.id
    elif selection.image_id is not None:
        manifest, id = layout.IMAGES, str(selection.image_id)
        said = "This backup does not hold a picture with this id."
    else:
        return
    reading = ManifestReader(destination, root, _deadline(patience, lambda: False))
    is_held = False

    def take(line: Line) -> bool:
        nonlocal is_held
        is_held = is_held or line.get("id") == id
        return not is_held

    with contextlib.suppress(Damaged):
        for each in types:
            await reading.read(each, manifest, [bytes_of_id(id)], take)
            if is_held:
                return
        if reading.is_whole:
            raise NotFound(said)


def _deadline(patience: float, is_over: IsOver) -> IsOver:
    end = time.monotonic() + patience
    return lambda: time.monotonic() > end or is_over()


def _words(q: str) -> tuple[str, ...]:
    words = plain_query(q).lower().split()
    telling = [word for word in words if any(map(str.isalnum, word))]
    if not telling:
        raise FormError({"q": "Type some of a name, a number, an ID or a file name."})
    return tuple(telling[:MOST_WORDS])


@dataclass(slots=True)
class _Search:
    destination: Destination
    root: Root
    words: tuple[str, ...]
    is_over: IsOver
    galleries: list[Hit] = field(default_factory=list)
    pictures: list[Hit] = field(default_factory=list)
    is_whole: bool = True
    _asked: Group = field(init=False)
    _counts: Counter[EntityRef] = field(default_factory=Counter)
    _counted: set[str] = field(default_factory=set)  # types whose pictures were all seen

    def __post_init__(self) -> None:
        self._asked = [forms for word in self.words for forms in bytes_of_word(word)]

    async def run(self) -> None:
        """One more than is shown of each, to know whether there are more."""
        reader = ManifestReader(self.destination, self.root, self.is_over)
        patterns = [_pattern(word) for word in self.words]
        for each in self.root.entity_types:
            if len(self.galleries) <= MOST:
                await reader.read(each, layout.ENTITIES, [self._asked], self._taking_galleries(each, patterns))
        for each in self.root.entity_types:
            ids = {hit.entity.id for hit in self.galleries if hit.entity.type == each}
            if not ids and len(self.pictures) > MOST:
                continue
            groups = [self._asked, *map(bytes_of_id, ids)]
            await reader.read(each, layout.IMAGES, groups, self._taking_pictures(each, ids, patterns, groups))
            if reader.is_whole:
                self._counted.add(each)
        self.is_whole = reader.is_whole

    def counted(self, ref: EntityRef) -> int | None:
        return self._counts[ref] if ref.type in self._counted else None

    def _taking_galleries(self, entity_type: str, patterns: list[re.Pattern[str]]) -> Take:
        def take(line: Line) -> bool:
            id = line.get("id")
            if isinstance(id, str) and is_entity_id(id) and _matches(line, _ENTITY_TEXTS, patterns):
                detail = _text(line, "number") or _text(line, "reference")
                self.galleries.append(Hit(EntityRef(entity_type, id), None, _text(line, "name") or id, detail))
            return len(self.galleries) <= MOST

        return take

    def _taking_pictures(
        self, entity_type: str, ids: set[str], patterns: list[re.Pattern[str]], groups: list[Group]
    ) -> Take:
        """When there are enough, those of the galleries that were found are only counted."""

        def take(line: Line) -> bool:
            id, owner = line.get("id"), line.get("entity")
            if isinstance(id, str) and _is_uuid(id) and isinstance(owner, str) and is_entity_id(owner):
                ref = EntityRef(entity_type, owner)
                if owner in ids and line.get("trashed_at") is None:
                    self._counts[ref] += 1
                if len(self.pictures) <= MOST and _matches(line, _IMAGE_TEXTS, patterns):
                    detail = _text(line, "alt_text") or _text(line, "caption")
                    self.pictures.append(Hit(ref, id, _text(line, "filename") or id, detail))
            if len(self.pictures) > MOST and groups[0] is self._asked:
                del groups[0]
            return bool(ids) or len(self.pictures) <= MOST

        return take


def _pattern(word: str) -> re.Pattern[str]:
    """The beginning of a word, or of a part of one: `0042` in ITEM-0042."""
    return re.compile((r"(?<![^\W_])" if word[0].isalnum() else "") + re.escape(word))


def _matches(line: Line, names: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> bool:
    text = "\n".join(value for name in names if isinstance(value := line.get(name), str))
    plain = unicodedata.normalize("NFC", text).lower()
    return all(each.search(plain) for each in patterns)


def _text(line: Line, name: str) -> str | None:
    """As a page can show it, whatever the line says."""
    value = line.get(name)
    if not isinstance(value, str):
        return None
    return "".join(sign if sign.isprintable() else " " for sign in value[:_SHOWN_TEXT]).strip() or None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


async def _with_here(hits: list[Hit]) -> list[Hit]:
    """What of it the portal has now."""
    refs, ids = [each.entity for each in hits], [UUID(each.image_id) for each in hits if each.image_id]
    entities = await database.fetch(
        "SELECT type, id FROM entity WHERE (type, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
        [each.type for each in refs],
        [each.id for each in refs],
    )
    images = await database.fetch("SELECT id, trashed_at FROM image WHERE id = ANY($1::uuid[])", ids)
    here: dict[Any, Here] = {EntityRef(row["type"], row["id"]): "yes" for row in entities}
    here |= {str(row["id"]): "yes" if row["trashed_at"] is None else "trash" for row in images}
    return [replace(each, here=here.get(each.image_id or each.entity, "no")) for each in hits]
