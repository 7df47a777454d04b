"""Alerts to a real receiver: once for each change among processes, when it is slow, refuses, is away or comes back, through
kills, and while the database itself is away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from portal import database
from portal.environment import CHECKOUT
from portal.maintenance.health import books, letters
from portal.maintenance.health.memory import change_book, read_book, recall
from portal.maintenance.health.verdict import Health
from portal.settings import Settings
from tests.factories import Studio
from tests.receiving import Receiver, receiving
from tests.waiting import PATIENCE, eventually

EVERY = 0.3  # seconds between looks


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def told(studio: Studio, config: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A portal with somebody to tell, who is asked again soon."""
    monkeypatch.setattr(books, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(books, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(letters, "PATIENCE", PATIENCE)  # else a busy machine hears one late, and it is told again
    return config.replace(alert_webhook=receiver.url)


@asynccontextmanager
async def watched(config: Settings, studio: Studio, processes: int = 2) -> AsyncIterator[list[Health]]:
    """As many processes as said, all of one portal."""
    found = [Health(config, studio.store, every=EVERY, first_after=0) for _ in range(processes)]
    running = [asyncio.create_task(each.run()) for each in found]
    try:
        yield found
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def break_it(config: Settings) -> None:
    (config.data_dir / "secret.key").chmod(0o644)


def mend_it(config: Settings) -> None:
    (config.data_dir / "secret.key").chmod(0o600)


async def looks(count: int) -> None:
    """So many more, by whoever."""
    for _ in range(count):
        before = await recall()

        async def another(before: object = before) -> bool:
            return await recall() != before

        await eventually(another)


async def test_two_processes_tell_each_change_once(told: Settings, studio: Studio, receiver: Receiver):
    async with watched(told, studio):
        await looks(2)
        break_it(told)
        await eventually(lambda: receiver.told() == [("secrets", "critical")])
        await looks(3)
        mend_it(told)
        await eventually(lambda: receiver.told() == [("secrets", "critical"), ("secrets", "ok")])
        await looks(3)
    assert len(receiver.asked) == 2
    first = receiver.taken[0]
    assert first["title"] == "Secrets"
    assert first["url"] == f"{told.base_url}/maintenance/health"
    assert first["text"].startswith("Secrets is critical. Others on this machine can read secret.key.")
    assert first["url"] in first["text"]
    assert first["recommendation"] in first["text"]
    assert receiver.heads[0]["idempotency-key"] == first["id"] != receiver.taken[1]["id"]
    assert receiver.heads[0]["content-type"] == "application/json"
    assert (await read_book())["last"]["status"] == "ok"


async def test_one_process_looks_for_all_and_all_know_since_when(told: Settings, studio: Studio):
    break_it(told)
    async with watched(told, studio, 3) as processes:

        def since() -> set[object]:
            return {each.alarms[0].since if each.alarms else None for each in processes}

        await eventually(lambda: len(since()) == 1 and None not in since())
        before = since()
        await looks(2)
        assert since() == before
        mend_it(told)
        await eventually(lambda: not any(each.alarms for each in processes))


async def test_a_receiver_that_refuses_is_slow_away_and_back_is_told_in_the_end_once(
    told: Settings, studio: Studio, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(letters, "PATIENCE", 0.3)
    receiver.status = 500
    break_it(told)
    async with watched(told, studio) as processes:
        await eventually(lambda: len(receiver.asked) >= 2)
        alerts = await processes[0].alerts.correspondence()
        assert alerts is not None
        assert (alerts.waiting, alerts.trouble, alerts.last_at) == (1, "it answered 500", None)
        receiver.status = 307
        asked = len(receiver.asked)
        await eventually(lambda: len(receiver.asked) > asked + 1)
        receiver.stop()
        await eventually(lambda: _trouble("no connection"))
        receiver.status = 200
        receiver.gate.clear()
        receiver.start()
        await eventually(lambda: _trouble("no answer within 0.3 seconds"))
        assert await processes[1].verdict()  # nothing waits for the receiver
        receiver.stop()
        receiver.gate.set()
        monkeypatch.setattr(letters, "PATIENCE", PATIENCE)
        receiver.start()
        await eventually(lambda: receiver.told())
        await looks(2)
    assert receiver.told() == [("secrets", "critical")]
    assert len({each["id"] for each in receiver.asked}) == 1
    assert set(receiver.paths) == {"/services/T0/secret"}


async def _trouble(words: str) -> bool:
    return any(letter["trouble"] == words for letter in (await read_book()).get("letters", []))


async def test_without_an_address_nothing_is_noted(config: Settings, studio: Studio):
    break_it(config)
    async with watched(config, studio) as processes:
        await eventually(lambda: all(each.alarms for each in processes))
        assert await read_book() == {}
        assert await processes[0].alerts.correspondence() is None
    assert not (config.data_dir / "alerts.json").exists()


async def test_what_befalls_the_database_is_told_while_it_is_away(told: Settings, studio: Studio, receiver: Receiver):
    async with watched(told, studio):
        await looks(1)
        pool, database.DB.pool = database.DB.pool, None
        try:
            await eventually(lambda: receiver.told() == [("database", "critical")])
        finally:
            database.DB.pool = pool
        await eventually(lambda: receiver.told() == [("database", "critical"), ("database", "ok")])
        await looks(3)
    assert len(receiver.asked) == 2
    assert (told.data_dir / "alerts.json").stat().st_mode & 0o777 == 0o600


async def test_what_was_critical_before_a_kill_is_told_by_who_comes_after(
    told: Settings, receiver: Receiver, database_arguments: dict[str, object]
):
    """Killed in the middle of telling: the next process tells, and the receiver knows by the id that it is the same."""
    break_it(told)
    receiver.gate.clear()
    environ = {
        "PORTAL_DATA_DIR": str(told.data_dir),
        "PORTAL_DATABASE_URL": _url(database_arguments),
        "PORTAL_ALERT_WEBHOOK": receiver.url,
        "PORTAL_SECRET_KEYS": "x" * 40,
    }
    first = start_watching(environ)
    try:
        await eventually(lambda: len(receiver.asked) == 1)
    finally:
        first.kill()
        first.wait()
    receiver.gate.set()
    second = start_watching(environ)
    try:
        await eventually(_is_told)
        await looks(1)
    finally:
        second.kill()
        second.wait()
    assert len(receiver.asked) == 2
    assert receiver.asked[0]["id"] == receiver.asked[1]["id"]


def start_watching(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.domain.watching", json.dumps([environ, EVERY, PATIENCE])]
    return subprocess.Popen(command, cwd=CHECKOUT)


async def _is_told() -> bool:
    return bool((await read_book()).get("last"))


def _url(arguments: dict[str, object]) -> str:
    if "dsn" in arguments:
        return str(arguments["dsn"])
    return f"postgresql://{arguments['user']}@/{arguments['database']}?host={quote(str(arguments['host']), safe='')}"


async def test_a_test_goes_out_at_once_and_a_refusal_is_said(told: Settings, studio: Studio, receiver: Receiver):
    alerts = Health(told, studio.store).alerts
    await alerts.send_test()
    assert receiver.told() == [("test", "test")]
    receiver.status = 404
    with pytest.raises(letters.NotTold, match="it answered 404"):
        await alerts.send_test()
    assert await read_book() == {}


async def test_letters_are_changed_by_one_process_at_a_time(told: Settings, studio: Studio):
    async def count() -> None:
        await change_book(lambda book: {**book, "number": book.get("number", 0) + 1})

    await asyncio.gather(*(count() for _ in range(20)))
    assert (await read_book())["number"] == 20


async def test_a_book_that_was_cut_off_is_begun_anew(tmp_path: Path):
    (tmp_path / "alerts.json").write_text('{"letters": [')
    book = letters.FileBook(tmp_path)
    assert await book.read() == {}
    await asyncio.gather(*(book.change(lambda kept: {"number": kept.get("number", 0) + 1}) for _ in range(20)))
    assert await book.read() == {"number": 20}
    async with book.turn() as is_ours, book.turn() as is_others:
        assert (is_ours, is_others) == (True, False)
