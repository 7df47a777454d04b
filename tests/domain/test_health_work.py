"""Checks of the queue, its workers, of what was found and kept, and of settings, by what stands in rows and files."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from portal import database
from portal.backups.marks import Mark, forget_marks, keep_mark
from portal.integrity.findings import Finding, record_finding
from portal.jobs.presence import Sign
from portal.jobs.queue import BULK, USUAL, enqueue
from portal.maintenance.health.check import Check, Here
from portal.maintenance.health.looking import look
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.waiting import eventually

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBbDCCAROgAwIBAgIUKlxRpCxLzgqrWUMohjE0/bParZcwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBdDAeFw0yNjExMjMwMzAxNDlaFw0yNzExMjMwMzAxNDlaMAwx
CjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASS9ekE8mo81TGo
QlNG5gWLw8cgS9DQ3pAFdiUEYNWFA8oQAdxnEw8e98472BUMpOYAqwWwSnAKIIHs
4i9pPhpbo1MwUTAdBgNVHQ4EFgQUE1nLtBrCkxu3maRM9/ebJ6AS1IcwHwYDVR0j
BBgwFoAUE1nLtBrCkxu3maRM9/ebJ6AS1IcwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNHADBEAiBSCfJWTA7iFDe+D0zcjEzr+3GJviaTyydVCs1PfhDeNQIg
GMUba8zPq+gyaqfbF5ifIzwRiXQVfL2YB3OHg9AykP0=
-----END CERTIFICATE-----
"""
RUNS_OUT = datetime(2027, 11, 23, 3, 1, 49, tzinfo=UTC)


@pytest.fixture
def here(studio: Studio, config: Settings) -> Here:
    return Here(config, studio.store)


async def check(here: Here, name: str) -> Check:
    return next(each for each in await look(here) if each.name == name)


async def severity(here: Here, name: str) -> str:
    return (await check(here, name)).severity


# -- queue and workers -------------------------------------------------------------------------------------------------


async def waiting(minutes: float, priority: int = USUAL) -> None:
    """One job of a kind of its own that waits for so long."""
    await database.execute("DELETE FROM pgqueuer")
    async with database.transaction():
        await enqueue("render", {"image": str(uuid4())}, priority=priority)
    await database.execute(
        "UPDATE pgqueuer SET created = now() - $1::interval, execute_after = now() - $1::interval",
        timedelta(minutes=minutes),
    )


async def log(status: str, number: int = 1) -> None:
    await database.execute(
        """INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint)
           SELECT 1, $1::pgqueuer_status, 0, 'render' FROM generate_series(1, $2)""",
        status,
        number,
    )


async def test_a_queue_that_stands_still_is_critical_one_that_moves_is_only_long(here: Here):
    await waiting(5)
    assert await severity(here, "queue") == "ok"
    await waiting(11)
    assert await severity(here, "queue") == "warning"
    await waiting(61)
    stuck = await check(here, "queue")
    assert stuck.severity == "critical"
    assert stuck.recommendation is not None
    assert stuck.recommendation.route == "maintenance:jobs"
    await log("successful")
    assert await severity(here, "queue") == "warning"


async def test_an_import_may_wait_much_longer(here: Here):
    await waiting(61, BULK)
    assert await severity(here, "queue") == "ok"
    await waiting(361, BULK)
    assert await severity(here, "queue") == "warning"
    await waiting(1441, BULK)
    assert await severity(here, "queue") == "critical"


@pytest.mark.parametrize(("kind", "said"), [("render", "Paused: Renditions."), ("all", "All jobs are paused.")])
async def test_what_is_paused_is_not_stuck(here: Here, kind: str, said: str):
    await waiting(600)
    await database.execute("INSERT INTO job_pause (kind, paused_by) VALUES ($1, 'user:ana')", kind)
    queue = await check(here, "queue")
    assert queue.severity == "ok"
    assert said in queue.detail


async def test_what_is_to_be_tried_again_later_does_not_wait_for_a_worker(here: Here):
    await waiting(600)
    await database.execute("UPDATE pgqueuer SET execute_after = now() + interval '1 minute'")
    assert await severity(here, "queue") == "ok"


