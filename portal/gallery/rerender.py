"""Rendering pictures anew: all, those without a whole current set, or a selection.

In batches by id, of which only so many wait at a time: a million pictures never stand in the queue at once, and nobody's
upload waits behind them. What is shown stays until the new set is whole. A batch and the note that it was queued are one
transaction, so that a run that was killed is taken up where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any, Final, Literal, Protocol, get_args
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.entities.kinds import KINDS
from portal.errors import FormError
from portal.gallery.service import RENDER, forget_given_up
from portal.gallery.tasks import queue_forgotten_images
from portal.imaging.presets import READY
from portal.jobs import alone as turns
from portal.jobs.alone import alone, refuse_while_running
from portal.jobs.progress import Report, no_report, start_job
from portal.jobs.queue import BULK, enqueue_many

RERENDER: Final = "rerender"
BATCH: Final = 200
MOST_WAITING: Final = 2000
MOST_IDS: Final = 10_000
LOOK_EVERY: Final = (0.1, 1.0)  # seconds: at first, and after a while
FORGOTTEN_AFTER: Final = 60.0  # seconds in which nothing came: the queue may have lost some

Which = Literal["all", "missing", "selected"]
_FIRST: Final = UUID(int=0)
_IS_CURRENT: Final = "coalesce(renditions ->> 'of', '') = version || '.' || rendering"
_IS_WHOLE: Final = f"({_IS_CURRENT} AND coalesce(renditions -> 'items', '{{}}') ?& $1::text[])"
_IS_AWAITED: Final = f"status <> 'failed' AND error IS NULL AND NOT {_IS_CURRENT}"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which ones. `selected` names at least one of: ids, an entity type (and id), a reason of failure (an error's code)."""

    which: Which
    ids: tuple[str, ...] = ()
    entity_type: str | None = None
    entity_id: str | None = None
    failed: str | None = None
    not_made_by: str | None = None  # changed presets, as JSON: those whose set was made by others

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Pictures:
        """Raises FormError."""
        problems: dict[str, str] = {}
        which, ids = sent.get("which"), sent.get("ids") or []
        if which not in get_args(Which):
            problems["which"] = "Use all, missing or selected."
        if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(map(_is_id, ids)):
            problems["ids"] = f"Send a list of at most {MOST_IDS} ids of pictures."
        named = {name: sent.get(name) or None for name in ("entity_type", "entity_id", "failed")}
        problems |= {name: "Send text." for name, value in named.items() if not isinstance(value, str | None)}
        if isinstance(named["entity_type"], str) and named["entity_type"] not in KINDS:
            problems["entity_type"] = f"Use one of these: {', '.join(KINDS)}."
        if named["entity_id"] and not named["entity_type"]:
            problems["entity_id"] = "Say of which entity_type."
        narrowed = bool(ids) or any(named.values())
        if which in ("all", "missing") and (ids or named["failed"] or named["entity_id"]):
            problems["which"] = "Use selected with ids, entity_id or failed."
        if which == "selected" and not narrowed:
            problems["which"] = "Say which: ids, entity_type or failed."
        if problems:
            raise FormError(problems)
        return cls(which, tuple(ids), **named)  # type: ignore[arg-type] - checked above

    def stored(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def is_all(self) -> bool:
        return self.which == "all" and self.entity_type is None


def _is_id(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(UUID(text))
    except ValueError:
        return False


class Place(Protocol):
    """Where a run notes how far it is; `keep` joins the open transaction."""

    async def kept(self) -> dict[str, Any]: ...

    async def keep(self, values: dict[str, Any]) -> None: ...


class Nowhere:
    """For a run that nobody takes up again."""

    async def kept(self) -> dict[str, Any]:
        return {}

    async def keep(self, values: dict[str, Any]) -> None:
        return None


@dataclass(slots=True)
class _Run:
    """`after`: the last id that was queued; `low`: of those up to it, none below waits any more."""

    total: int
    queued: int = 0
    failed: int = 0
    after: str = str(_FIRST)
    low: str = str(_FIRST)
    is_all_queued: bool = False
    waiting: set[UUID] = field(default_factory=set)

    def noted(self) -> dict[str, Any]:
        low = str(min(self.waiting)) if self.waiting else self.after
        names = ("total", "queued", "failed", "after", "is_all_queued")
        return {"low": low} | {name: getattr(self, name) for name in names}

    @property
    def done(self) -> int:
        return self.queued - len(self.waiting)


@dataclass(frozen=True, slots=True)
class Rerendered:
    """`failed` of them could not be rendered; their pages say why."""

    pictures: int
    failed: int


async def start_rerender(pictures: Pictures, *, actor: Actor) -> UUID:
    """The id of the job. Raises Running when all are rendered anew already."""
    if pictures.is_all:
        await refuse_while_running(turns.RERENDER)
    async with database.transaction():
        job_id = await start_job(RERENDER, pictures.stored(), actor=actor)
        await record(actor, "rerender.start", "job", str(job_id), after=_told(pictures))
    return job_id


def _told(pictures: Pictures) -> dict[str, Any]:
    """Ten thousand ids are no line of an audit."""
    return pictures.stored() | ({"ids": len(pictures.ids)} if pictures.ids else {})


async def rerender(pictures: Pictures, report: Report = no_report, place: Place | None = None) -> Rerendered:
    """Queue them in bulk and see them through: `report` hears how many are really rendered (or failed).

    Where `report` raises, nothing more is queued; what is in hand is finished. Raises Running for a second run over all.
    """
    place = place or Nowhere()
    async with _turn(pictures):
        run = await _begun(pictures, place)
        clock = asyncio.get_running_loop().time
        moved, pause = clock(), LOOK_EVERY[0]
        while True:
            before = run.done
            if not run.is_all_queued and len(run.waiting) <= MOST_WAITING - BATCH:
                await _queue_batch(pictures, run, place)
            await _look(run)
            await report(run.done, max(run.total, run.queued))
            if run.is_all_queued and not run.waiting:
                return Rerendered(run.queued, run.failed)
            if run.done > before:
                moved, pause = clock(), LOOK_EVERY[0]
            elif clock() - moved > FORGOTTEN_AFTER:
                await queue_forgotten_images()
                moved = clock()
            if run.is_all_queued or len(run.waiting) > MOST_WAITING - BATCH:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LOOK_EVERY[1])


@contextlib.asynccontextmanager
async def _turn(pictures: Pictures) -> AsyncIterator[None]:
    if pictures.is_all:
        async with alone(turns.RERENDER):
            yield
    else:
        yield


async def _begun(pictures: Pictures, place: Place) -> _Run:
    """Where a run before this one was, else at the beginning."""
    kept = await place.kept()
    if not kept:
        where, values = _where(pictures)
        total = await database.fetch_value(f"SELECT count(*) FROM image WHERE {where}", list(READY), *values)  # noqa: S608 - constant conditions
        return _Run(total)
    run = _Run(**kept)
    rows = await database.fetch(
        f"SELECT id FROM image WHERE id >= $1 AND id <= $2 AND {_IS_AWAITED}",  # noqa: S608 - constant conditions
        UUID(run.low),
        UUID(run.after),
    )
    run.waiting = {row["id"] for row in rows}
    return run


def _where(pictures: Pictures) -> tuple[str, list[Any]]:
    """The condition, whose $1 are the names of all renditions, and its further values."""
    parts, values = ["$1::text[] IS NOT NULL"], []
    if pictures.which == "missing":
        parts.append(f"NOT {_IS_WHOLE}")
    if pictures.ids:
        values.append([UUID(each) for each in pictures.ids])
        parts.append(f"id = ANY(${len(values) + 1}::uuid[])")
    if pictures.not_made_by is not None:
        values.append(pictures.not_made_by)
        made_by = "coalesce(renditions #> '{made_of,presets}', '{}')"
        parts.append(f"renditions <> '{{}}' AND {made_by} <> ${len(values) + 1}::jsonb")
    if pictures.entity_type:
        values += [pictures.entity_type, pictures.entity_id]
        kind, id = f"${len(values)}::text", f"${len(values) + 1}::text"
        parts.append(f"entity IN (SELECT pk FROM entity WHERE type = {kind} AND ({id} IS NULL OR id = {id}))")  # noqa: S608 - numbers of values
    if pictures.failed:
        values.append(pictures.failed)
        parts.append(f"(status = 'failed' OR error IS NOT NULL) AND error ->> 'code' = ${len(values) + 1}::text")
    return " AND ".join(parts), values


async def _queue_batch(pictures: Pictures, run: _Run, place: Place) -> None:
    async with database.transaction():
        ids = await _next_ids(pictures, UUID(run.after))
        taken = await _held(ids)
        versions = await want_anew(taken, bump=pictures.which != "missing" and not pictures.failed)
        payloads = [{"image": str(each), "version": version} for each, version in versions.items()]
        await enqueue_many(RENDER, payloads, priority=BULK)
        if pictures.failed:
            await forget_given_up()
        # the run itself moves only with the commit
        following = _Run(**run.noted(), waiting=run.waiting | set(taken))
        following.queued += len(taken)
        following.after = str(taken[-1]) if taken else run.after
        following.is_all_queued = not ids
        await place.keep(following.noted())
    run.queued, run.after, run.is_all_queued = following.queued, following.after, following.is_all_queued
    run.waiting |= set(taken)


async def _next_ids(pictures: Pictures, after: UUID) -> list[UUID]:
    where, values = _where(pictures)
    rows = await database.fetch(
        f"SELECT id FROM image WHERE {where} AND id > ${len(values) + 2} ORDER BY id LIMIT {BATCH}",  # noqa: S608 - constant conditions
        list(READY),
        *values,
        after,
    )
    return [row["id"] for row in rows]


async def _held(ids: list[UUID]) -> list[UUID]:
    """Those up to the first that somebody else holds; where that is the very first, it alone, waited for.

    Nothing else is held while we wait, so that two can't wait for each other.
    """
    rows = await database.fetch(
        "SELECT id FROM image WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED", ids
    )
    free = {row["id"] for row in rows}
    taken = list(takewhile(lambda each: each in free, ids))
    if ids and not taken:
        await database.execute("SELECT 1 FROM image WHERE id = $1 FOR UPDATE", ids[0])
        return ids[:1]
    return taken


async def want_anew(ids: Collection[UUID], *, bump: bool) -> dict[UUID, int]:
    """With the version of the bytes. A set that is current, but wanted otherwise, needs a new number; so does a whole one."""
    rows = await database.fetch(
        f"""UPDATE image SET rendering = rendering + CASE WHEN $2 OR {_IS_CURRENT} THEN 1 ELSE 0 END,
                   status = CASE status WHEN 'failed' THEN 'pending' ELSE status END, error = NULL, tries = 0
            WHERE id = ANY($1::uuid[]) RETURNING id, version""",  # noqa: S608 - constant conditions
        list(ids),
        bump,
    )
    return {row["id"]: row["version"] for row in rows}


async def _look(run: _Run) -> None:
    """Which of those that wait still do; what is gone is done."""
    if not run.waiting:
        return
    rows = await database.fetch(
        f"""SELECT id, {_IS_AWAITED} AS is_awaited, status = 'failed' OR error IS NOT NULL AS is_failed
            FROM image WHERE id = ANY($1::uuid[])""",  # noqa: S608 - constant conditions
        list(run.waiting),
    )
    run.waiting = {row["id"] for row in rows if row["is_awaited"]}
    run.failed += sum(row["is_failed"] for row in rows)
