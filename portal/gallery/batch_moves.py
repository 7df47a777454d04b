"""Pictures to another entity. Within a type only rows change; to another type every object gets a name of that type first.

Both galleries are locked in the order of their rows. Bytes first, row second; what lay under the old names goes by the
`purge` job after the commit, so that a backup that is just being made still finds it there. What a pin holds goes along: the
invoice shows what it was issued with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record_many
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Duplicate, Gone, NoSuchEntity, PortalError
from portal.gallery import batch, holds, places
from portal.gallery.arrivals import announce_originals
from portal.gallery.batch import Errors, Outcome, Row
from portal.gallery.disposal import all_keys_of, kept_keys_of, keys_of_set, purge_after_commit, versions_of_images
from portal.gallery.intake import Rules, refuse_unfit, refuse_when_disk_is_full
from portal.gallery.service import queue_rendering
from portal.gallery.views import decoded
from portal.jobs.queue import BULK
from portal.storage.copies import Copy, copy_objects
from portal.storage.keys import original_key
from portal.storage.store import Store

FAR_AT_ONCE: Final = 20  # pictures whose bytes are copied while their galleries are held
TRASHED: Final = "This picture is in the trash. Restore it first."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture was before."""

    sort_order: int
    is_primary: bool


@dataclass(frozen=True, slots=True)
class Moving:
    """How. `rules`: of the target's type. `back`: the places to which pictures return; others come last."""

    store: Store
    rules: Rules
    floor: int
    actor: Actor
    allow_duplicate: bool = False
    back: Mapping[UUID, Place] = field(default_factory=dict[UUID, Place])


async def move_many(ids: Sequence[UUID], target: EntityRef, how: Moving) -> list[Outcome]:
    """Each an outcome; harmless for what is there already. Raises NoSuchEntity."""
    row = await database.fetch_row("SELECT pk, type FROM entity WHERE type = $1 AND id = $2", target.type, target.id)
    if row is None:
        raise NoSuchEntity(f"There is no {target}.")
    groups = await batch.by_gallery(ids)
    errors, places_now = batch.gone_of(ids, groups), await _places_of(ids)
    far = await _galleries_of_others(groups, row["type"])
    for source, group in groups.items():
        for some in portions(group, FAR_AT_ONCE if source in far else batch.AT_ONCE):
            try:
                errors |= await _move(source, row["pk"], some, how, places_now, is_far=source in far)
            except PortalError as error:
                errors |= dict.fromkeys(some, error)
    return batch.outcomes_of(ids, errors)


async def _galleries_of_others(pks: Iterable[int], type: str) -> set[int]:
    """Those of another type: their pictures go few at a time, so that nobody waits for the bytes of many."""
    rows = await database.fetch("SELECT pk FROM entity WHERE pk = ANY($1::bigint[]) AND type <> $2", list(pks), type)
    return {row["pk"] for row in rows}


def portions(ids: Sequence[UUID], size: int) -> list[Sequence[UUID]]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


async def _places_of(ids: Sequence[UUID]) -> dict[UUID, Place]:
    """Before any of them moves: to where an undo puts them back."""
    rows = await database.fetch(
        "SELECT id, last_order, sort_order, is_primary FROM image WHERE id = ANY($1::uuid[])", list(ids)
    )
    return {row["id"]: Place(_either(row["sort_order"], row["last_order"]), row["is_primary"]) for row in rows}


def _either(place: int | None, last: int) -> int:
    """What lay in the trash when it was asked has a place by now."""
    return last if place is None else place


async def _move(
    source_pk: int, target_pk: int, ids: Sequence[UUID], how: Moving, was: Mapping[UUID, Place], *, is_far: bool
) -> Errors:
    if source_pk == target_pk:
        return {}
    copied: list[str] = []
    async with how.store.turn(), database.transaction():
        if is_far:
            await announce_originals(ids)
        locked = await places.lock_galleries([source_pk, target_pk])
        if len(locked) < 2:
            raise NoSuchEntity("One of the two galleries was deleted at the same moment.")
        source, target = locked[source_pk], locked[target_pk]
        rows = await batch.rows_in(source, ids)
        errors = batch.left_of(ids, rows) | await refusals_of(list(rows.values()), target, how)
        going = [row for each, row in rows.items() if each not in errors]
        try:
            if is_far:
                errors |= await _bring_all_over(going, source.ref.type, target.ref.type, how, copied)
                going = [row for row in going if row["id"] not in errors]
            await _write(source, target, going, how)
            told = {str(row["id"]): _told(was[row["id"]], source, target) for row in going}
            await record_many(how.actor, "image.move", "image", told)
        except PortalError:
            await how.store.delete(copied)  # under the lock still: a check must not see bytes that are on their way out
            raise
    return errors


