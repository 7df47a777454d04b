"""Many pictures at once: one transaction for each gallery, one outcome for each picture.

What one picture refuses (it is gone, pinned, a duplicate) stops no other. A second time each of these is harmless, so that a
batch whose answer was lost can be sent again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record_many
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, FormError, NoSuchEntity, NotFound, PortalError
from portal.gallery import holds, places
from portal.gallery.batch_forms import Asked
from portal.gallery.disposal import delete_rows, refuse_too_many
from portal.gallery.forms import MAX_TAGS
from portal.gallery.rerender import want_anew
from portal.gallery.service import RENDER, forget_given_up
from portal.jobs.queue import BULK, enqueue_many

AT_ONCE: Final = 500  # rows of a gallery that one transaction changes
_COLUMNS: Final = """id, entity, extension, version, rendering, renditions, sort_order, last_order, is_primary, was_primary,
    trashed_at, filename, sha256, bytes, width, height, frames, alt_text, decorative, caption, tags, status,
    revision"""

_WRITE: Final = """
    UPDATE image SET alt_text = CASE WHEN said.it ? 'alt_text' THEN said.it ->> 'alt_text' ELSE alt_text END,
        caption = CASE WHEN said.it ? 'caption' THEN said.it ->> 'caption' ELSE caption END,
        decorative = coalesce((said.it ->> 'decorative')::boolean, decorative),
        tags = CASE WHEN said.it ? 'tags' THEN ARRAY(SELECT jsonb_array_elements_text(said.it -> 'tags')) ELSE tags END,
        revision = revision + 1, updated_at = clock_timestamp()
    FROM (SELECT id, it::jsonb AS it FROM unnest($1::uuid[], $2::text[]) AS sent (id, it)) AS said WHERE image.id = said.id
"""

Row = Mapping[str, Any]
Errors = dict[UUID, PortalError]
Step = Callable[[places.LockedGallery, Sequence[Row]], Awaitable[Errors]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture. `made`: the copy's id."""

    image_id: UUID
    error: PortalError | None = None
    made: UUID | None = None


async def ids_of_gallery(ref: EntityRef) -> list[UUID]:
    """All that it shows, in its order. Raises NoSuchEntity."""
    pk = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    if pk is None:
        raise NoSuchEntity(f"There is no {ref}.")
    return await places.ids_in_order(places.LockedGallery(pk, ref))


async def change_many(ids: Sequence[UUID], asked: Asked, *, actor: Actor, deletes_per_hour: int) -> list[Outcome]:
    """Everything but move and copy, which `batch_moves` and `batch_copies` do. Raises only what concerns all of them."""
    steps: dict[str, Step] = {
        "tag": partial(_retag, asked.tags, (), actor),
        "untag": partial(_retag, (), asked.tags, actor),
        "describe": partial(_describe, asked, actor),
        "trash": partial(trash_rows, actor, deletes_per_hour),
        "restore": partial(restore_rows, actor),
        "delete": partial(_delete, actor, deletes_per_hour, asked.force),
        "rerender": partial(_rerender, actor),
    }
    is_placing = asked.action in {"trash", "restore"}  # places are remembered as they were before all of them
    return await in_galleries(ids, steps[asked.action], len(ids) if is_placing else AT_ONCE)


async def in_galleries(ids: Sequence[UUID], step: Step, at_once: int = AT_ONCE) -> list[Outcome]:
    """`step` for each gallery of these pictures, with their rows, under its lock; all in the order of `ids`."""
    groups = await by_gallery(ids)
    errors = gone_of(ids, groups)
    for gallery, group in groups.items():
        for some in (group[at : at + at_once] for at in range(0, len(group), at_once)):
            try:
                errors |= await _in_gallery(gallery, some, step)
            except PortalError as error:
                errors |= dict.fromkeys(some, error)
    return outcomes_of(ids, errors)


async def by_gallery(ids: Sequence[UUID]) -> dict[int, list[UUID]]:
    """By the entity's row, in the order of `ids`."""
    rows = await database.fetch("SELECT id, entity FROM image WHERE id = ANY($1::uuid[])", list(ids))
    owners = {row["id"]: row["entity"] for row in rows}
    groups: dict[int, list[UUID]] = defaultdict(list)
    for each in ids:
        if each in owners:
            groups[owners[each]].append(each)
    return groups


def gone_of(ids: Iterable[UUID], groups: Mapping[int, Sequence[UUID]]) -> Errors:
    known = {each for group in groups.values() for each in group}
    return {each: NotFound("There is no picture with this id.") for each in ids if each not in known}


def outcomes_of(ids: Iterable[UUID], errors: Errors, made: Mapping[UUID, UUID] | None = None) -> list[Outcome]:
    """Raises what has kept every one of them from anything, where that is not about pictures (a full disk)."""
    outcomes = [Outcome(each, errors.get(each), (made or {}).get(each)) for each in ids]
    refusals = [each.error for each in outcomes if each.error is not None]
    if refusals and len(refusals) == len(outcomes) and all(error.status >= 500 for error in refusals):
        raise refusals[0]
    return outcomes


async def _in_gallery(pk: int, ids: Sequence[UUID], step: Step) -> Errors:
    async with database.transaction():
        gallery = (await places.lock_galleries([pk])).get(pk)
        rows = await rows_in(gallery, ids) if gallery else {}
        errors = left_of(ids, rows)
        if gallery is not None and rows:
            errors |= await step(gallery, list(rows.values()))
    return errors


async def rows_in(gallery: places.LockedGallery, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Those that are in it, held, in the order of `ids`."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM image WHERE id = ANY($1::uuid[]) AND entity = $2 ORDER BY id FOR UPDATE",  # noqa: S608 - constant columns
        list(ids),
        gallery.pk,
    )
    found = {row["id"]: row for row in rows}
    return {each: found[each] for each in ids if each in found}


