"""What runs by the clock: once among all processes, once after an outage, whatever the clock does."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.environment import CHECKOUT
from portal.errors import NotFound, Running
from portal.jobs.progress import followed
from portal.jobs.queue import Task
from portal.jobs.schedules import Clock, Schedule, list_schedules, run_now
from portal.parts import Parts
from portal.settings import Settings
from tests.jobs.conftest import RunWorker
from tests.waiting import eventually

OSLO = ZoneInfo("Europe/Oslo")
NIGHTLY = Schedule("tidy", "Tidy up", "0 3 * * *", "tidy", {"dry_run": False})
MINUTELY = Schedule("seal", "Seal", "* * * * *", "seal", is_followed=False)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class SetClock:
    """A clock that says what it is set to."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    async def __call__(self) -> datetime:
        return self.moment


def clocks(time: SetClock, *schedules: Schedule, processes: int = 1) -> list[Clock]:
    return [Clock(schedules or (NIGHTLY,), OSLO, time) for _ in range(processes)]


async def started(kind: str = "tidy") -> int:
    return await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", kind)


async def end_jobs() -> None:
    await database.execute("UPDATE job SET state = 'succeeded', result = '{\"removed\": 3}', finished_at = now()")


def due(cron: str, start: datetime, days: float) -> list[str]:
    schedule, found, moment = Schedule("a", "A", cron, "a"), [], start
    while (moment := schedule.next_after(moment, OSLO) or start) <= start + timedelta(days=days):
        found.append(moment.astimezone(OSLO).strftime("%d %H:%M%z"))
    return found


def test_a_time_that_does_not_exist_runs_once_and_so_does_one_that_exists_twice():
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=OSLO), datetime(2026, 10, 24, 12, tzinfo=OSLO)
    assert due("30 2 * * *", spring, 2) == ["29 03:00+0200", "30 02:30+0200"]
    assert due("30 2 * * *", autumn, 2) == ["25 02:30+0200", "26 02:30+0100"]
    assert due("0 3 * * *", spring, 2) == ["29 03:00+0200", "30 03:00+0200"]
    assert due("0 3 * * *", autumn, 2) == ["25 03:00+0100", "26 03:00+0100"]


def test_what_runs_all_hours_runs_in_the_hour_that_comes_twice_as_well():
    autumn = datetime(2026, 10, 25, 1, 30, tzinfo=OSLO)
    assert due("0 * * * *", autumn, 0.1) == ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]


@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 2,3 * * *", "0 0 1 * *", "59 23 * * 0"])
def test_due_times_of_a_year_only_go_forward_from_wherever_one_asks(cron: str):
    schedule, moment = Schedule("a", "A", cron, "a"), datetime(2026, 1, 1, tzinfo=UTC)
    times: list[datetime] = []
    while moment < datetime(2027, 1, 1, tzinfo=UTC):
        moment = schedule.next_after(moment, OSLO) or moment
        times.append(moment)
    assert all(before < after for before, after in pairwise(times))
    for before, after in list(pairwise(times))[::7]:
        assert schedule.next_after(before + (after - before) / 2, OSLO) == after


def test_schedules_are_said_in_words_with_a_24_hour_clock():
    assert NIGHTLY.words == "At 03:00, every day"
    assert Schedule("a", "A", "30 14 * * 1-5", "a").words == "At 14:30, Monday through Friday"
    assert (MINUTELY.words, Schedule("a", "A", "off", "a").words) == ("Every minute", "Off")
    assert Schedule("a", "A", "0 0 31 2 *", "a").next_after(NOON, OSLO) is None


@pytest.mark.usefixtures("db")
async def test_a_new_schedule_owes_nothing_and_each_due_time_is_started_once_among_processes():
    time = SetClock(NOON)
    processes = clocks(time, processes=5)
    await asyncio.gather(*(each.tick() for each in processes))
    assert await started() == 0
    time.moment += DAY
    await asyncio.gather(*(each.tick() for each in processes))
    assert await started() == 1
    row = await database.fetch_row("SELECT arguments, actor, schedule, request_id FROM job")
    assert row
    assert (json.loads(row["arguments"]), row["actor"], row["schedule"]) == ({"dry_run": False}, "system", "tidy")
    assert len(row["request_id"]) == 16
    await end_jobs()
    time.moment += DAY
    await asyncio.gather(*(each.tick() for each in processes))
    assert await started() == 2