async def refusals_of(rows: Sequence[Row], target: places.LockedGallery, how: Moving) -> Errors:
    """What may not go there: out of the trash, twice the same file, what this type does not take."""
    there = await database.fetch(
        "SELECT id, sha256 FROM image WHERE entity = $1 AND sha256 = ANY($2::text[]) AND trashed_at IS NULL",
        target.pk,
        [row["sha256"] for row in rows],
    )
    same = {row["sha256"]: str(row["id"]) for row in there}
    errors: Errors = {}
    for row in rows:
        try:
            if row["trashed_at"] is not None:
                raise Conflict(TRASHED)
            refuse_unfit(row, how.rules)
            if row["sha256"] in same and not how.allow_duplicate:
                raise Duplicate("That gallery has the very same file already.", image_id=same[row["sha256"]])
            same[row["sha256"]] = str(row["id"])
        except PortalError as error:
            errors[row["id"]] = error
    return errors


async def _bring_all_over(rows: Sequence[Row], old_type: str, new_type: str, how: Moving, copied: list[str]) -> Errors:
    """`copied`: the new names, of what may have to be taken away again. Those whose bytes are lost stay where they are."""
    errors: Errors = {}
    for row in rows:
        before = len(copied)
        try:
            await _bring_over(row, old_type, new_type, how, copied)
        except Gone as error:
            errors[row["id"]] = error
            await how.store.delete(copied[before:])
    return errors


async def _bring_over(row: Row, old_type: str, new_type: str, how: Moving, copied: list[str]) -> None:
    """All that the picture owns, under names of the other type; notes the old ones for removal, the new ones in `copied`."""
    versions = (await versions_of_images([row["id"]])).get(row["id"], [])
    pinned = (await holds.pinned_sets_of([row["id"]])).get(row["id"], [])
    names = [_lasting_keys(type, row, versions, pinned) for type in (old_type, new_type)]
    sums = {original_key(old_type, row["id"], each["version"], each["extension"]): each["sha256"] for each in versions}
    pairs = dict(zip(*names, strict=True))
    sums[next(iter(pairs))] = row["sha256"]
    await refuse_when_disk_is_full(how.store, how.floor, row["bytes"])
    await _take_back(list(pairs.values()))
    copied += pairs.values()
    await copy_objects(how.store, [Copy(source, to, sums.get(source)) for source, to in pairs.items()])
    await purge_after_commit(all_keys_of(old_type, row, versions, pinned))


def _lasting_keys(
    type: str, row: Row, versions: Sequence[Mapping[str, Any]], pinned: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Without a set that is just being made: it will be wanted under another number."""
    original = original_key(type, row["id"], row["version"], row["extension"])
    shown = keys_of_set(type, row["id"], decoded(row["renditions"]))
    return [original, *shown, *kept_keys_of(type, row["id"], versions, pinned)]


async def _take_back(keys: list[str]) -> None:
    """What a picture that comes back has left behind waits for its removal under these very names, or is just being removed."""
    rows = await database.fetch("SELECT pk FROM object_purge WHERE key = ANY($1::text[]) ORDER BY pk FOR UPDATE", keys)
    await database.execute("DELETE FROM object_purge WHERE pk = ANY($1::bigint[])", [row["pk"] for row in rows])


async def _write(source: places.LockedGallery, target: places.LockedGallery, rows: Sequence[Row], how: Moving) -> None:
    if not rows:
        return
    others, ids = await places.ids_in_order(target), [row["id"] for row in rows]
    # a rendering under way would end under a name of the old type: it is wanted anew
    moved = await database.fetch(
        """UPDATE image SET entity = $2, sort_order = $3::int + moved.n - 1, is_primary = false, revision = revision + 1,
                  updated_at = now(), rendering = rendering + CASE WHEN $4 AND status <> 'failed' AND error IS NULL
                      AND coalesce(renditions ->> 'of', '') <> version || '.' || rendering THEN 1 ELSE 0 END
           FROM unnest($1::uuid[]) WITH ORDINALITY AS moved (id, n) WHERE image.id = moved.id
           RETURNING image.id, version, rendering""",
        ids,
        target.pk,
        len(others),
        source.ref.type != target.ref.type,
    )
    await _queue_anew(rows, moved)
    await places.put_in_order(source, await places.ids_in_order(source))
    await batch.put_back(
        target,
        others,
        {each: how.back[each].sort_order if each in how.back else len(others) + n for n, each in enumerate(ids)},
    )
    for each in (each for each in ids if each in how.back and how.back[each].is_primary):
        await places.set_primary(target, each)
    for gallery in (source, target):
        await places.ensure_primary(gallery)


async def _queue_anew(rows: Sequence[Row], moved: Sequence[Mapping[str, Any]]) -> None:
    before = {row["id"]: row["rendering"] for row in rows}
    for row in moved:
        if row["rendering"] != before[row["id"]]:
            await queue_rendering(row["id"], row["version"], BULK)


def _told(
    was: Place, source: places.LockedGallery, target: places.LockedGallery
) -> tuple[dict[str, Any], dict[str, Any]]:
    before = {"entity": str(source.ref), "sort_order": was.sort_order, "is_primary": was.is_primary}
    return before, {"entity": str(target.ref)}
