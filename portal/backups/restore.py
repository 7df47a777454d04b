"""Restore: what a backup holds becomes what is live, all or nothing, with one switch.

The rows are staged and checked, every byte that they need is read and compared, and only then anything is touched: what is
there is kept by a restore point, bytes are brought under names that nobody has, and one transaction decides anew over what is
live at that moment and writes it. Whatever fails before leaves the portal as it was; a kill leaves bytes that are noted for
removal. Users, sessions, tokens, settings and the chain of the audit are never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups import decisions, staging, switch
from portal.backups.bringing import (
    bring,
    count_needed,
    refuse_clashes,
    refuse_without_room,
    verify_needed,
    wrong_objects,
)
from portal.backups.create import create_backup
from portal.backups.destination import Destination
from portal.backups.in_use import backups_in_use
from portal.backups.kinds import RESTORE
from portal.backups.lines import Line
from portal.backups.listing import read_root
from portal.backups.marks import distrust
from portal.backups.plan import Plan, read_plan
from portal.backups.root import Damaged, Foreign, Root
from portal.backups.selection import Selection
from portal.backups.sizes import count_changes, read_sizes, write_sizes
from portal.backups.staging import Transact
from portal.entities.queries import forget_counts
from portal.errors import Conflict, DiskFull, FormError, Unavailable
from portal.jobs import alone as turns
from portal.jobs.alone import Hold, alone, refuse_while_running
from portal.jobs.keeping import objects_in_place
from portal.jobs.progress import JobReport, Report, no_report
from portal.jobs.standstill import forget_standstill, standing_still
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store

__all__ = ["RESTORE", "restore_backup", "restore_into_scratch"]

ON_CONFLICT: Final = ("skip", "replace")
PATIENCE: Final = 3600.0  # seconds that a statement over all rows may take
_TRIES: Final = 20
_PAUSE: Final = 0.5
_LOCK_WAIT: Final = "SET LOCAL lock_timeout = '3s'"  # who writes waits behind us meanwhile
_PLACED: Final = "placed_object"
_IS_EMPTY: Final = """
    SELECT NOT EXISTS (SELECT FROM entity) AND NOT EXISTS (SELECT FROM image) AND NOT EXISTS (SELECT FROM embed_key)
"""


async def restore_backup(
    *,
    settings: Settings,
    store: Store,
    destination: Destination,
    backup_id: str,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    on_conflict: str = "skip",
    dry_run: bool,
    actor: Actor,
    report: Report = no_report,
) -> Plan:
    """What was done, or in a dry run would be. `on_conflict`: what is there and differs is left alone (skip), or becomes what
    the backup says (replace).

    Raises NotFound, Damaged, Foreign, FormError, DiskFull before anything is touched; Running beside another restore, a
    backup or a pruning; Unavailable when a disk or the database went away, and Conflict when people write faster than this.
    Then all is as it was.
    """
    if on_conflict not in ON_CONFLICT:
        raise FormError({"on_conflict": f"Use {' or '.join(ON_CONFLICT)}."})
    await store.check_marker()
    try:
        async with _turn(dry_run=dry_run) as holds, backups_in_use(), database.session() as transact:
            with database.patience(PATIENCE):
                root = await read_root(destination, backup_id)
                work = _Restore(store, destination, root, selection, on_conflict == "replace", actor, report, transact)
                with _rows_that_fit():
                    plan = await work.prepare(dry_run=dry_run)
                if dry_run:
                    return plan
                await refuse_without_room(store, settings.free_space_bytes, plan.bytes)
                async with standing_still(actor=actor, backup_id=backup_id), objects_in_place() as in_place:
                    work.holds = [*holds, in_place]
                    work.restore_point = await _restore_point(settings, store, work)
                    with _rows_that_fit():
                        plan = await work.carry_out()
    except Damaged as error:
        await distrust(wrong_objects(error))
        raise
    except database.AWAY as error:
        raise Unavailable(
            "The database was away meanwhile. A line of the audit says whether it was restored."
        ) from error
    forget_counts()
    return plan


async def restore_into_scratch(
    *, store: Store, destination: Destination, root: Root, actor: Actor, report: Report = no_report
) -> Plan:
    """All of a backup into an empty portal that nobody else uses (`database.elsewhere`), by the same means."""
    async with database.session() as transact:
        with database.patience(PATIENCE):
            work = _Restore(store, destination, root, Selection(), False, actor, report, transact)
            with _rows_that_fit():
                await work.prepare(dry_run=False)
                return await work.carry_out()


@contextlib.asynccontextmanager
async def _turn(*, dry_run: bool) -> AsyncIterator[list[Hold]]:
    """A dry run touches nothing, and so is in nobody's way."""
    if dry_run:
        yield []
        return
    async with alone(turns.RESTORE) as hold:
        await refuse_while_running(turns.BACKUP)  # in this order: a backup has its turn before it looks for ours
        await forget_standstill()
        yield [hold]


@contextlib.contextmanager
def _rows_that_fit() -> Iterator[None]:
    """Raises Foreign for what the checks of `staging` let through, and the database does not; DiskFull."""
    try:
        yield
    except database.UNFIT as error:
        said = str(error).partition("\n")[0]
        raise Foreign(f"The database does not take what this backup says: {said}. All is as it was.") from error
    except database.FULL as error:
        raise DiskFull(
            "The database's disk is full. All is as it was; free some space, then start it again."
        ) from error


