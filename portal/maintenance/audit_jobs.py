"""Sealing, verifying, pruning and erasing, each with the one turn that there is for the audit's chain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.chain import Seal
from portal.audit.erasure import Erased, erase_person
from portal.audit.retention import Pruned, prune_lines
from portal.audit.sealing import Sealing, seal_lines, sign_anew
from portal.audit.service import record
from portal.audit.verification import Breach, Verdict, remember_verdict, verdict_as_json, verify_chain
from portal.errors import Running
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.progress import Report, followed
from portal.jobs.queue import Task
from portal.settings import Settings

SEAL: Final = "seal"
VERIFY: Final = "audit_verify"
PRUNE: Final = "audit_prune"
FIRST: Final = 20  # breaches that are kept with a verdict
PATIENCE: Final = 600.0  # seconds that one statement over all lines may take


async def seal(settings: Settings, *, thorough: bool = False) -> Sealing:
    """Raises Running."""
    async with alone(turns.SEALING):
        return await seal_lines(settings.secret_keys, thorough=thorough)


async def sign(settings: Settings, actor: Actor) -> Seal | None:
    """Somebody says that the chain is right, whoever signed it before: that stands in the audit. Raises Running."""
    async with alone(turns.SEALING):
        signed = await sign_anew(settings.secret_keys)
        if signed is not None:
            async with database.transaction():
                await record(actor, "audit.sign", "audit", "chain", after={"seal": signed.pk})
        return signed


async def prune(settings: Settings, actor: Actor = SYSTEM, *, dry_run: bool = False) -> Pruned:
    """Raises Running."""
    async with alone(turns.SEALING):
        return await prune_lines(settings.audit_days, actor=actor, dry_run=dry_run)


async def erase(settings: Settings, email: str, actor: Actor) -> Erased:
    """Raises what erase_person raises, and Running."""
    with database.patience(PATIENCE):
        async with alone(turns.SEALING):
            return await erase_person(email, actor=actor, keys=settings.secret_keys)


async def verify(
    settings: Settings,
    *,
    tell: Callable[[Breach], None] = lambda breach: None,
    anchor: str | None = None,
    report: Report | None = None,
) -> tuple[Verdict, list[Breach]]:
    """The verdict, which is kept for the page and for health, and the first breaches. Whatever waits is sealed before."""
    with contextlib.suppress(Running):
        await seal(settings, thorough=True)
    verdict, first = Verdict(), list[Breach]()

    def hear(breach: Breach) -> None:
        tell(breach)
        if len(first) < FIRST:
            first.append(breach)

    with database.patience(PATIENCE):
        total = await database.fetch_value("SELECT coalesce(sum(lines), 0) FROM audit_seal WHERE pruned_at IS NULL")
        work = asyncio.create_task(verify_chain(settings.secret_keys, tell=hear, anchor=anchor, verdict=verdict))
    try:
        while report is not None and not (await asyncio.wait({work}, timeout=1))[0]:
            await report(verdict.lines, total)
        await work
    finally:
        work.cancel()
    if anchor is None:
        await remember_verdict(verdict, first)
    return verdict, first


def audit_tasks(settings: Settings) -> Mapping[str, Task]:
    async def seal_now(_: dict[str, Any]) -> None:
        with contextlib.suppress(Running):  # somebody else does it, or an erasure has the turn: a minute later again
            await seal(settings)

    async def prune_now(_: dict[str, Any]) -> None:
        with contextlib.suppress(Running):
            await prune(settings)

    async def verify_now(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        return verdict_as_json(*await verify(settings, report=report))

    return {SEAL: Task(seal_now), PRUNE: Task(prune_now), VERIFY: followed(verify_now, unit="lines")}
