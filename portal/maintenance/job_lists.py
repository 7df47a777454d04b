"""What the page about jobs shows: the queue's own work, followed jobs, and each failed picture with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery.disposal import PURGE
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.service import RENDER
from portal.gallery.views import ImageView, image_view
from portal.jobs.lists import (
    JobLine,
    KindCounts,
    Queued,
    counts_by_kind,
    counts_of_jobs,
    given_up,
    job_lines,
    queued_of,
    traces_of,
)
from portal.jobs.pauses import Pause, pauses
from portal.jobs.presence import WorkerView, workers
from portal.maintenance.job_words import (
    ago,
    job_in_words,
    kind_in_words,
    pause_in_words,
    rate_in_words,
    reason_in_words,
    result_in_words,
    time_left,
)
from portal.paging import decode_cursor, encode_cursor
from portal.storage.links import Links

STATES: Final = ("", "waiting", "active", "failed", "paused", "done")
OWN: Final = (RENDER, PURGE)  # the queue's own work; the other kinds are followed
PAGE: Final = 50
FEW: Final = 6  # failed pictures beside all else
MOST_COUNTED: Final = 10_000
_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_IMAGES: Final = (
    f"SELECT {_COLUMNS}, i.tries, e.type AS entity_type, e.id AS entity_id, e.name AS entity_name"  # noqa: S608 - constant columns
    " FROM image i JOIN entity e ON e.pk = i.entity"
)
_FAILED: Final = "(i.status = 'failed' OR i.error IS NOT NULL) AND i.trashed_at IS NULL"


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of the queue's own work, in numbers and words."""

    kind: str
    title: str
    waiting: int
    active: int
    failed: int
    rate: str
    left: str
    pause: Pause | None

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.active


@dataclass(frozen=True, slots=True)
class PictureLine:
    """A picture at work, waiting or failed. `trace` is for admins."""

    image: ImageView
    entity_name: str
    reason: str
    tries: int
    when: datetime
    is_active: bool = False
    again: str = ""
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    words: str
    pictures: int


@dataclass(frozen=True, slots=True)
class Line:
    """A followed job with its words; `badge` is (text, tone)."""

    line: JobLine
    title: str
    about: str
    badge: tuple[str, str]
    percent: int | None
    left: str
    pace: str
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """What changes while one looks: of everybody, so that one reading of it serves all."""

    works: list[Work]
    counts: dict[str, int]
    pauses: dict[str, Pause]
    workers: list[WorkerView]

    @property
    def taking(self) -> list[WorkerView]:
        return [each for each in self.workers if each.takes_jobs]

    @property
    def runs(self) -> bool:
        return bool(self.counts["waiting"] or self.counts["active"])


async def read_now() -> Now:
    kinds, paused, jobs = await counts_by_kind(), await pauses(), await counts_of_jobs()
    works = [_work(kind, kinds, paused) for kind in OWN]
    failed = await _failed_pictures() + kinds.get(PURGE, _none(PURGE)).failed
    resting = sum(work.waiting for work in works if work.pause)
    counts = {
        "waiting": jobs["waiting"] + sum(work.waiting for work in works),
        "active": jobs["active"] + sum(work.active for work in works),
        "failed": jobs["failed"] + failed,
        "paused": jobs["paused"] + resting,
        "done": jobs["done"],
    }
    return Now(works, counts, paused, await workers())


def _none(kind: str) -> KindCounts:
    return KindCounts(kind, 0, 0, 0, 0.0)


def _work(kind: str, kinds: Mapping[str, KindCounts], paused: Mapping[str, Pause]) -> Work:
    found = kinds.get(kind, _none(kind))
    pause = paused.get(kind)
    left = "" if pause else time_left(found.seconds_left)
    rate = rate_in_words(found.per_second)
    return Work(kind, kind_in_words(kind), found.waiting, found.active, found.failed, rate, left, pause)


async def _failed_pictures() -> int:
    return await database.fetch_value(
        f"SELECT count(*) FROM (SELECT 1 FROM image i WHERE {_FAILED} LIMIT {MOST_COUNTED}) AS counted"  # noqa: S608 - constants
    )


async def reasons() -> list[Reason]:
    """Why pictures failed, the most frequent first; counted among the newest ten thousand."""
    rows = await database.fetch(
        f"""SELECT coalesce(error ->> 'code', 'failed') AS code, count(*) AS pictures
            FROM (SELECT error FROM image i WHERE {_FAILED} ORDER BY updated_at DESC LIMIT {MOST_COUNTED}) AS newest
            GROUP BY 1 ORDER BY 2 DESC, 1"""  # noqa: S608 - constants
    )
    return [Reason(row["code"], reason_in_words(row["code"]), row["pictures"]) for row in rows]


