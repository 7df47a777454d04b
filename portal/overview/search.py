"""One search over galleries and pictures, and what may be written next in its box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal.gallery.hits import ImageHit
from portal.gallery.queries import entity_views
from portal.gallery.tags import tags_beginning
from portal.gallery.views import EntityView
from portal.overview.asked import Asked, ask, completed, last_part, values_beginning, written
from portal.overview.galleries_found import galleries_found
from portal.overview.pictures_found import pictures_found
from portal.storage.links import Links

MOST_FOUND: Final = 24
MOST_SUGGESTED: Final = 8
_BEGINNINGS: Final = ("type:invoices", "missing:image", "missing:alt", "is:failed", "tag:")
_LEAST: Final = 2  # letters of a word before anything is suggested for it


@dataclass(frozen=True, slots=True)
class Found:
    """Galleries by how well they fit, pictures newest first; each with the cursor of what follows."""

    entities: list[EntityView]
    images: list[ImageHit]
    more_entities: str | None = None
    more_images: str | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`text`: all of the box once it is taken."""

    label: str
    hint: str
    text: str


async def search_everything(
    asked: Asked | str,
    links: Links,
    *,
    part: str = "",
    cursor: str | None = None,
    limit: int = MOST_FOUND,
    most_images: int | None = None,
) -> Found:
    """Galleries by name, id, reference and number; pictures by alt text, caption, file name and tags. `part` alone: `entities` or
    `images`, from `cursor` on. Raises FormError for a foreign cursor."""
    asked = ask(asked) if isinstance(asked, str) else asked
    entities: list[EntityView] = []
    images: list[ImageHit] = []
    more_entities = more_images = None
    if part != "images":
        rows = await galleries_found(asked, cursor=cursor if part else None, limit=limit)
        entities, more_entities = await entity_views(rows.items, links), rows.next
    if part != "entities":
        hits = await pictures_found(asked, links, cursor=cursor if part else None, limit=most_images or limit)
        images, more_images = hits.items, hits.next
    return Found(entities, images, more_entities, more_images)


async def suggestions(text: str) -> list[Suggestion]:
    """How the last part of the text may go on: filters, their values, tags that were used."""
    name, start = last_part(text)
    if not name and not start:
        return [] if text.strip() else [Suggestion(each, "", each) for each in _BEGINNINGS]
    if name == "tag":
        found = [("tag", tag, tag) for tag in await tags_beginning(start, MOST_SUGGESTED)]
    elif name:
        found = [(name, value, label) for value, label in values_beginning(name, start)]
    else:
        found = await _for_word(start)
    taken = [(written(filter, value), label) for filter, value, label in found if value.lower() != start.lower()]
    return [Suggestion(said, label, completed(text, said)) for said, label in taken[:MOST_SUGGESTED]]


async def _for_word(start: str) -> list[tuple[str, str, str]]:
    """A plain word may be the beginning of a type, of what is missing, of a state or of a tag."""
    if len(start) < _LEAST:
        return []
    names = [
        (name, value, label) for name in ("type", "missing", "is") for value, label in values_beginning(name, start)
    ]
    return [*names, *(("tag", tag, tag) for tag in await tags_beginning(start, MOST_SUGGESTED // 2))]
