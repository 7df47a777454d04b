"""Backups as scripts ask for them: made, listed, verified, restored, taken out and brought in; strictly, and by admins alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.backups.kinds import KINDS
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.settings import ENTITY_TYPES
from tests.backing_up import NOW, forge, opened, some_bytes
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

ALL = "/api/images/backups"
WAITING = {"prefer": "wait=30"}
NO_IDS = ["x", "..%2f..", "2026-11-23T020000Z-aaaaaa", "2026-11-23T020000Z-AAAAAA", "%00", "begun.json", "é"]


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def folder(db: None, app: Litestar) -> AsyncIterator[Path]:
    """Where backups lie; empty again after each test."""
    folder = app.state.settings.backup_dir
    destination = await opened(folder)
    yield folder
    await destination.delete([entry.key async for entries in destination.listed() for entry in entries])


async def worked(app: Litestar, answer: Awaitable[httpx.Response]) -> dict[str, Any]:
    """The job that was asked for, with a worker that does it meanwhile."""
    before = await database.fetch_value("SELECT count(*) FROM job")

    async def work_soon() -> None:
        while await database.fetch_value("SELECT count(*) FROM job") == before:  # noqa: ASYNC110 - a row is waited for
            await asyncio.sleep(0.02)
        row = await database.fetch_row("SELECT id, kind FROM job ORDER BY id DESC LIMIT 1")
        assert row is not None
        await app.state.parts.tasks()[row["kind"]].run({"job": str(row["id"])})

    said, _ = await asyncio.gather(answer, work_soon())
    assert said.status_code == 200, said.text
    return said.json()


async def test_a_script_backs_up_verifies_deletes_and_restores(
    admin: httpx.AsyncClient, app: Litestar, folder: Path
) -> None:
    parts = app.state.parts
    image_id = await Studio(parts.store, parts.pool).add(await make_entity(id="MUG", name="Fjord mug"))
    await make_entity(id="LAMP")
    made = await worked(app, admin.post("/api/images/backup", headers=WAITING))
    assert (made["kind"], made["state"], made["error"]) == ("backup", "succeeded", None)
    listed = (await admin.get(ALL)).json()
    (backup,) = listed["backups"]
    assert (listed["total"], listed["next"]) == (1, None)
    assert (backup["complete"], backup["state"], backup["reason"]) == (True, "complete", "asked")
    assert (backup["images"], backup["entities"], set(backup["entity_types"])) == (1, 2, set(ENTITY_TYPES))
    one = f"{ALL}/{backup['id']}"
    assert (await admin.get(one)).json() == backup
    verified = await worked(app, admin.post(f"{one}/verify", headers=WAITING))
    assert (verified["state"], verified["result"]["wrong"]) == ("succeeded", [])
    assert (await admin.get(one)).json()["wrong"] == 0
    assert (await admin.delete("/api/entities/inventory_items/MUG")).status_code == 204
    wish = {"backup_id": backup["id"], "entity": {"type": "inventory_items", "id": "MUG"}}
    tried = await worked(app, admin.post("/api/images/restore", json=wish | {"dry_run": True}, headers=WAITING))
    assert (tried["result"]["dry_run"], tried["result"]["images"]["create"]) == (True, 1)
    assert (await admin.get(f"/api/images/{image_id}")).status_code == 404, "a dry run changes nothing"
    done = await worked(app, admin.post("/api/images/restore", json=wish, headers=WAITING))
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert done["result"]["restore_point"] is not None
    assert (await admin.get(f"/api/images/{image_id}")).json()["status"] == "ready"
    point = next(
        each for each in (await admin.get(ALL)).json()["backups"] if each["id"] == done["result"]["restore_point"]
    )
    assert point["reason"] == "restore_point"


async def test_what_is_damaged_is_named_and_what_is_no_backup_says_why(
    admin: httpx.AsyncClient, app: Litestar, folder: Path
) -> None:
    data = some_bytes(1, 3)
    backup = forge(folder, data)
    unfinished = forge(folder, {}, at=NOW - timedelta(days=1))
    (folder / "backups" / unfinished.id / "backup.jsonl").unlink()
    (hurt,) = [each for each in (folder / "inventory_items" / "objects").rglob("*") if each.is_file()][:1]
    hurt.write_bytes(b"\0" + hurt.read_bytes()[1:])
    told = (await worked(app, admin.post(f"{ALL}/{backup.id}/verify", headers=WAITING)))["result"]
    assert [each["name"] for each in told["wrong"]] == [hurt.relative_to(folder).as_posix()]
    found = {each["id"]: each for each in (await admin.get(ALL)).json()["backups"]}
    assert found[backup.id]["wrong"] == 1
    assert (found[unfinished.id]["complete"], found[unfinished.id]["state"]) == (False, "unfinished")
    assert "never finished" in found[unfinished.id]["message"]
    for answer in (
        await admin.get(f"{ALL}/{unfinished.id}/archive"),
        await admin.post("/api/images/restore", json={"backup_id": unfinished.id}),
        await admin.post(f"{ALL}/{unfinished.id}/drill"),
    ):
        assert answer.status_code == 409, answer.text


async def test_the_list_goes_on_where_a_page_ends(admin: httpx.AsyncClient, folder: Path) -> None:
    ids = [forge(folder, {}, at=NOW - timedelta(days=age)).id for age in range(5)]
    first = (await admin.get(ALL, params={"limit": "2"})).json()
    assert ([each["id"] for each in first["backups"]], first["total"]) == (ids[:2], 5)
    rest = (await admin.get(ALL, params={"cursor": first["next"]})).json()
    assert ([each["id"] for each in rest["backups"]], rest["next"]) == (ids[2:], None)
    assert (await admin.get(ALL, params={"cursor": "x"})).status_code == 422


async def test_a_place_that_was_never_used_holds_nothing(admin: httpx.AsyncClient) -> None:
    assert (await admin.get(ALL)).json() == {"backups": [], "total": 0, "next": None}


RESTORE, ID = "/api/images/restore", "2026-11-23T020000Z-aaaaaa"


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/api/images/backup", {"entity_types": "customers"}, 422),
        ("/api/images/backup", {"entity_types": []}, 422),
        ("/api/images/backup", {"entity_types": ["rust"]}, 422),
        ("/api/images/backup", {"entity_types": [["customers"]]}, 422),
        ("/api/images/backup", {"surprise": 1}, 422),
        ("/api/images/backup", [], 400),
        (f"{ALL}/prune", {"dry_run": "no"}, 422),
        (f"{ALL}/prune", {"dry_run": None}, 422),
        (RESTORE, {}, 422),
        (RESTORE, {"backup_id": 7}, 422),
        (RESTORE, {"backup_id": ".."}, 404),
        (RESTORE, {"backup_id": ID}, 404),
        (RESTORE, {"backup_id": ID, "dry_run": "yes"}, 422),
        (RESTORE, {"backup_id": ID, "on_conflict": "merge"}, 422),
        (RESTORE, {"backup_id": ID, "on_conflict": []}, 422),
        (RESTORE, {"backup_id": ID, "entity": "inventory_items/MUG"}, 422),
        (RESTORE, {"backup_id": ID, "entity": {"type": "rust", "id": "MUG"}}, 422),
        (RESTORE, {"backup_id": ID, "entity": {"type": "inventory_items", "id": "../x"}}, 422),
        (RESTORE, {"backup_id": ID, "entity": {"type": ["inventory_items"], "id": "x"}}, 422),
        (RESTORE, {"backup_id": ID, "image_id": "x"}, 422),
        (RESTORE, {"backup_id": ID, "image_id": 7}, 422),
        (RESTORE, {"backup_id": ID, "entity_types": ["customers"], "image_id": "x"}, 422),
        (RESTORE, {"backup_id": ID, "force": True}, 422),
    ],
)
async def test_a_wrong_wish_starts_nothing(admin: httpx.AsyncClient, path: str, sent: Any, status: int) -> None:
    answer = await admin.post(path, json=sent)
    assert answer.status_code == status, answer.text
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


@pytest.mark.parametrize("name", NO_IDS)
async def test_what_is_no_backup_is_not_found(admin: httpx.AsyncClient, folder: Path, name: str) -> None:
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/verify"),
        ("POST", "/drill"),
        ("GET", "/archive"),
        ("GET", "/contents?q=x"),
    ]:
        answer = await admin.request(method, f"{ALL}/{name}{path}")
        assert answer.status_code == 404, (path, answer.text)
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_a_script_looks_for_what_it_restores(admin: httpx.AsyncClient, app: Litestar, folder: Path) -> None:
    backup = forge(folder, some_bytes(2))
    said = await admin.get(f"{ALL}/{backup.id}/contents", params={"q": "mug"})
    assert (said.status_code, said.headers["cache-control"]) == (200, "no-store")
    (hit,) = said.json()["hits"]
    ref = {"type": "inventory_items", "id": "MUG-1"}
    assert hit == {"entity": ref, "image_id": None, "name": "Mug", "detail": None, "pictures": 5, "here": "no"}
    assert (said.json()["has_more"], said.json()["is_whole"]) == (False, True)
    for q, status in (("", 422), ("\0", 422), ("x" * 5000, 200)):
        assert (await admin.get(f"{ALL}/{backup.id}/contents", params={"q": q})).status_code == status, q
    place = folder / "backups" / backup.id / "inventory_items" / "entities.jsonl"
    place.write_bytes(place.read_bytes().replace(b"Mug", b"Cup"))
    damaged = await admin.get(f"{ALL}/{backup.id}/contents", params={"q": "lamp"})
    assert (damaged.status_code, "entities.jsonl is damaged" in damaged.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    "wish",
    [
        {"entity": {"type": "inventory_items", "id": "MUG-2"}},
        {"entity": {"type": "customers", "id": "MUG-1"}},
        {"entity_types": ["customers"]},
        {"image_id": "019e0b5c-0000-7000-8000-000000000000"},
    ],
)
async def test_what_a_backup_does_not_hold_starts_no_job_that_fails(
    admin: httpx.AsyncClient, folder: Path, wish: dict[str, Any]
) -> None:
    backup = forge(folder, some_bytes(2))
    for dry_run in (True, False):
        answer = await admin.post(RESTORE, json={"backup_id": backup.id, "dry_run": dry_run} | wish)
        assert (answer.status_code, "This backup" in answer.json()["detail"]) == (404, True), answer.text
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_one_at_a_time(admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, {})
    asked = {
        turns.BACKUP: ("/api/images/backup", {}),
        turns.PRUNE: (f"{ALL}/prune", {}),
        turns.RESTORE: (RESTORE, {"backup_id": backup.id}),
        turns.DRILL: (f"{ALL}/{backup.id}/drill", {}),
    }
    for turn, (path, sent) in asked.items():
        async with alone(turn):
            busy = await admin.post(path, json=sent)
            assert (busy.status_code, "running since" in busy.json()["detail"]) == (409, True), path


async def test_an_archive_goes_out_and_comes_in_again(admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, some_bytes(2))
    head = await admin.head(f"{ALL}/{backup.id}/archive")
    out = await admin.get(f"{ALL}/{backup.id}/archive")
    assert int(head.headers["content-length"]) == int(out.headers["content-length"]) == len(out.content)
    assert (head.content, out.headers["content-type"]) == (b"", "application/x-tar")
    assert out.headers["content-disposition"] == f'attachment; filename="{backup.id}.tar"'
    destination = await opened(folder)
    await destination.delete([entry.key async for entries in destination.listed() for entry in entries])
    cut = await admin.post(f"{ALL}/archive", content=out.content[:-3000])
    assert (cut.status_code, (await admin.get(ALL)).json()["total"]) == (409, 0)
    back = await admin.post(f"{ALL}/archive", content=out.content)
    assert (back.status_code, back.json()["id"], back.json()["complete"]) == (201, backup.id, True)
    assert (await admin.get(f"{ALL}/{backup.id}/archive")).content == out.content


async def test_an_archive_that_does_not_fit_is_refused_before_it_is_read(
    admin: httpx.AsyncClient, folder: Path
) -> None:
    answer = await admin.post(f"{ALL}/archive", content=b"x", headers={"content-length": str(10**15)})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")


@pytest.mark.parametrize("role", [None, "viewer", "editor"])
async def test_only_admins_see_or_touch_backups(app: Litestar, folder: Path, role: str | None) -> None:
    client, backup = await caller(app, role), forge(folder, {})
    refused = 401 if role is None else 403
    for method, path in [
        ("GET", ""),
        ("GET", f"/{backup.id}"),
        ("GET", f"/{backup.id}/archive"),
        ("GET", f"/{backup.id}/contents?q=mug"),
        ("DELETE", f"/{backup.id}"),
        ("POST", f"/{backup.id}/verify"),
        ("POST", f"/{backup.id}/drill"),
        ("POST", "/prune"),
        ("POST", "/archive"),
    ]:
        assert (await client.request(method, f"{ALL}{path}")).status_code == refused, path
    for path in ("/api/images/backup", RESTORE):
        assert (await client.post(path, json={"backup_id": backup.id})).status_code == refused


def test_every_kind_of_job_has_a_task(app: Litestar) -> None:
    assert set(KINDS) <= set(app.state.parts.tasks())
