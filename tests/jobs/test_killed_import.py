"""An import that is killed: run again it goes on, and what it left without a row is found by one clean-up."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
from datetime import timedelta
from pathlib import Path

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.folders import import_folder
from portal.environment import CHECKOUT
from portal.integrity.fsck import fsck
from portal.maintenance.cleanup import clean_up
from portal.settings import Settings
from tests import samples
from tests.factories import Studio


async def test_a_killed_import_goes_on_where_it_was(studio: Studio, config: Settings, dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    lines = ["path,entity_type,entity_id,is_primary,edits"]
    for number in range(5):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "a.jpg").write_bytes(samples.distinct(number))
        lines.append(f'{number}/a.jpg,customers,7,{"yes" if number == 3 else ""},"{{""rotate"": 90}}"')
    (folder / "pictures.csv").write_text("\n".join(lines))
    command = [sys.executable, "-m", "tests.jobs.killed_import", dsn, str(config.data_dir), str(folder)]
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert await database.fetch_value("SELECT count(*) FROM image") == 2
    parts = {"settings": config, "store": studio.store, "pool": studio.pool}
    told = await import_folder(folder=folder, dry_run=False, actor=SYSTEM, **parts)
    assert (told.added, told.there, told.refused) == (3, 2, 0)
    rows = await database.fetch("SELECT sha256, is_primary, edits FROM image ORDER BY sort_order")
    hashes = [hashlib.sha256(samples.distinct(number)).hexdigest() for number in range(5)]
    assert [tuple(row) for row in rows] == [(hashes[n], n == 3, '{"rotate": 90}') for n in range(5)]
    await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
    assert [each.kind async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta())] == []
