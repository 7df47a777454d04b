"""Texts from a file that somebody has looked through: laid over the pictures by a job, for however many there are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portal.audit.actors import Actor
from portal.errors import NotFound
from portal.gallery.texts import TextReport, import_texts
from portal.jobs.progress import JobReport, followed
from portal.jobs.queue import Task

TEXTS: Final = "texts"
KEPT_SECONDS: Final = 50 * 60  # less than any clean-up leaves what is new
MOST_KEPT: Final = 5  # files of one person: each may be as large as an upload
_GONE: Final = "This file is not kept any more. Choose it again."
_NAME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class TextFiles:
    """Files that were looked through and wait to be applied, where every worker reaches them. Blocking.

    They lie with uploads in flight: what a killed process leaves there, a clean-up removes.
    """

    def __init__(self, temp_dir: Path) -> None:
        self._folder = temp_dir

    def keep(self, path: Path, who: str = "") -> str:
        """Of a file in the same folder; the name by which it is found again. Of many by one person (`who`) the oldest go."""
        owner = hashlib.sha256(who.encode()).hexdigest()[:8]
        name = owner + secrets.token_hex(12)
        os.link(path, self._path(name))
        for each in self._waiting(owner)[:-MOST_KEPT]:
            each.unlink(missing_ok=True)
        return name

    def _waiting(self, owner: str) -> list[Path]:
        """In the order in which they came."""
        found: list[tuple[int, str]] = []
        for each in self._folder.glob(f"{owner}{'?' * 24}.csv"):
            with contextlib.suppress(FileNotFoundError):  # taken meanwhile
                found.append((each.stat().st_mtime_ns, each.name))
        return [self._folder / name for _, name in sorted(found)]

    def take(self, name: str) -> None:
        """To apply it: this once. Raises NotFound."""
        try:
            self._path(name).rename(self._path(name, taken=True))
        except FileNotFoundError as error:
            raise NotFound(_GONE) from error

    def taken(self, name: str) -> Path:
        """Raises NotFound."""
        path = self._path(name, taken=True)
        if not path.is_file():
            raise NotFound(_GONE)
        return path

    def drop(self, name: str) -> None:
        """One that was not taken."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str, *, taken: bool = False) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFound(_GONE)
        return self._folder / f"{name}{'.taken' if taken else ''}.csv"


def text_tasks(temp_dir: Path) -> Mapping[str, Task]:
    files = TextFiles(temp_dir)

    async def run(arguments: dict[str, Any], actor: Actor, job: JobReport) -> dict[str, Any]:
        """Killed at any moment it goes on; one that has come to its end needs no file any more."""
        told = TextReport.of(await job.kept())
        if not told.is_over:
            path = await asyncio.to_thread(files.taken, arguments["file"])
            with await asyncio.to_thread(path.open, "rb") as file:
                told = await import_texts(file, actor=actor, job=job, total=arguments.get("lines"))
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return told.told()

    return {TEXTS: followed(run, unit="lines")}