async def failed_pictures(
    links: Links, *, code: str | None, cursor: str | None, limit: int, traced: bool
) -> tuple[list[PictureLine], str | None]:
    """The last one first. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str, str])
    moment, last = _place(after) if after else (None, None)
    rows = await database.fetch(
        f"""{_IMAGES} WHERE {_FAILED} AND ($1::text IS NULL OR coalesce(i.error ->> 'code', 'failed') = $1)
            AND ($2::timestamptz IS NULL OR (i.updated_at, i.id) < ($2, $3::uuid))
            ORDER BY i.updated_at DESC, i.id DESC LIMIT $4""",
        *(code or None, moment, last, limit + 1),
    )
    shown = rows[:limit]
    ids = [str(row["id"]) for row in shown if _code_of(row) == "failed"]
    traces = await traces_of(RENDER, "image", ids) if traced else {}
    lines = [_picture(row, links, trace=traces.get(str(row["id"]))) for row in shown]
    more = len(rows) > limit
    return lines, encode_cursor([shown[-1]["updated_at"].isoformat(), str(shown[-1]["id"])]) if more else None


def _place(after: list[Any]) -> tuple[datetime | None, UUID | None]:
    try:
        return datetime.fromisoformat(after[0]), UUID(after[1])
    except ValueError:
        return None, None


def _code_of(row: Mapping[str, Any]) -> str:
    return json.loads(row["error"]).get("code", "failed") if row["error"] else "failed"


def _picture(row: Mapping[str, Any], links: Links, **more: Any) -> PictureLine:
    image = image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links)
    reason = image.error.get("message", "") if image.error else "Its renditions could not be made."
    return PictureLine(image, row["entity_name"], reason, row["tries"], row["updated_at"], **more)


async def pictures_at(
    links: Links, *, active: bool, cursor: str | None, limit: int = PAGE
) -> tuple[list[PictureLine], str | None]:
    """Those being rendered, or those that wait, in the order in which they will be taken."""
    queued, following = await queued_of(RENDER, active=active, cursor=cursor, limit=limit)
    ids = [UUID(each.payload["image"]) for each in queued if "image" in each.payload]
    rows = {row["id"]: row for row in await database.fetch(f"{_IMAGES} WHERE i.id = ANY($1::uuid[])", ids)}
    return [_at_work(rows[id], each, links) for id, each in _once(queued).items() if id in rows], following


def _once(queued: Iterable[Queued]) -> dict[UUID, Queued]:
    """A picture may stand in the queue twice; its first place counts."""
    first: dict[UUID, Queued] = {}
    for each in queued:
        if "image" in each.payload:
            first.setdefault(UUID(each.payload["image"]), each)
    return first


def _at_work(row: Mapping[str, Any], each: Queued, links: Links) -> PictureLine:
    again = f"again in {pause_in_words(each.again_in)}" if each.again_in is not None else ""
    return _picture(row, links, is_active=each.is_active, again=again)


async def lines(
    state: str, *, paused: Mapping[str, Pause], cursor: str | None, limit: int = PAGE, traced: bool = False
) -> tuple[list[Line], str | None]:
    """Followed jobs. Raises FormError for a foreign cursor."""
    found, following = await job_lines(state, cursor=cursor, limit=limit)
    failed = [each for each in found if each.job.state == "failed"]
    traces: dict[str, str] = {}
    for kind in {each.job.kind for each in failed} if traced else ():
        traces |= await traces_of(kind, "job", [each.job.id for each in failed if each.job.kind == kind])
    return [line_of(each, paused, traces.get(each.job.id)) for each in found], following


async def removals_given_up() -> list[Queued]:
    return await given_up([PURGE], FEW)


def line_of(each: JobLine, paused: Mapping[str, Pause], trace: str | None = None) -> Line:
    job = each.job
    done, total = job.progress.get("done", 0), job.progress.get("total")
    percent = min(round(100 * done / total), 100) if total else None
    runs = job.state == "running"
    return Line(
        each,
        job_in_words(job.kind, each.arguments),
        _about(each),
        _badge(each, job.kind in paused),
        percent if runs else None,
        time_left(job.progress.get("seconds_left")) if runs else "",
        rate_in_words(job.progress.get("per_second", 0.0)) if runs else "",
        trace,
    )


def _about(each: JobLine) -> str:
    """How far it is, what came of it, or why it failed."""
    job = each.job
    if job.state == "succeeded":
        return result_in_words(job.kind, job.result)
    if job.error is not None:
        return job.error.get("message", "")
    if not job.progress:
        return ""
    done, total, unit = job.progress["done"], job.progress["total"], job.progress["unit"]
    return f"{done:,} of {total:,} {unit}" if total is not None else f"{done:,} {unit}"


_TONES: Final = {
    "queued": ("Waiting", ""),
    "running": ("Running", "work"),
    "succeeded": ("Done", "ok"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Cancelled", ""),
}


def _badge(each: JobLine, is_paused: bool) -> tuple[str, str]:
    if each.job.state == "queued" and is_paused:
        return "Paused", "warn"
    if each.is_ending and not each.job.is_finished:
        return "Ending", "work"
    if each.again_in is not None and not each.job.is_finished:
        return f"Again in {pause_in_words(each.again_in)}", "warn"
    return _TONES[each.job.state]


def stamp_of(now: Now, unfinished: Iterable[JobLine]) -> str:
    """Another one when other jobs stand in the lists, or stand there otherwise; not while they only go on."""
    jobs = [f"{each.job.id[-12:]}{each.job.state[0]}{int(each.is_ending)}" for each in unfinished]
    return "-".join([*map(str, (now.counts["failed"], now.counts["done"], len(now.taking))), *now.pauses, *jobs])


def workers_in_words(found: Iterable[WorkerView]) -> str:
    """ "2 workers, last seen 3 s ago"."""
    taking = [each for each in found if each.takes_jobs]
    number = f"{len(taking)} worker{'' if len(taking) == 1 else 's'}"
    return f"{number}, last seen {ago(min(each.seconds for each in taking))}" if taking else "No worker"
