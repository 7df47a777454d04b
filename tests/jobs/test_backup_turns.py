"""Backups where processes are killed, and where several work on them at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.create import create_backup
from portal.backups.destination import Folder
from portal.backups.kinds import BACKUP, BACKUP_PRUNE
from portal.backups.listing import list_backups
from portal.backups.retention import PruneReport, prune_backups
from portal.backups.tasks import backup_tasks
from portal.backups.verify import verify_backup
from portal.environment import CHECKOUT
from portal.errors import Running
from portal.jobs.progress import start_job
from portal.settings import Keep, Settings
from tests.backing_up import TYPE, files_of, forge, opened, some_bytes
from tests.drilling import Rounds
from tests.factories import Studio, make_entity
from tests.jobs.conftest import RunWorker
from tests.jobs.killed_prune import KEEP
from tests.waiting import eventually

Begin = Callable[..., Awaitable[asyncio.subprocess.Process]]


async def pruned(place: Folder, config: Settings, keep: Keep = KEEP) -> PruneReport:
    return await prune_backups(destination=place, keep=keep, zone=config.timezone, actor=SYSTEM, dry_run=False)


@pytest.mark.drill("R11")
@pytest.mark.usefixtures("db")
async def test_killed_anywhere_in_a_pruning_what_remains_is_whole_and_the_next_one_ends_it(
    config: Settings, dsn: str, tmp_path: Path, rounds: Rounds
) -> None:
    now = datetime.now(UTC)
    template = (await opened(tmp_path / "template")).store.root
    for day in (5, 4, 3):
        forge(template, some_bytes(day) + some_bytes(0), at=now - timedelta(days=day))
    kept = [forge(template, some_bytes(day) + some_bytes(0), at=now - timedelta(days=day)).id for day in (2, 1)]
    seeds = [str(seed) for seed in range(rounds(12, 300, "kills"))]
    (tmp_path / "copies").mkdir()
    command = [sys.executable, "-m", "tests.jobs.killed_prune", dsn, str(template), str(tmp_path / "copies"), *seeds]
    driver = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(driver.communicate(), 30 + 5 * len(seeds))
    ended = dict(line.split() for line in said.decode().splitlines())
    assert set(ended) == set(seeds)
    assert {str(-signal.SIGKILL)} <= set(ended.values()) <= {"0", str(-signal.SIGKILL)}
    await pruned(Folder(template), config)
    whole = {key: data for key, data in files_of(template).items() if "/objects/" in key}
    for seed in seeds:
        place = Folder(tmp_path / "copies" / seed)
        for view in await list_backups(place):
            assert view.state in ("complete", "unfinished")
            if view.complete:
                found = await verify_backup(destination=place, backup_id=view.id)
                assert found.is_sound, (seed, found.wrong)
        forget_age(place)
        await pruned(place, config)
        assert sorted(view.id for view in await list_backups(place)) == sorted(kept), seed
        assert {key: data for key, data in files_of(place.store.root).items() if "/objects/" in key} == whole


def forget_age(place: Folder) -> None:
    """What a kill leaves of a folder has no root; it is another portal's work, for all we know, for a day."""
    for each in place.store.root.glob("backups/*/**/*"):
        if each.is_file() and each.name != "backup.jsonl":
            os.utime(each, (1, 1))


@pytest.fixture
async def begin(config: Settings, dsn: str) -> Any:
    """A process that waits for its line on stdin, then works on backups until it is killed."""
    processes: list[asyncio.subprocess.Process] = []

    async def start(verb: str, backup_id: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "tests.jobs.working_on_backups", dsn, str(config.data_dir), verb, backup_id]
        pipe = asyncio.subprocess.PIPE
        processes.append(await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdin=pipe, stdout=pipe))
        return processes[-1]

    yield start
    for each in processes:
        if each.returncode is None:
            each.kill()
        await each.wait()


async def at_it(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"go\n")
    assert (await asyncio.wait_for(process.stdout.readline(), 60)) == b"at it\n"


async def end(process: asyncio.subprocess.Process) -> None:
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.drill("R13")
async def test_who_removes_backups_and_who_works_on_them_refuse_each_other_until_one_is_killed(
    studio: Studio, config: Settings, begin: Begin
) -> None:
    await studio.add(await make_entity())
    about: dict[str, Any] = {"settings": config, "store": studio.store, "actor": SYSTEM}
    root = await create_backup(**about)
    place = Folder(config.backup_dir)
    verifying, creating, pruning = [await begin(verb, root.id) for verb in ("verify", "create", "prune")]
    await at_it(verifying)
    with pytest.raises(Running, match="Work on backups is running since"):
        await pruned(place, config)
    await at_it(creating)  # beside a verification
    for refused in (create_backup(**about), pruned(place, config)):
        with pytest.raises(Running, match="A backup is running since"):
            await refused
    await end(creating)
    await end(verifying)
    await eventually(lambda: is_free(place, config))
    await at_it(pruning)
    for refused in (create_backup(**about), verify_backup(destination=place, backup_id=root.id), pruned(place, config)):
        with pytest.raises(Running, match="A pruning of backups is running since"):
            await refused
    await end(pruning)
    await eventually(lambda: is_free(place, config))
    assert (await create_backup(**about)).copied_objects == 0
    assert (await verify_backup(destination=place, backup_id=root.id)).is_sound


async def is_free(place: Folder, config: Settings) -> bool:
    """The server hears of a kill a moment later."""
    try:
        await pruned(place, config, Keep(last=9))
    except Running:
        return False
    return True


async def test_a_backup_by_schedule_is_followed_by_a_pruning(
    studio: Studio, config: Settings, run_worker: RunWorker
) -> None:
    await studio.add(await make_entity())
    place = await opened(config.backup_dir)
    old = forge(place.store.root, {TYPE: some_bytes(1)}, at=datetime.now(UTC) - timedelta(days=800))
    tasks = backup_tasks(config, studio.store, studio.pool)
    async with run_worker(tasks):
        await start_job(BACKUP, {"reason": "schedule"}, actor=SYSTEM)
        await eventually(lambda: has_ended(BACKUP_PRUNE))
    row = await database.fetch_row("SELECT state, result ->> 'kept' AS kept FROM job WHERE kind = $1", BACKUP_PRUNE)
    assert row is not None
    assert (row["state"], row["kept"]) == ("succeeded", "2")  # the old one is the newest of its own types
    states = {view.id: view.reason for view in await list_backups(place)}
    assert sorted(states.values()) == ["schedule", "schedule"]
    assert old.id in states


async def has_ended(kind: str) -> bool:
    return bool(
        await database.fetch_value("SELECT count(*) FROM job WHERE kind = $1 AND finished_at IS NOT NULL", kind)
    )
