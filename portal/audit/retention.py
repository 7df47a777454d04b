"""Lines past their days go, whole batches at a time; their seals stay, so that the chain does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record

SEALS_AT_ONCE: Final = 100
_DUE: Final = """
    SELECT pk, lines, sealed_at FROM audit_seal WHERE pruned_at IS NULL AND pk > $1 ORDER BY pk LIMIT $2
"""


@dataclass(slots=True)
class Pruned:
    lines: int = 0
    seals: int = 0


async def prune_lines(days: int, *, actor: Actor, dry_run: bool = False) -> Pruned:
    """What was sealed more than `days` ago is (or, in a dry run, would be) removed; 0 keeps all for ever.

    Who calls it holds the turn for sealing.
    """
    pruned = Pruned()
    if days <= 0:
        return pruned
    before = await database.fetch_value("SELECT now() - make_interval(days => $1)", days)
    last = 0
    while due := await _due(last, before):
        last = due[-1][0]
        pruned.seals += len(due)
        pruned.lines += sum(lines for _, lines in due)
        if not dry_run:
            await _prune([pk for pk, _ in due], before, actor)
    return pruned


async def _due(after: int, before: datetime) -> list[tuple[int, int]]:
    """The oldest seals in a row that are past their days, with how many lines each has."""
    due: list[tuple[int, int]] = []
    for row in await database.fetch(_DUE, after, SEALS_AT_ONCE):
        if row["sealed_at"] >= before:
            break
        due.append((row["pk"], row["lines"]))
    return due


async def _prune(seals: list[int], before: datetime, actor: Actor) -> None:
    async with database.transaction():
        await database.execute("SET LOCAL portal.audit_maintenance = on")
        lines = await database.execute(
            "DELETE FROM audit WHERE pk IN (SELECT audit FROM audit_leaf WHERE seal = ANY($1::bigint[]))", seals
        )
        await database.execute("DELETE FROM audit_leaf WHERE seal = ANY($1::bigint[])", seals)
        await database.execute("UPDATE audit_seal SET pruned_at = now() WHERE pk = ANY($1::bigint[])", seals)
        after = {"lines": lines, "before": before, "through": seals[-1]}
        await record(actor, "audit.prune", "audit", "lines", after=after)
