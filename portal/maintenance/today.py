"""Upkeep's part of the overview, which is its stranger and is handed this by `app`: what runs, the disk, the proof of the
backups, who did what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from portal.audit import words
from portal.audit.denials import ACTION as DENIED
from portal.audit.queries import AuditLine, Wanted, list_lines
from portal.entities.lasting import Lasting
from portal.gallery.service import RENDER
from portal.jobs.lists import KindCounts, counts_by_kind, unfinished_lines
from portal.jobs.pauses import pauses
from portal.maintenance.audit_views import LineView, views_of
from portal.maintenance.backup_views import ProofView, proof_view
from portal.maintenance.figures import Figures
from portal.maintenance.growth import Disk, growth
from portal.maintenance.job_lists import Line, line_of
from portal.maintenance.job_words import rate_in_words, time_left

MOST_JOBS: Final = 4
MOST_STORIES: Final = 6
KEPT_SECONDS: Final = 5.0
_READ: Final = 60  # lines, of which those that follow each other make one story
_NOT_TOLD: Final = ("session.", "job.", "schedule.", "audit.", DENIED)


@dataclass(frozen=True, slots=True)
class AtWork:
    """`pictures` wait for their thumbnails or are being made; `left` and `rate` in words. `more` jobs than are shown."""

    pictures: int
    rate: str
    left: str
    is_paused: bool
    jobs: list[Line]
    more: int

    @property
    def runs(self) -> bool:
        return bool(self.pictures or self.jobs)


@dataclass(frozen=True, slots=True)
class Story:
    """What somebody did, so many times in a row: the newest of these lines."""

    line: LineView
    times: int

    @property
    def pictures(self) -> str | None:
        """The whole of it in words, where it was done to several pictures."""
        several = self.times > 1 and self.line.action.startswith("image.")
        return words.said(self.line.action, f"{self.times:,} pictures") if several else None

    @property
    def at(self) -> datetime:
        return self.line.at


@dataclass(frozen=True, slots=True)
class UpkeepToday:
    """`days_until_full`: None where nobody can tell, or it is far off. `stories` and `proof` are an admin's."""

    at_work: AtWork
    disk: Disk
    days_until_full: int | None
    proof: ProofView | None
    stories: list[Story]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What may be some seconds old."""

    disk: Disk
    days_until_full: int | None
    proof: ProofView
    stories: list[Story]


class Upkeep:
    """What the overview asks for."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._beside = Lasting(self._find, least=KEPT_SECONDS)

    async def today(self, *, is_admin: bool) -> UpkeepToday:
        found, at_work = await self._beside.get(), await self.at_work()
        told = (found.proof, found.stories) if is_admin else (None, [])
        return UpkeepToday(at_work, found.disk, found.days_until_full, *told)

    async def _find(self) -> _Beside:
        disk = await self._figures.disk()
        return _Beside(disk, (await growth(disk)).days_until_full, await proof_view(), await stories())

    async def at_work(self) -> AtWork:
        renders = (await counts_by_kind()).get(RENDER, KindCounts(RENDER, 0, 0, 0, 0.0))
        paused = await pauses()
        jobs = [line_of(each, paused) for each in await unfinished_lines()]
        is_paused = RENDER in paused
        return AtWork(
            renders.waiting + renders.active,
            rate_in_words(renders.per_second),
            "" if is_paused else time_left(renders.seconds_left),
            is_paused,
            jobs[:MOST_JOBS],
            max(0, len(jobs) - MOST_JOBS),
        )


async def stories() -> list[Story]:
    """The newest first; what one did over and over is told once."""
    lines = (await list_lines(Wanted(), cursor=None, limit=_READ)).items
    told = [each for each in lines if not each.action.startswith(_NOT_TOLD)]
    runs = [list(run) for _, run in groupby(told, key=lambda each: (each.actor, each.action))][:MOST_STORIES]
    return [Story(view, len(run)) for view, run in zip(await _views(runs), runs, strict=True)]


async def _views(runs: Sequence[Sequence[AuditLine]]) -> list[LineView]:
    return await views_of([run[0] for run in runs])