async def test_failures_count_by_their_share_and_not_before_there_are_five(here: Here):
    await log("successful", 200)
    for number, expected in ((4, "ok"), (5, "warning"), (100, "critical")):
        await database.execute("DELETE FROM pgqueuer")
        await database.execute(
            """INSERT INTO pgqueuer (priority, status, entrypoint)
               SELECT 0, 'failed', 'render' FROM generate_series(1, $1)""",
            number,
        )
        assert await severity(here, "failed_jobs") == expected
    await database.execute("UPDATE pgqueuer SET updated = now() - interval '25 hours'")
    assert await severity(here, "failed_jobs") == "ok"


async def test_what_failed_and_was_tried_again_is_no_failure_any_more(here: Here):
    await database.execute(
        """INSERT INTO job (id, kind, state, error, finished_at)
           SELECT gen_random_uuid(), 'cleanup', 'failed', '{"code": "running"}', now() FROM generate_series(1, 6)"""
    )
    assert await severity(here, "failed_jobs") == "critical"
    await database.execute(
        """INSERT INTO job (id, kind, state, retry_of, finished_at)
           SELECT gen_random_uuid(), kind, 'succeeded', id, now() FROM job"""
    )
    assert (await check(here, "failed_jobs")).value == 0


async def test_a_killed_worker_is_missed_one_that_ended_in_order_is_said_to_have(here: Here):
    killed = Sign(lambda: "running")
    killed.start()
    await eventually(lambda: _is(here, "workers", "ok"))
    assert killed._telling is not None
    killed._telling.cancel()  # without a last word
    await asyncio.wait({killed._telling})
    await database.execute("UPDATE worker_seen SET seen_at = now() - interval '45 seconds'")
    assert await severity(here, "workers") == "ok"  # it may be about to come back
    await database.execute("UPDATE worker_seen SET seen_at = now() - interval '61 seconds'")
    assert await severity(here, "workers") == "critical"
    ended = Sign(lambda: "stopped")
    ended.start()
    await eventually(lambda: _is(here, "workers", "warning"))
    await ended.stop()
    assert "in order" in (await check(here, "workers")).detail


async def _is(here: Here, name: str, expected: str) -> bool:
    return await severity(here, name) == expected


# -- what was found, and what is kept ----------------------------------------------------------------------------------


async def test_open_findings_warn_and_lost_bytes_are_critical(here: Here):
    await record_finding(Finding("orphaned_object", "a/b.jpg", None, "no row owns these bytes"))
    assert await severity(here, "findings") == "warning"
    await record_finding(Finding("missing_object", "a/c.jpg", str(uuid4()), "the original is not in the store"))
    found = await check(here, "findings")
    assert (found.severity, found.value) == ("critical", 2)
    assert found.detail == "2 findings open; one loses bytes unless healed."
    await database.execute("UPDATE finding SET state = 'repaired'")
    assert await severity(here, "findings") == "ok"


@pytest.mark.parametrize(
    ("name", "hours", "expected"),
    [
        ("backup", 8, "ok"),
        ("backup", 27, "warning"),
        ("backup", 75, "critical"),
        ("drill", 8, "ok"),
        ("drill", 900, "warning"),
    ],
)
async def test_backups_and_drills_grow_old(here: Here, name: str, hours: int, expected: str):
    await leave(name, {"good_at": (datetime.now(UTC) - timedelta(hours=hours)).isoformat()})
    assert await severity(here, name) == expected


async def test_a_damaged_backup_calls_somebody_until_it_is_gone(here: Here):
    await leave("backup", {"good_at": datetime.now(UTC).isoformat()})
    old, new, now = "2026-11-21T020000Z-aaaaaa", "2026-11-22T020000Z-bbbbbb", datetime.now(UTC)
    await keep_mark(new, Mark(now, quick=False, wrong=2, first=("customers/objects/ab/abc",)))
    found = await check(here, "backup")
    assert (found.severity, found.value) == ("critical", 2)
    assert found.detail == f"Backup {new} is damaged: 2 files wrong: customers/objects/ab/abc first."
    assert found.recommendation is not None
    assert found.recommendation.route == "backups:create"
    await keep_mark(new, Mark(now, quick=False, wrong=0))
    await keep_mark(old, Mark(now, quick=True, wrong=1, first=("a",)))
    assert await severity(here, "backup") == "warning"
    await forget_marks([old])
    assert await severity(here, "backup") == "ok"


async def leave(name: str, value: dict[str, object]) -> None:
    await database.execute("INSERT INTO portal_state (name, value) VALUES ($1, $2)", name, json.dumps(value))


