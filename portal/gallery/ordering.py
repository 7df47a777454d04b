"""One picture's place in its gallery: a step, an end, or beside another one. What moved can be taken back, whatever else has
changed meanwhile: what is remembered is the picture that it stood before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Conflict
from portal.gallery import places
from portal.gallery.service import reorder_gallery

_STEPS: Final = {
    "first": lambda place, last: 0,
    "earlier": lambda place, last: max(place - 1, 0),
    "later": lambda place, last: min(place + 1, last),
    "last": lambda place, last: last,
}


@dataclass(frozen=True, slots=True)
class Moved:
    """`was_before`: the picture that followed it until now; None where it was the last. `place` counts from 1."""

    ref: EntityRef
    was_before: UUID | None
    place: int
    is_elsewhere: bool


async def move_image(image_id: UUID, direction: str, *, actor: Actor) -> Moved:
    """One step earlier or later, or to an end: `first`, `earlier`, `later`, `last`. Raises NotFound, Conflict."""
    if direction not in _STEPS:
        raise Conflict("A picture moves first, earlier, later or last.")
    return await _put(image_id, lambda others, place: _STEPS[direction](place, len(others)), actor)


async def place_image(image_id: UUID, *, before: UUID | None = None, after: UUID | None = None, actor: Actor) -> Moved:
    """Before a picture of the same gallery, else right after one, else last. Raises NotFound, Conflict."""

    def place_of(others: list[UUID], _: int) -> int:
        beside = before or after
        if beside is None:
            return len(others)
        if beside not in others:
            raise Conflict("The picture beside it has left the gallery in the meantime. Nothing was moved.")
        return others.index(beside) + (before is None)

    return await _put(image_id, place_of, actor)


async def _put(image_id: UUID, place_of: Callable[[list[UUID], int], int], actor: Actor) -> Moved:
    """`place_of` gets the other pictures in order and the place of this one."""
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        ids = await places.ids_in_order(gallery)
        if image_id not in ids:
            raise Conflict("This picture is in the trash. Restore it first.")
        place = ids.index(image_id)
        others = ids[:place] + ids[place + 1 :]
        target = place_of(others, place)
        await reorder_gallery(gallery.ref, [*others[:target], image_id, *others[target:]], actor=actor)
        following = ids[place + 1] if place < len(others) else None
        return Moved(gallery.ref, following, target + 1, target != place)