@pytest.mark.usefixtures("db")
async def test_what_was_missed_for_a_week_runs_once_when_the_portal_is_back():
    time = SetClock(NOON)
    await clocks(time)[0].tick()
    time.moment += 7 * DAY
    (back,) = clocks(time)
    for _ in range(3):
        await back.tick()
    assert await started() == 1


@pytest.mark.usefixtures("db")
@pytest.mark.drill("R14")
async def test_a_clock_that_jumps_a_day_ahead_and_back_starts_nothing_twice():
    time = SetClock(NOON)
    (clock,) = clocks(time)
    await clock.tick()
    for moment, runs in (
        (NOON + DAY, 1),
        (NOON, 1),
        (NOON - DAY, 1),
        (NOON + timedelta(hours=16), 1),
        (NOON + 2 * DAY, 2),
    ):
        time.moment = moment
        await clock.tick()
        await clocks(time)[0].tick()  # a process that has just begun
        await end_jobs()
        assert await started() == runs, moment


@pytest.mark.usefixtures("db")
async def test_a_clock_that_was_years_ahead_does_not_stop_the_schedules():
    time = SetClock(NOON)
    (clock,) = clocks(time)
    await clock.tick()
    time.moment = NOON + 4000 * DAY
    await clock.tick()
    await end_jobs()
    for days, runs in ((0, 1), (1, 2), (2, 3)):
        time.moment = NOON + days * DAY
        await clock.tick()
        await end_jobs()
        assert await started() == runs


@pytest.mark.usefixtures("db")
async def test_a_schedule_whose_last_job_still_runs_is_not_started_again_unless_its_place_in_the_queue_was_lost():
    time = SetClock(NOON)
    (clock,) = clocks(time, NIGHTLY, MINUTELY)
    await clock.tick()
    for _ in range(2):
        time.moment += DAY
        await clock.tick()
    assert (await started("tidy"), await started("seal")) == (1, 1)
    await database.execute("DELETE FROM pgqueuer")
    time.moment += DAY
    await clock.tick()
    assert (await started("tidy"), await started("seal")) == (1, 1)
    assert await database.fetch_value("SELECT count(*) FROM job") == 2


@pytest.mark.usefixtures("db")
async def test_new_times_owe_nothing_for_what_was_before_and_off_is_off():
    time = SetClock(NOON)
    await clocks(time)[0].tick()
    time.moment += DAY / 2  # 02:00 in Oslo
    for cron in ("0 1 * * *", "off"):
        (clock,) = clocks(time, Schedule("tidy", "Tidy up", cron, "tidy"))
        await clock.tick()
        assert await started() == 0
    time.moment += 3 * DAY
    await clock.tick()
    assert await started() == 0


@pytest.mark.usefixtures("db")
async def test_it_comes_again_when_the_next_one_is_due():
    time = SetClock(NOON + timedelta(seconds=57))
    (clock,) = clocks(time, MINUTELY)
    assert await clock.tick() == 3
    time.moment = NOON + timedelta(seconds=5)
    assert await clock.tick() == 15


_KILLED_BETWEEN = """
import asyncio, os, signal, sys
from datetime import datetime, timedelta
import asyncpg
from portal import database
from portal.jobs import schedules

async def main():
    database.DB.config = {"dsn": sys.argv[1]}
    database.DB.pool = await asyncpg.create_pool(**database.DB.config, min_size=1, max_size=2)
    async def now():
        return datetime.fromisoformat(sys.argv[2])
    async def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    schedules._enqueue = die
    nightly = schedules.Schedule("tidy", "Tidy up", "0 3 * * *", "tidy")
    await schedules.Clock([nightly], schedules.ZoneInfo("Europe/Oslo"), now).tick()

asyncio.run(main())
"""