@dataclass(slots=True)
class _Restore:
    store: Store
    destination: Destination
    root: Root
    selection: Selection
    is_replacing: bool
    actor: Actor
    report: Report
    transact: Transact
    holds: list[Hold] = field(default_factory=list)
    restore_point: str | None = None
    sizes: list[Line] = field(default_factory=list)
    done: int = 0
    total: int | None = None

    @property
    def choice(self) -> decisions.Choice:
        return decisions.Choice(self.is_replacing, self.selection.image_id is not None)

    async def prepare(self, *, dry_run: bool) -> Plan:
        """Stage, compare, and read every byte that is needed: nothing is touched yet."""
        await self.report(0, None)
        if self._is_of_all_types():
            self.sizes = await read_sizes(self.destination, self.root)
        await staging.stage(self.destination, self.root, self.selection, transact=self.transact)
        needed = await count_needed(self.transact)
        async with self.transact():
            await database.execute(f"CREATE TEMP TABLE {_PLACED} (key text PRIMARY KEY)")
            plan = await self._decide(dry_run=dry_run)
        await refuse_clashes(self.transact)
        self.total = needed + (0 if dry_run else plan.objects)
        await verify_needed(self.destination, self.tell, transact=self.transact)
        return plan

    def _is_of_all_types(self) -> bool:
        wanted = self.selection.entity_types
        return self.root.is_of_all and (self.selection.is_all or set(wanted or ()) == set(ENTITY_TYPES))

    async def tell(self, more: int) -> None:
        self.done += more
        if self.total is not None:
            self.total = max(self.total, self.done)
        await self.report(self.done, self.total)

    async def tell_nothing(self, done: int, total: int | None) -> None:
        """For work on the way: it hears whether all shall end."""
        await self.report(self.done, self.total)

    async def _decide(self, *, dry_run: bool) -> Plan:
        await decisions.decide(self.choice)
        is_empty = await database.fetch_value(_IS_EMPTY)
        on_conflict = "replace" if self.is_replacing else "skip"
        plan = await read_plan(Plan(self.root.id, on_conflict, dry_run, is_empty))
        return replace(plan, sizes=await self._count_sizes(is_empty=is_empty))

    async def _count_sizes(self, *, is_empty: bool) -> int:
        if not self._brings_sizes(is_empty=is_empty):
            return 0
        return await count_changes(self.sizes, is_into_empty=is_empty and not await _has_sizes())

    def _brings_sizes(self, *, is_empty: bool) -> bool:
        return self._is_of_all_types() and (is_empty or self.is_replacing)

    async def carry_out(self) -> Plan:
        """Bytes first, then the switch; again where what is live has changed in between."""
        for _ in range(_TRIES):
            async with self.transact():
                await self._decide(dry_run=False)
            if not await bring(self.destination, self.store, _PLACED, self.tell, transact=self.transact):
                continue
            plan = await self._switch()
            if plan is not None:
                return plan
            await asyncio.sleep(_PAUSE)
        raise Conflict("People write faster than this restore can look. All is as it was; start it again in a while.")

    async def _switch(self) -> Plan | None:
        """None where it has to be looked at again."""
        try:
            async with self.transact():
                await database.execute(_LOCK_WAIT)
                await database.execute(switch.LOCK)
                plan = replace(await self._decide(dry_run=False), restore_point=self.restore_point)
                if await database.fetch_value(_IS_MISSING):
                    raise _ChangedMeanwhile
                await self._write(plan)
        except (*database.CONTENDED, _ChangedMeanwhile):
            return None
        return plan

    async def _write(self, plan: Plan) -> None:
        if self._brings_sizes(is_empty=plan.is_into_empty):
            await write_sizes(self.sizes, is_into_empty=plan.is_into_empty and not await _has_sizes())
        await switch.write(is_replacing=self.is_replacing, actor=self.actor)
        said = {
            name: value for name, value in plan.as_result().items() if name not in ("examples", "dry_run", "backup_id")
        }
        await record(self.actor, "backup.restore", "backup", self.root.id, after=self.selection.said() | said)
        if isinstance(self.report, JobReport):  # a job that is taken up after a kill finds that it is done
            await self.report.keep({"result": plan.as_result()})
        for hold in self.holds:  # else a purge may have taken what was brought
            await hold.check()


class _ChangedMeanwhile(Exception):
    """Bytes are wanted that were not brought."""


_IS_MISSING: Final = f"""
    SELECT EXISTS (SELECT FROM wanted_object AS w WHERE NOT is_there
        AND NOT EXISTS (SELECT FROM {_PLACED} AS p WHERE p.key = w.key))
"""  # noqa: S608 - constants


async def _has_sizes() -> bool:
    return await database.fetch_value("SELECT EXISTS (SELECT FROM preset_change)")


async def _restore_point(settings: Settings, store: Store, work: _Restore) -> str | None:
    """A backup of what is there now; None where nothing is."""
    if await database.fetch_value(_IS_EMPTY):
        return None
    made = await create_backup(
        settings=settings,
        store=store,
        actor=work.actor,
        reason="restore_point",
        for_restore=True,
        report=work.tell_nothing,
    )
    return made.id
