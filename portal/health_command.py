"""`portal health`: a line for each check, beside a running portal and without one, and when the database is away."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from portal import database
from portal.command import as_json, load_settings
from portal.errors import PortalError
from portal.maintenance.health import memory
from portal.maintenance.health.check import Check, Here, worst
from portal.maintenance.health.looking import SECONDS, look
from portal.maintenance.health.memory import with_since
from portal.maintenance.health.words import moment, shown
from portal.settings import Settings
from portal.storage.store import Store


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object, as the API gives it.")
def health(is_json: bool) -> None:
    """Look whether the portal can do its work; exit 1 when something is critical. Nothing is migrated or changed."""
    checks = asyncio.run(_look(load_settings()))
    status = worst(check.severity for check in checks)
    if is_json:
        click.echo(as_json({"status": status, "checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            click.echo(_line(check))
    sys.exit(1 if status == "critical" else 0)


async def _look(settings: Settings) -> Sequence[Check]:
    here = Here(settings, Store(settings.storage_dir))
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(database.open_database(settings))
        except PortalError as error:  # the look says the same in a line of its own, and all that can be said without
            click.echo(error.message, err=True)
            return await look(here)
        checks = await look(here)
        with contextlib.suppress(Exception), database.patience(SECONDS):  # before the first start there is no table
            return with_since(checks, await memory.recall())
        return checks


def _line(check: Check) -> str:
    value = shown(check.value, check.unit)
    said = f"{check.severity:<9}{check.title}: {check.detail}{f' ({value})' if value else ''}"
    if check.severity in ("warning", "critical"):
        said += f" Since {moment(check.since)}."
    return said if check.recommendation is None else f"{said} {check.recommendation.words}"