@pytest.mark.usefixtures("db")
async def test_a_process_killed_while_it_starts_a_schedule_leaves_it_to_the_next(dsn: str):
    time = SetClock(NOON)
    await clocks(time)[0].tick()
    time.moment += DAY
    command = [sys.executable, "-c", _KILLED_BETWEEN, dsn, time.moment.isoformat()]
    killed = await asyncio.to_thread(subprocess.run, command, cwd=CHECKOUT, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert await started() == 0
    await clocks(time)[0].tick()
    assert await started() == 1


async def test_a_worker_runs_what_its_clock_starts_and_the_page_tells_how_it_went(run_worker: RunWorker):
    time, sealed = SetClock(datetime.now(UTC)), list[dict[str, object]]()

    async def tidy(arguments: dict[str, object], actor: object, report: object) -> dict[str, object]:
        return {"asked": arguments}

    async def seal(payload: dict[str, object]) -> None:
        sealed.append(payload)

    (clock,) = clocks(time, NIGHTLY, MINUTELY)
    await clock.tick()
    before = await list_schedules(clock.schedules, OSLO)
    assert [(each.last_at, each.state) for each in before] == [(None, None), (None, None)]
    assert all(each.next_at and each.next_at.tzinfo is OSLO for each in before)
    time.moment += DAY
    tasks = {"tidy": followed(tidy), "seal": Task(seal)}  # type: ignore[arg-type] - a plain one
    async with run_worker(tasks, clock=clock):
        await eventually(lambda: database.fetch_value("SELECT count(*) = 1 FROM job WHERE state = 'succeeded'"))
        await eventually(lambda: len(sealed) == 1)
    nightly, minutely = await list_schedules(clock.schedules, OSLO)
    assert (nightly.state, nightly.result, nightly.is_running) == ("succeeded", {"asked": {"dry_run": False}}, False)
    assert nightly.last_at
    assert (minutely.last_at, minutely.state) == (time.moment, None)
    assert sealed == [{}]


@pytest.mark.usefixtures("db")
async def test_run_now_starts_it_out_of_turn_and_not_twice_at_a_time():
    first = await run_now("tidy", [NIGHTLY], actor=SYSTEM)
    with pytest.raises(Running, match="running already"):
        await run_now("tidy", [NIGHTLY], actor=SYSTEM)
    (view,) = await list_schedules([NIGHTLY], OSLO)
    assert (view.job, view.is_running) == (str(first), True)
    with pytest.raises(NotFound):
        await run_now("nothing", [NIGHTLY], actor=SYSTEM)


@pytest.mark.usefixtures("db")
async def test_housekeeping_that_failed_is_forgotten_when_it_is_started_again():
    time = SetClock(NOON)
    (clock,) = clocks(time, MINUTELY)
    await clock.tick()
    for _ in range(2):
        time.moment += DAY
        await clock.tick()
        assert [row["status"] for row in await database.fetch("SELECT status::text FROM pgqueuer")] == ["queued"]
        await database.execute("UPDATE pgqueuer SET status = 'failed'")


def test_the_portals_own_schedules_follow_its_settings_and_what_runs_often_is_followed_by_nobody(config: Settings):
    schedules = {each.name: each for each in Parts.of(config.replace(scrub_cron="off")).schedules()}
    assert {"cleanup", "scrub", "seal", "keep_counts", "note_day", "prune_queue"} <= set(schedules)
    assert (schedules["cleanup"].cron, schedules["cleanup"].arguments["dry_run"]) == ("0 3 * * *", False)
    assert schedules["scrub"].words == "Off"
    for each in schedules.values():
        often = each.next_after(NOON, OSLO) is not None and len(due(each.cron, NOON, 1)) > 4
        assert not (often and each.is_followed), each


@pytest.mark.usefixtures("db")
async def test_what_the_queue_remembers_for_ever_is_forgotten_after_two_weeks(config: Settings):
    await database.execute(
        """INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)
           SELECT now() - make_interval(days => days), 1, 'successful', 0, 'seal' FROM unnest(ARRAY[1, 13, 15, 40]) AS days"""
    )
    await Parts.of(config).tasks()["prune_queue"].run({})
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer_log") == 2
