"""`portal health`: a line for each check, beside a running portal and without one, and when the database is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

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

OPEN_SECONDS: Final = 8.0
FIRST_SECONDS: Final = 90.0


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object, as the API gives it.")
def health(is_json: bool) -> None:
    """Look whether the portal can do its work; exit 1 when something is critical. Nothing is migrated or changed."""
    sys.exit(asyncio.run(_look_and_say(load_settings(), is_json)))


async def _look_and_say(settings: Settings, is_json: bool) -> int:
    """The exit code."""
    here = Here(settings, Store(settings.storage_dir))
    async with contextlib.AsyncExitStack() as stack:
        opening = asyncio.create_task(stack.enter_async_context(database.open_database(settings)))
        done, _ = await asyncio.wait({opening}, timeout=_patience(settings))
        checks = await _look(here, opening)
        code = _say(checks, is_json)
        if not done:
            sys.stdout.flush()
            os._exit(code)  # a thread waits for a server that hangs, and would be waited for
    return code


def _patience(settings: Settings) -> float:
    """Seconds to open the database: a server that is to be made first takes a while."""
    is_made = settings.database_url is not None or (settings.data_dir / "postgres").exists()
    return OPEN_SECONDS if is_made else FIRST_SECONDS


async def _look(here: Here, opening: asyncio.Task[None]) -> Sequence[Check]:
    if not opening.done():
        return await look(here)
    try:
        await opening
    except PortalError as error:  # the look says the same in a line of its own, and all that can be said without
        click.echo(error.message, err=True)
        return await look(here)
    checks = await look(here)
    with contextlib.suppress(Exception), database.patience(SECONDS):  # before the first start there is no table
        return with_since(checks, await memory.recall())
    return checks


def _say(checks: Sequence[Check], is_json: bool) -> int:
    status = worst(check.severity for check in checks)
    if is_json:
        click.echo(as_json({"status": status, "checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            click.echo(_line(check))
    return 1 if status == "critical" else 0


def _line(check: Check) -> str:
    value = shown(check.value, check.unit)
    said = f"{check.severity:<9}{check.title}: {check.detail}{f' ({value})' if value else ''}"
    if check.severity in ("warning", "critical"):
        said += f" Since {moment(check.since)}."
    return said if check.recommendation is None else f"{said} {check.recommendation.words}"
