"""A batch taken back by the lines that it left in the audit: what was, is again; what somebody has changed since stays.

Only who did it may, within an hour. A second time is harmless.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.queries import AuditLine, done_again, lines_of_request
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import Conflict, NoSuchEntity, NotFound, Stale
from portal.gallery import batch, places
from portal.gallery.batch import Errors, Outcome, Row
from portal.gallery.batch_moves import Moving, Place, move_many

WITHIN: Final = timedelta(hours=1)
MOST: Final = 10_000  # lines
_NEW: Final = 1  # the revision of a copy that nobody has changed
_WORDS: Final = frozenset({"alt_text", "decorative", "caption", "tags"})
MovingTo = Callable[[EntityRef, Mapping[UUID, Place]], Moving]


@dataclass(frozen=True, slots=True)
class Undone:
    """`gallery`: where somebody stood when it was done."""

    gallery: EntityRef
    outcomes: list[Outcome]


async def undo_batch(request: str, *, actor: Actor, deletes_per_hour: int, moving: MovingTo) -> Undone:
    """`moving`: how pictures go back to an entity, and to which places.

    Raises NotFound when nothing is left to be undone; Conflict for what changed too many.
    """
    found = await lines_of_request(request, actor.name, WITHIN, MOST + 1)
    if len(found) > MOST:
        raise Conflict(f"That changed more than {MOST:,} pictures, too many to be taken back at once.")
    lines = [each for each in found if _is_ours(each)]
    gallery = await _gallery_of(lines)
    if gallery is None:
        raise NotFound("There is nothing to undo (any more).")
    by_action: dict[str, list[AuditLine]] = defaultdict(list)
    for line in lines:
        by_action[line.action].append(line)
    outcomes: list[Outcome] = []
    for action, some in by_action.items():
        if action == "image.move":
            outcomes += await _move_back(some, moving)
        else:
            outcomes += await _take_back(action, some, actor, deletes_per_hour)
    return Undone(gallery, outcomes)


def _is_ours(line: AuditLine) -> bool:
    """With what it says (an erasure may have blanked that). A form of one picture leaves lines of the same names: of words
    alone they are undone alike."""
    before, after = line.before or {}, line.after or {}
    return {
        "image.trash": True,
        "image.copy": "copy_of" in after,
        "image.move": "entity" in before and "entity" in after,
        "image.describe": bool(before) and set(before) <= _WORDS,
    }.get(line.action, False)


async def _gallery_of(lines: Sequence[AuditLine]) -> EntityRef | None:
    """Of what is there still the first: where pictures were taken from, else where they are."""
    left = [str((line.before or {})["entity"]) for line in lines if line.action == "image.move"]
    taken = [UUID((line.after or {}).get("copy_of", line.subject_id)) for line in lines]
    row = await database.fetch_row(
        """SELECT type, id FROM (
               SELECT type, id, n FROM unnest($1::text[]) WITH ORDINALITY AS said (ref, n)
               JOIN entity ON type = split_part(ref, '/', 1) AND id = split_part(ref, '/', 2)
               UNION ALL
               SELECT type, entity.id, cardinality($1) + n FROM unnest($2::uuid[]) WITH ORDINALITY AS said (image, n)
               JOIN image ON image.id = said.image JOIN entity ON pk = entity) AS there ORDER BY n LIMIT 1""",
        list(dict.fromkeys(left)),
        [*taken, *(UUID(line.subject_id) for line in lines)],
    )
    return None if row is None else EntityRef(row["type"], row["id"])


def _ref_of(said: str) -> EntityRef:
    type, _, id = said.partition("/")
    return parse_ref(type, id)


async def _take_back(action: str, lines: Sequence[AuditLine], actor: Actor, deletes_per_hour: int) -> list[Outcome]:
    by_id = {UUID(line.subject_id): line for line in lines}
    if action == "image.describe":
        said = {each: (line.before or {}, line.after or {}) for each, line in by_id.items()}
        return await batch.in_galleries(list(by_id), partial(_unsay, said, actor))
    if action == "image.trash":
        return await batch.in_galleries(list(by_id), partial(_untrash, by_id, actor), len(by_id))
    return await batch.in_galleries(list(by_id), partial(_uncopy, actor, deletes_per_hour), len(by_id))


async def _untrash(
    lines: Mapping[UUID, AuditLine], actor: Actor, gallery: places.LockedGallery, rows: Sequence[Row]
) -> Errors:
    trashed = [row for row in rows if row["trashed_at"] is not None]
    again = await done_again([lines[row["id"]] for row in trashed])
    errors: Errors = {
        row["id"]: Stale("This picture was restored and thrown away again since then. It stays in the trash.")
        for row in trashed
        if str(row["id"]) in again
    }
    return errors | await batch.restore_rows(actor, gallery, [row for row in trashed if row["id"] not in errors])


async def _uncopy(actor: Actor, deletes_per_hour: int, gallery: places.LockedGallery, rows: Sequence[Row]) -> Errors:
    shown = [row for row in rows if row["trashed_at"] is None]
    errors: Errors = {
        row["id"]: Stale("This copy was changed since then. It stays.") for row in shown if row["revision"] > _NEW
    }
    going = [row for row in shown if row["id"] not in errors]
    return errors | await batch.trash_rows(actor, deletes_per_hour, gallery, going)


async def _unsay(
    said: Mapping[UUID, tuple[dict[str, Any], dict[str, Any]]],
    actor: Actor,
    gallery: places.LockedGallery,
    rows: Sequence[Row],
) -> Errors:
    """Where the words are still those that the batch wrote, or are those from before already."""
    errors: Errors = {}
    back: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        before, after = said[row["id"]]
        if all(row[name] in (after.get(name), before[name]) for name in before):
            back[row["id"]] = before
        else:
            errors[row["id"]] = Stale("Somebody has written something else since then. That stays.")
    await batch.write_words(rows, back, actor)
    return errors


async def _move_back(lines: Sequence[AuditLine], moving: MovingTo) -> list[Outcome]:
    """To where they were, but for those that have gone on to a third gallery since."""
    groups: dict[tuple[str, str], dict[UUID, Place]] = defaultdict(dict)
    for line in lines:
        was = line.before or {}
        place = Place(was["sort_order"], was["is_primary"])
        groups[was["entity"], (line.after or {})["entity"]][UUID(line.subject_id)] = place
    outcomes: list[Outcome] = []
    for (source, target), back in groups.items():
        stays = await _not_in(list(back), _ref_of(target), _ref_of(source))
        going = sorted(back.keys() - stays, key=lambda each: back[each].sort_order)  # each finds those before it there
        ref = _ref_of(source)
        outcomes += [Outcome(each, Stale("This picture was moved again since then. It stays there.")) for each in stays]
        try:
            outcomes += await move_many(going, ref, moving(ref, back)) if going else []
        except NoSuchEntity as error:
            outcomes += [Outcome(each, error) for each in going]
    return outcomes


async def _not_in(ids: Sequence[UUID], *galleries: EntityRef) -> set[UUID]:
    rows = await database.fetch(
        """SELECT image.id FROM image JOIN entity ON pk = entity
           WHERE image.id = ANY($1::uuid[]) AND type || '/' || entity.id <> ALL($2::text[])""",
        list(ids),
        [str(each) for each in galleries],
    )
    return {row["id"] for row in rows}
