"""`portal repair`: what is wrong, what can be done about it, and with --apply that."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

import click

from portal.audit.actors import SYSTEM
from portal.command import as_json, with_parts
from portal.parts import Parts

_MOST_REASONS = 5


@click.command()
@click.option("--apply", "apply", is_flag=True, help="Repair what was found; without it nothing changes.")
@click.option("--json", "is_json", is_flag=True)
@click.option("--undo", "undo_id", type=click.UUID, help="Put back what lies in the quarantine under this id.")
def repair(apply: bool, is_json: bool, undo_id: UUID | None) -> None:
    """Report (and make right) what checks have found; where nothing is open, read every byte first.

    Exit 1 when something cannot be repaired.
    """
    if undo_id is not None:
        click.echo(f"{_undo(undo_id)} is back.")
        return
    told = _repair(apply)
    if is_json:
        click.echo(as_json(told))
    else:
        _say(told)
    if told["refused"]:
        sys.exit(1)


def _undo(held_id: UUID) -> str:
    from portal.maintenance.quarantine import undo

    async def run(parts: Parts) -> str:
        return await undo(held_id, store=parts.store, quarantine_dir=parts.settings.quarantine_dir, actor=SYSTEM)

    return with_parts(run)


def _repair(apply: bool) -> dict[str, Any]:
    from portal.jobs.progress import no_report
    from portal.maintenance.repair import Selection
    from portal.maintenance.repair_tasks import check_and_repair

    async def run(parts: Parts) -> dict[str, Any]:
        told = await check_and_repair(
            Selection(),
            settings=parts.settings,
            store=parts.store,
            pool=parts.pool,
            actor=SYSTEM,
            dry_run=not apply,
            report=no_report,
        )
        return told.as_result()

    return with_parts(run)


def _say(told: dict[str, Any]) -> None:
    for kind, counts in told["kinds"].items():
        click.echo(f"{kind}: {', '.join(f'{counts[end]} {end}' for end in _ENDS if counts[end])}")
        for reason, times in list(counts["reasons"].items())[:_MOST_REASONS]:
            click.echo(f"  {times} × {reason}")
    if told["checked"]:
        click.echo("Every byte was read first.", err=True)
    if not told["kinds"]:
        click.echo("Nothing to repair.")
    elif told["dry_run"]:
        click.echo(f"{told['planned']} would be repaired (with --apply).")
    else:
        click.echo(f"{told['repaired']} repaired. What was taken away lies in the quarantine for 14 days.")


_ENDS = ("planned", "repaired", "refused", "gone")