async def test_a_scrub_that_does_not_come_is_missed(here: Here, studio: Studio):
    await studio.add(await make_entity())
    await database.execute("UPDATE image SET created_at = now() - interval '4 days'")
    assert await severity(here, "scrub") == "warning"
    await database.execute(
        "INSERT INTO job (id, kind, state, actor, finished_at) VALUES ($1, 'scrub', 'succeeded', 'system', now())",
        uuid4(),
    )
    assert await severity(here, "scrub") == "ok"
    await database.execute("UPDATE job SET finished_at = now() - interval '73 hours'")
    assert await severity(here, "scrub") == "warning"


async def test_a_broken_chain_of_the_audit_is_critical_and_said_in_its_own_words(here: Here):
    broken = {"is_whole": False, "breaches": 1, "first": [{"detail": "Line 7 was changed."}]}
    await leave("audit_verify", {"at": "2026-01-01T00:00:00Z", **broken})
    audit = await check(here, "audit")
    assert audit.severity == "critical"
    assert audit.detail.startswith("Line 7 was changed.")
    await database.execute("DELETE FROM portal_state")
    await leave("audit_verify", {"at": "2026-01-01T00:00:00Z", "is_whole": True, "breaches": 0})
    assert await severity(here, "audit") == "ok"


# -- requests and the cache --------------------------------------------------------------------------------------------


async def requests(route: str, buckets: list[int]) -> None:
    await database.execute(
        """INSERT INTO request_minute (minute, process, route, requests, buckets)
           VALUES (now() - interval '2 minutes', $1, $2, $3, $4)""",
        uuid4(),
        route,
        sum(buckets),
        buckets,
    )


async def test_slow_pages_are_told_quick_pictures_do_not_hide_them(here: Here):
    await requests("GET /api/images/serve", [90_000, *[0] * 13])
    assert await severity(here, "requests") == "unknown"
    await requests("GET /", [200, *[0] * 13])
    assert await severity(here, "requests") == "ok"
    await requests("GET /search", [0] * 10 + [90, 0, 0, 0])
    assert await severity(here, "requests") == "warning"
    await requests("GET /search", [0] * 12 + [500, 0])
    assert await severity(here, "requests") == "critical"


async def test_a_cache_that_hardly_helps_is_told_once_enough_was_served(here: Here):
    for hits, misses, expected in ((10, 900, "unknown"), (900, 900, "ok"), (100, 1900, "warning")):
        await database.execute("DELETE FROM served_day")
        await database.execute(
            """INSERT INTO served_day (preset, format, day, hits, misses, bytes)
               VALUES ('card', 'jpeg', (now() AT TIME ZONE 'UTC')::date, $1, $2, 0)""",
            hits,
            misses,
        )
        assert await severity(here, "cache") == expected


# -- settings ----------------------------------------------------------------------------------------------------------


def with_settings(here: Here, **changes: object) -> Here:
    return Here(here.settings.replace(**changes), here.store, here.threads, here.now)


@pytest.mark.parametrize(("days", "expected"), [(200, "ok"), (20, "warning"), (2, "critical"), (-1, "critical")])
async def test_a_certificate_runs_out(here: Here, tmp_path: Path, days: int, expected: str):
    cert = tmp_path / "cert.pem"
    cert.write_text(CERTIFICATE)
    given = with_settings(here, tls_cert=cert)
    then = Here(given.settings, given.store, now=lambda: RUNS_OUT - timedelta(days=days, minutes=-1))
    assert await severity(then, "certificate") == expected
    cert.write_text("not a certificate")
    assert await severity(then, "certificate") == "warning"


async def test_secrets_that_others_can_read_are_critical(here: Here):
    key = here.settings.data_dir / "secret.key"
    assert key.exists()
    key.chmod(0o644)
    found = await check(here, "secrets")
    assert found.severity == "critical"
    assert "secret.key" in found.detail
    assert str(key.parent) not in found.detail


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "ok"),
        ("http://localhost", "ok"),
        ("https://pictures.example.com", "ok"),
        ("http://pictures.example.com", "warning"),
        ("http://192.0.2.7", "warning"),
    ],
)
async def test_an_address_without_https_is_told_where_others_use_it(here: Here, url: str, expected: str):
    assert await severity(with_settings(here, base_url=url), "address") == expected


async def test_a_scanner_that_is_away_is_critical_because_nothing_is_taken_in(here: Here):
    assert await severity(with_settings(here, clamd=("127.0.0.1", 1)), "scanner") == "critical"
