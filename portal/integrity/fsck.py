"""Every promise about rows and bytes, checked one after the other, what is cheap first; each breach is a finding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from portal import database
from portal.errors import Unavailable
from portal.imaging.pool import RenderPool
from portal.integrity.audit_chain import breaks_in_audit
from portal.integrity.findings import Finding
from portal.integrity.pictures import Eyes, check_pictures
from portal.integrity.rows import (
    galleries_without_primary,
    gaps_in_order,
    images_without_job,
    jobs_past_lease,
    wrong_counters,
    wrong_tallies,
)
from portal.integrity.strays import check_objects
from portal.storage.store import MARKER, Store

__all__ = ["ROW_CHECKS", "Finding", "check_rows", "fsck", "rows_of", "unmounted_root"]

# By kind, what finds all breaches of it among rows alone. It sees one moment, or looks twice at what it suspects.
RowCheck = Callable[[], Awaitable[list[Finding]]]
ROW_CHECKS: Final[Mapping[str, RowCheck]] = {
    "no_primary": galleries_without_primary,
    "order_not_dense": gaps_in_order,
    "job_past_lease": jobs_past_lease,
    "no_job": images_without_job,
    "counter_mismatch": wrong_counters,
    "tally_mismatch": wrong_tallies,
    "audit_chain": breaks_in_audit,
}
PATIENCE: Final = 600.0  # seconds that one statement over all rows may take


async def fsck(
    *, store: Store, pool: RenderPool, grace: timedelta, temp_grace: timedelta | None = None
) -> AsyncIterator[Finding]:
    """Read every byte, decode every rendition, and yield each breach; nothing is stored.

    `temp_grace`: the one of temporary files where it differs. Of a root that is not mounted that alone is told.
    """
    try:
        await store.check_marker()
        async for finding in check_rows():
            yield finding
        async for listed in check_objects(store, grace, grace if temp_grace is None else temp_grace):
            for finding in listed.findings:
                yield finding
        async for looked in check_pictures(Eyes(store, pool)):
            for finding in looked.findings:
                yield finding
    except Unavailable:
        unmounted = await unmounted_root(store)
        if unmounted is None:
            raise
        yield unmounted


async def check_rows() -> AsyncIterator[Finding]:
    for kind in ROW_CHECKS:
        for finding in await rows_of(kind):
            yield finding


async def rows_of(kind: str) -> list[Finding]:
    """All breaches of one kind among the rows."""
    with database.patience(PATIENCE):
        return await ROW_CHECKS[kind]()


async def unmounted_root(store: Store) -> Finding | None:
    """Raises Unavailable where the disk does not even say that."""
    try:
        await store.check_marker()
    except Unavailable as error:
        if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise
        return Finding(
            "unmounted_root",
            None,
            None,
            f"the folder for pictures is not mounted: it does not hold {MARKER}; nothing else was judged",
            evidence={"expected": {"file": MARKER}, "found": None},
        )
    return None
