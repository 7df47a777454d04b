"""Repair: what is wrong is made right with what there is, and nothing is deleted for good.

Each finding is proved once more under its gallery's lock, then repaired in a transaction of its own: bytes first, row second.
What is no more true ends as `gone`, untouched. What a repair takes away lies in the quarantine for fourteen days. A run that
is killed leaves the old or the new, and the next run ends it. A dry run changes nothing, and says what a run would do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from uuid import UUID

from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, FileRefused, FormError, Gone, NotFound
from portal.imaging.pool import RenderPool
from portal.integrity.findings import FindingView, end_finding, get_finding, open_by_kind, open_findings
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.progress import Report, no_report
from portal.maintenance.repair_objects import adopt, repair_object
from portal.maintenance.repair_originals import repair_original
from portal.maintenance.repair_renditions import repair_rendition
from portal.maintenance.repair_room import Outcome, Room, refused
from portal.maintenance.repair_rows import repair_counter, repair_order, repair_primary, repair_queue, repair_tally
from portal.settings import Settings
from portal.storage.store import Store

REPAIR: Final = "repair"
MOST_OUTCOMES: Final = 200
ENDS: Final = ("planned", "repaired", "refused", "gone")

Verb = Callable[[FindingView, Room], Awaitable[Outcome]]

# In this order: rows first, then originals, of which renditions are made, and last what nobody owns: an original may lie there.
VERBS: Final[dict[str, Verb]] = {
    "order_not_dense": repair_order,
    "no_primary": repair_primary,
    "missing_object": repair_original,
    "checksum_mismatch": repair_original,
    "wrong_rendition": repair_rendition,
    "missing_rendition": repair_rendition,
    "no_job": repair_queue,
    "stray_temp_file": repair_object,
    "orphaned_object": repair_object,
    "counter_mismatch": repair_counter,
    "tally_mismatch": repair_tally,
}
_NOT_OURS: Final = {
    "unmounted_root": "Mount the disk for pictures, then check again.",
    "missing_version": "The version is not kept, and cannot be made. Unpin the invoice, or leave it as it is.",
    "job_past_lease": "A worker takes it up again by itself. Look whether one lives.",
    "audit_chain": "A break in the audit is for people to look into.",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Of the open findings: all (None), or those of these ids or kinds. `is_adoption`: an orphaned object becomes a picture,
    of `adopt_into` or (None) of whose its key says it is."""

    finding_ids: tuple[UUID, ...] | None = None
    kinds: tuple[str, ...] | None = None
    adopt_into: EntityRef | None = None
    is_adoption: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Selection:
        """As a job's arguments say it."""
        ids, kinds, into = arguments.get("finding_ids"), arguments.get("kinds"), arguments.get("adopt_into")
        return cls(
            None if ids is None else tuple(UUID(each) for each in ids),
            None if kinds is None else tuple(kinds),
            EntityRef(*into.split("/", 1)) if into else None,
            into is not None,
        )

    def arguments(self) -> dict[str, Any]:
        return {
            "finding_ids": None if self.finding_ids is None else [str(each) for each in self.finding_ids],
            "kinds": None if self.kinds is None else list(self.kinds),
            "adopt_into": str(self.adopt_into or "") if self.is_adoption else None,
        }

    @property
    def is_all(self) -> bool:
        return self.finding_ids is None and self.kinds is None


@dataclass(slots=True)
class OfKind:
    """How many findings of a kind ended how; `reasons`: why some were refused."""

    planned: int = 0
    repaired: int = 0
    refused: int = 0
    gone: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    finding: str
    kind: str
    key: str | None
    image_id: str | None
    repair: str
    outcome: str
    detail: str


