"""What every sub-command begins with: the settings, the parts opened, and an error as one line on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import click

from portal import logs
from portal import settings as portal_settings
from portal.environment import SettingError
from portal.errors import FormError, PortalError
from portal.jobs.progress import Report, no_report
from portal.parts import Parts
from portal.settings import Settings

T = TypeVar("T")


def load_settings() -> Settings:
    try:
        settings = portal_settings.load()
    except SettingError as error:
        raise click.ClickException(str(error)) from error
    logs.configure(settings)
    return settings


def with_parts(
    work: Callable[[Parts], Coroutine[Any, Any, T]], *, with_children: bool = False, even_unmounted: bool = False
) -> T:
    """Run `work` with the parts open; what a person should read becomes one line on stderr and exit code 1."""
    settings = load_settings()

    async def run() -> T:
        async with Parts.of(settings).opened(with_children=with_children, even_unmounted=even_unmounted) as parts:
            return await work(parts)

    try:
        return asyncio.run(run())
    except FormError as error:
        raise click.ClickException("\n".join(f"{name}: {text}" for name, text in error.errors.items())) from error
    except PortalError as error:
        raise click.ClickException(error.message) from error


def as_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


@contextlib.contextmanager
def progress_bar(unit: str) -> Generator[Report]:
    """How far a verb is, with rate and time left, on stderr; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield no_report
        return
    from rich.console import Console  # a tenth of a second that no other command needs
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=None)

        async def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield report