def left_of(ids: Iterable[UUID], rows: Mapping[UUID, Row]) -> Errors:
    """Those that were in the gallery a moment ago."""
    said = "This picture was moved or deleted at the same moment. Look again."
    return {each: Conflict(said) for each in ids if each not in rows}


async def write_words(rows: Sequence[Row], changed: Mapping[UUID, Mapping[str, Any]], actor: Actor) -> None:
    """New alt texts, tags and the like of rows that are held; those that say what they said already stay as they are."""
    told: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {}
    for row in rows:
        after = {name: value for name, value in changed.get(row["id"], {}).items() if row[name] != value}
        if not after:
            continue
        told[str(row["id"])] = {name: row[name] for name in after}, after
    await database.execute(_WRITE, list(told), [json.dumps(after) for _, after in told.values()])
    await record_many(actor, "image.describe", "image", told)


async def _retag(
    more: Sequence[str], less: Sequence[str], actor: Actor, gallery: places.LockedGallery, rows: Sequence[Row]
) -> Errors:
    errors: Errors = {}
    changed: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        tags = list(dict.fromkeys([*(tag for tag in row["tags"] if tag not in less), *more]))
        if len(tags) > MAX_TAGS:
            errors[row["id"]] = FormError({"tags": f"This picture would have more than {MAX_TAGS} tags."})
        else:
            changed[row["id"]] = {"tags": tags}
    await write_words(rows, changed, actor)
    return errors


async def _describe(asked: Asked, actor: Actor, gallery: places.LockedGallery, rows: Sequence[Row]) -> Errors:
    changed: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        is_said = row["alt_text"] is not None or row["decorative"]
        if asked.only_missing and is_said:
            continue
        own = {"alt_text": asked.texts[row["id"]]} if row["id"] in asked.texts else {}
        changed[row["id"]] = {**asked.changes, **own}
    await write_words(rows, changed, actor)
    return {}


async def trash_rows(actor: Actor, deletes_per_hour: int, gallery: places.LockedGallery, rows: Sequence[Row]) -> Errors:
    """As `disposal.trash_image` for each."""
    shown = [row for row in rows if row["trashed_at"] is None]
    await refuse_too_many(actor, len(shown), deletes_per_hour)
    await database.execute(
        """UPDATE image SET trashed_at = now(), last_order = sort_order, sort_order = NULL, was_primary = is_primary,
                  is_primary = false, revision = revision + 1, updated_at = now() WHERE id = ANY($1::uuid[])""",
        [row["id"] for row in shown],
    )
    await places.put_in_order(gallery, await places.ids_in_order(gallery))
    await places.ensure_primary(gallery)
    before = {str(row["id"]): {name: row[name] for name in ("sort_order", "is_primary")} for row in shown}
    await record_many(actor, "image.trash", "image", {each: (said, None) for each, said in before.items()})
    return {}


async def restore_rows(actor: Actor, gallery: places.LockedGallery, rows: Sequence[Row]) -> Errors:
    """As `disposal.restore_image`, each to its place; of several that were primary the last one thrown away is it."""
    trashed = [row for row in rows if row["trashed_at"] is not None]
    back = {row["id"]: row["last_order"] for row in sorted(trashed, key=lambda row: row["last_order"])}
    order = await places.ids_in_order(gallery)
    await database.execute(
        """UPDATE image SET trashed_at = NULL, sort_order = back.n + $2::int - 1, was_primary = false, revision = revision + 1,
                  updated_at = now() FROM unnest($1::uuid[]) WITH ORDINALITY AS back (id, n) WHERE image.id = back.id""",
        list(back),
        len(order),
    )
    await put_back(gallery, order, back)
    leaders = sorted((row for row in trashed if row["was_primary"]), key=lambda row: row["trashed_at"])
    if leaders:
        await places.set_primary(gallery, leaders[-1]["id"])
    await places.ensure_primary(gallery)
    after = {str(each): {"sort_order": place} for each, place in back.items()}
    await record_many(actor, "image.restore", "image", {each: (None, said) for each, said in after.items()})
    return {}


async def put_back(gallery: places.LockedGallery, others: Sequence[UUID], back: Mapping[UUID, int]) -> None:
    """Each at the place it had, among the others; who comes first had the first place."""
    order = list(others)
    for image_id, place in sorted(back.items(), key=lambda each: each[1]):
        order.insert(place, image_id)
    await places.put_in_order(gallery, order)


async def _delete(
    actor: Actor, deletes_per_hour: int, force: bool, gallery: places.LockedGallery, rows: Sequence[Row]
) -> Errors:
    errors: Errors = {}
    pinned = await holds.invoices_by_image(row["id"] for row in rows)
    for image_id in pinned:
        try:
            await holds.refuse_pinned([image_id], actor, force=force)
        except PortalError as error:
            errors[image_id] = error
    going = [row for row in rows if row["id"] not in errors]
    await refuse_too_many(actor, len(going), deletes_per_hour)
    await delete_rows(gallery.ref, going, actor)
    await places.put_in_order(gallery, await places.ids_in_order(gallery))
    await places.ensure_primary(gallery)
    return errors


async def _rerender(actor: Actor, gallery: places.LockedGallery, rows: Sequence[Row]) -> Errors:
    """As the ones of many: nobody's upload waits behind them."""
    versions = await want_anew([row["id"] for row in rows], bump=True)
    payloads = [{"image": str(each), "version": version} for each, version in versions.items()]
    await enqueue_many(RENDER, payloads, priority=BULK)
    if any(row["status"] == "failed" for row in rows):
        await forget_given_up()
    await record_many(actor, "image.rerender", "image", {str(row["id"]): (None, None) for row in rows})
    return {}