@dataclass(slots=True)
class RepairReport:
    """`checked`: nothing was open, and every byte was read first. `repairs`: how many of each were made or, dry, planned.
    `outcomes` are the first 200; `left_out` were more."""

    dry_run: bool
    checked: bool = False
    repairs: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, OfKind] = field(default_factory=dict)
    outcomes: list[OutcomeLine] = field(default_factory=list)
    left_out: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """Over all kinds: planned, repaired, refused, gone."""
        return {each: sum(getattr(of_kind, each) for of_kind in self.kinds.values()) for each in ENDS}

    def as_result(self) -> dict[str, Any]:
        """As a job's result and the API say it."""
        return {"dry_run": self.dry_run, "checked": self.checked, **self.totals, **asdict(self)}

    def add(self, finding: FindingView, outcome: Outcome) -> None:
        of_kind = self.kinds.setdefault(finding.kind, OfKind())
        setattr(of_kind, outcome.outcome, getattr(of_kind, outcome.outcome) + 1)
        if outcome.outcome in ("planned", "repaired"):
            self.repairs[outcome.repair] = self.repairs.get(outcome.repair, 0) + 1
        if outcome.outcome == "refused":
            of_kind.reasons[outcome.detail] = of_kind.reasons.get(outcome.detail, 0) + 1
        if len(self.outcomes) >= MOST_OUTCOMES:
            self.left_out += 1
            return
        about = (finding.id, finding.kind, finding.key, finding.image_id)
        self.outcomes.append(OutcomeLine(*about, outcome.repair, outcome.outcome, outcome.detail))


Check = Callable[[Report], Awaitable[object]]


async def repair(
    selection: Selection,
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    dry_run: bool = True,
    report: Report = no_report,
    check: Check | None = None,
) -> RepairReport:
    """`check`: the full check, which is made first where all are to be repaired and nothing is open.

    Raises Running while another process repairs (or checks), Unavailable when a disk is not mounted, DiskFull, Cancelled.
    """
    async with alone(turns.REPAIR):
        room = await Room.opened(settings, store, pool, actor, dry_run=dry_run)
        told = RepairReport(dry_run)
        if check is not None and selection.is_all and not await open_by_kind():
            await check(report)
            told.checked = True
        total, done = await _how_many(selection), 0
        async for finding in _selected(selection):
            told.add(finding, await _repair_one(finding, selection, room))
            done += 1
            await report(done, max(total, done))
    return told


async def _repair_one(finding: FindingView, selection: Selection, room: Room) -> Outcome:
    if finding.state != "open":
        return Outcome("gone", finding.repair, "It is not open any more.")
    verb = VERBS.get(finding.kind)
    try:
        if selection.is_adoption:
            outcome = await adopt(finding, selection.adopt_into, room)
        elif verb is not None:
            outcome = await verb(finding, room)
        else:
            outcome = refused("none", _NOT_OURS.get(finding.kind, "There is no repair for this kind."))
    except (Conflict, FileRefused, FormError, Gone, NotFound) as error:
        outcome = refused(finding.repair, error.message)
    if outcome.outcome == "gone" and not room.dry_run:
        await end_finding(finding.id, "gone", {"detail": outcome.detail})
    return outcome


async def _how_many(selection: Selection) -> int:
    if selection.finding_ids is not None:
        return len(selection.finding_ids)
    return sum((await _open_of(selection.kinds)).values())


async def _open_of(kinds: Sequence[str] | None) -> dict[str, int]:
    """Open kinds in the order in which they are repaired."""
    counted = await open_by_kind()
    ordered = [*VERBS, *(kind for kind in counted if kind not in VERBS)]
    return {kind: counted[kind] for kind in ordered if kind in counted and (kinds is None or kind in kinds)}


async def _selected(selection: Selection) -> AsyncIterator[FindingView]:
    if selection.finding_ids is not None:
        for finding in in_order([await get_finding(id) for id in dict.fromkeys(selection.finding_ids)]):
            yield finding
        return
    for kind in await _open_of(selection.kinds):
        after: FindingView | None = None
        while found := await open_findings(kind=kind, after=after):
            for finding in found:
                yield finding
            after = found[-1]


def in_order(findings: Collection[FindingView]) -> list[FindingView]:
    """As they are repaired."""
    places = {kind: place for place, kind in enumerate(VERBS)}
    return sorted(findings, key=lambda each: places.get(each.kind, len(places)))
