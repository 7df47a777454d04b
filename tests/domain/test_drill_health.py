"""What health says of drills: proven, long ago, failed since, without room; and the job that leaves it so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.destination import Folder
from portal.backups.drill_mark import mark_failed, mark_good
from portal.backups.kinds import DRILL
from portal.backups.tasks import drill_tasks
from portal.jobs.progress import JobView, get_job, start_job
from portal.maintenance.health.check import Found, Here
from portal.maintenance.health.keeping_checks import check_drill
from portal.maintenance.job_words import result_in_words
from portal.settings import Settings
from tests.factories import Studio
from tests.restoring import ADMIN, Bench, furnish

ID = "2026-11-23T055012Z-4f2a1b"


@pytest.fixture
def here(studio: Studio, config: Settings) -> Here:
    return Here(config, studio.store)


async def seen(here: Here) -> Found:
    found = await check_drill(here)
    assert found is not None
    return found


async def test_a_good_drill_is_said_with_what_it_proved(here: Here):
    assert (await seen(here)).severity == "unknown"
    await mark_good(ID, pictures=4218, size=10**9, seconds=63.2)
    found = await seen(here)
    assert found.severity == "ok"
    assert found.detail.endswith("Restored into scratch: 4,218 pictures, 0 differences.")


async def test_a_failed_drill_is_critical_with_its_words_until_one_is_good_again(here: Here):
    await mark_good(ID, pictures=3, size=10, seconds=1)
    await mark_failed(ID, "inventory_items/objects/aa/aab is damaged.")
    found = await seen(here)
    assert found.severity == "critical"
    assert "inventory_items/objects/aa/aab is damaged." in found.detail
    assert found.remedy is not None
    assert (found.remedy.route, found.remedy.method, found.remedy.role) == ("backups:drill", "post", "admin")
    await mark_good(ID, pictures=3, size=10, seconds=1)
    assert (await seen(here)).severity == "ok"


async def test_a_drill_for_which_there_was_no_room_is_a_warning(here: Here):
    await mark_failed(ID, "There is no room for a drill.", was_tried=False)
    found = await seen(here)
    assert (found.severity, found.detail) == ("warning", "There is no room for a drill.")


async def test_an_old_mark_is_a_warning(here: Here):
    await mark_good(ID, pictures=3, size=10, seconds=1)
    old = (datetime.now(UTC) - timedelta(days=36)).isoformat()
    await database.execute("UPDATE portal_state SET value = value::jsonb || $1::jsonb", json.dumps({"good_at": old}))
    found = await seen(here)
    assert found.severity == "warning"
    assert found.remedy is not None
    assert found.remedy.button == "Run a drill"


async def run_job(bench: Bench, actor: Any, **arguments: Any) -> JobView:
    """As a worker does."""
    job = await start_job(DRILL, arguments, actor=actor)
    await drill_tasks(bench.config, bench.studio.pool)[DRILL].run({"job": str(job)})
    return await get_job(job)


async def test_its_job_ends_with_what_was_proven_and_turns_red_by_name_when_something_is_damaged(
    here: Here, studio: Studio, config: Settings
):
    bench = Bench(studio, config, Folder(config.backup_dir))
    await bench.destination.open_root()
    by_schedule = await run_job(bench, SYSTEM)
    assert (by_schedule.state, by_schedule.result) == ("succeeded", {"pictures": 0})
    asked = await run_job(bench, ADMIN)
    assert asked.error is not None
    assert (
        asked.error["message"] == "There is no complete backup of all types yet. One of some types is meant by its id."
    )
    await furnish(studio)
    root = await bench.back_up()
    done = await run_job(bench, ADMIN)
    assert done.state == "succeeded"
    assert result_in_words(DRILL, done.result) == "6 pictures proven"
    assert done.progress == done.progress | {"done": 6, "total": 6, "unit": "pictures"}
    victim = next(config.backup_dir.glob("customers/objects/*/*"))
    victim.write_bytes(b"something else")
    failed = await run_job(bench, ADMIN, backup_id=root.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert victim.name in failed.error["message"]
    assert (await seen(here)).severity == "critical"
