"""Looking again at what was found: only what is open, so it is cheap. What is no more true becomes `gone`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from portal.errors import Unavailable
from portal.integrity.findings import (
    Finding,
    FindingView,
    end_finding,
    open_by_kind,
    open_findings,
    propose_relinks,
    record_finding,
    renew_finding,
)
from portal.integrity.fsck import ROW_CHECKS, rows_of, unmounted_root
from portal.integrity.objects import is_temporary, orphaned_of
from portal.integrity.pictures import Eyes, check_picture
from portal.integrity.strays import orphan_of, stray_of
from portal.jobs.progress import Report, no_report
from portal.storage.look import look_at
from portal.storage.store import ObjectEntry, Store

RECHECK: Final = "recheck"  # a kind of job
NO_TIME: Final = datetime.fromtimestamp(0, UTC)
OF_OBJECTS: Final = frozenset({"orphaned_object", "stray_temp_file"})
Found = dict[tuple[str, str | None, str | None], Finding]


@dataclass(slots=True)
class RecheckReport:
    """Of so many open findings how many were looked at, and how many are no more true."""

    looked_at: int = 0
    gone: int = 0
    is_mounted: bool = True


@dataclass(slots=True)
class Memory:
    """What was just looked at answers for all findings of the same picture or kind."""

    rows: dict[str, Found] = field(default_factory=dict)
    image_id: str | None = None
    of_image: Found = field(default_factory=dict)


async def recheck(finding: FindingView, *, store: Store, memory: Memory | None = None) -> Finding | None:
    """The same breach as it is now, with new evidence; None when it is no more there.

    What cannot be proved to be gone (somebody is just writing there) is still there. Raises Unavailable when the store is not
    mounted, TimeoutError while a gallery is held for long.
    """
    memory = memory or Memory()
    if finding.kind == "unmounted_root":
        return await unmounted_root(store)
    if finding.kind in OF_OBJECTS:
        name = finding.evidence.get("name")
        return await _object_again(os.fsdecode(bytes.fromhex(name)) if name else finding.key or "", store)
    if finding.kind in ROW_CHECKS:
        if finding.kind not in memory.rows:
            memory.rows[finding.kind] = _by_name(await rows_of(finding.kind))
        return memory.rows[finding.kind].get(_name_of(finding))
    if finding.image_id is None:
        return None  # a kind of another version of the portal
    if memory.image_id != finding.image_id:
        memory.of_image = _by_name(await check_picture(UUID(finding.image_id), Eyes(store)))
        memory.image_id = finding.image_id
    return memory.of_image.get(_name_of(finding))


def _name_of(finding: Finding | FindingView) -> tuple[str, str | None, str | None]:
    return finding.kind, finding.key, finding.image_id


def _by_name(found: list[Finding]) -> Found:
    """There may be a hundred thousand of a kind, each of which is asked for."""
    return {_name_of(each): each for each in found}


async def _object_again(key: str, store: Store) -> Finding | None:
    seen = (await look_at(store, [key]))[key]
    if seen.bytes is None:
        return None
    entry = ObjectEntry(key, seen.bytes, seen.modified_at or NO_TIME)
    if is_temporary(entry):
        return stray_of(seen)
    return await orphan_of(seen) if await orphaned_of([entry]) else None


async def recheck_open(*, store: Store, report: Report = no_report) -> RecheckReport:
    """Look again at everything that is open. Of a root that is not mounted that alone is told."""
    told = RecheckReport()
    total = sum((await open_by_kind()).values())
    memory = Memory()
    try:
        await store.check_marker()
        async for finding in each_open():
            await judge(finding, told, store, memory)
            await report(told.looked_at, total)
        await propose_relinks()
    except Unavailable:
        unmounted = await unmounted_root(store)
        if unmounted is None:
            raise
        await record_finding(unmounted)
        told.is_mounted = False
    return told


async def judge(finding: FindingView, told: RecheckReport, store: Store, memory: Memory) -> None:
    """Keep an open finding with what is known now, or end it."""
    told.looked_at += 1
    try:
        still = await recheck(finding, store=store, memory=memory)
    except TimeoutError:  # its gallery is held for long: that proves nothing
        return
    if still is not None:
        await renew_finding(finding.id, still)
        return
    told.gone += await end_finding(finding.id, "gone")
    if memory.image_id == finding.image_id:
        for other in memory.of_image.values():  # what is wrong with it may have changed
            await record_finding(other)


async def each_open() -> AsyncIterator[FindingView]:
    """One after the other, whatever becomes of them meanwhile."""
    last: FindingView | None = None
    while found := await open_findings(after=last):
        for finding in found:
            yield finding
        last = found[-1]
