"""The pages about backups over HTTP: what they say of what lies there, what is asked before it is done, and by whom."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.backups.archive import archive_of
from portal.backups.drill_mark import mark_failed, mark_good
from portal.backups.verify import verify_backup
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.storage.store import MARKER
from tests.backing_up import NOW, forge, opened, some_bytes
from tests.factories import make_entity
from tests.web.deeds import World, world_of
from tests.web.test_backups_api import NO_IDS, worked
from tests.web.whole_app import caller, working_app

PAGES = "/maintenance/backups"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def world(db: None, app: Litestar) -> World:
    return await world_of(app)


@pytest.fixture
async def folder(db: None, app: Litestar) -> AsyncIterator[Path]:
    """Where backups lie; empty again after each test."""
    folder = app.state.settings.backup_dir
    destination = await opened(folder)
    yield folder
    await destination.delete([entry.key async for entries in destination.listed() for entry in entries])


async def followed(client: httpx.AsyncClient, answer: Awaitable[httpx.Response]) -> httpx.Response:
    """Where a form leads."""
    said = await answer
    assert said.status_code == 303, said.text
    return await client.get(said.headers["location"].partition("#")[0])


async def test_each_backup_is_listed_with_its_state_and_why_we_know(admin: httpx.AsyncClient, folder: Path) -> None:
    assert "No backup lies here" in (await admin.get(PAGES)).text
    whole = forge(folder, some_bytes(1), images=4218, bytes=41_800_000_000, copied_bytes=1_400_000_000)
    damaged, foreign, unfinished = (forge(folder, {}, at=NOW - timedelta(days=age)) for age in (1, 2, 3))
    root = {each.id: folder / "backups" / each.id / "backup.jsonl" for each in (damaged, foreign, unfinished)}
    root[damaged.id].write_bytes(root[damaged.id].read_bytes().replace(b"schedule", b"Schedule"))
    root[foreign.id].write_bytes(_signed(json.loads(root[foreign.id].read_bytes().splitlines()[0]) | {"format": 9}))
    root[unfinished.id].unlink()
    seen = (await admin.get(PAGES)).text
    for words in ("4,218", "41.8", "1.4", "By schedule", "not verified yet", "Unfinished", "Damaged", "Foreign"):
        assert words in seen, words
    assert "does not match its own checksum" in seen
    assert "newer version of the portal" in seen
    assert "This portal is empty, and there is a backup of" in seen
    await make_entity()
    assert "This portal is empty" not in (await admin.get(f"{PAGES}/list")).text
    for each in (whole, damaged, foreign, unfinished):
        page = await admin.get(f"{PAGES}/{each.id}")
        assert (page.status_code, "See what it would do" in page.text) == (200, each is whole)


def _signed(said: dict[str, object]) -> bytes:
    import hashlib

    line = json.dumps(said).encode() + b"\n"
    return line + json.dumps({"sha256": hashlib.sha256(line).hexdigest()}).encode() + b"\n"


async def test_the_mark_says_what_the_last_drill_has_shown(admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, {})
    assert "Not proven yet" in (await admin.get(PAGES)).text
    async with database.transaction():
        await mark_good(backup.id, pictures=4218, size=41_800_000_000, seconds=60)
    good = (await admin.get(PAGES)).text
    assert "Proven today" in good
    assert "Restored into scratch: 4,218 pictures, " in good
    long_ago = (datetime.now(UTC) - timedelta(days=90)).isoformat()
    await database.execute(
        "UPDATE portal_state SET value = value::jsonb || jsonb_build_object('good_at', $1::text) WHERE name = 'drill'",
        long_ago,
    )
    assert "That is long ago: run a drill" in (await admin.get(PAGES)).text
    async with database.transaction():
        await mark_failed(backup.id, "2 pictures are not what they were.")
    failed = (await admin.get(PAGES)).text
    assert re.search(r"The drill of today \d\d:\d\d failed", failed)
    assert "2 pictures are not what they were." in failed


async def test_where_backups_cannot_be_read_the_page_says_so(admin: httpx.AsyncClient, folder: Path) -> None:
    marker = folder / MARKER
    kept = marker.read_bytes()
    marker.unlink()
    try:
        page = await admin.get(PAGES)
        assert (page.status_code, "What lies there is not known" in page.text) == (200, True)
    finally:
        marker.write_bytes(kept)


async def test_before_a_restore_stands_its_plan_and_then_the_password(
    world: World, app: Litestar, folder: Path
) -> None:
    backup = forge(folder, some_bytes(3, 1))
    fields = {"what": "entity", "entity_type": "inventory_items", "entity_id": "MUG-1", "on_conflict": "replace"}
    plan = await world.form(f"{PAGES}/{backup.id}/plan", **fields)
    run = plan.headers["location"]
    asked = await database.fetch_value("SELECT arguments FROM job ORDER BY id DESC LIMIT 1")
    assert json.loads(asked) == {
        "backup_id": backup.id,
        "dry_run": True,
        "on_conflict": "replace",
        "entity": {"type": "inventory_items", "id": "MUG-1"},
    }
    assert (await world.form(f"{run}/apply")).status_code == 409, "what was not tried is not done"
    counts = {"create": 1, "replace": 0, "skip": 2, "conflict": 1}
    result = {name: counts for name in ("entities", "images", "versions", "pins", "embed_keys")} | {
        "on_conflict": "replace",
        "examples": [
            {
                "kind": "image",
                "name": f"{uuid4()} of inventory_items/MUG",
                "action": "replace",
                "detail": "other caption",
            },
            {"kind": "entity", "name": "inventory_items/MUG", "action": "skip", "detail": "other name"},
        ],
        "objects": 4218,
        "bytes": 41_800_000_000,
        "left_out": 1,
        "sizes": 0,
        "restore_point": None,
    }
    await database.execute("DELETE FROM pgqueuer")
    await database.execute("UPDATE job SET state = 'succeeded', result = $1::jsonb", json.dumps(result))
    shown = (await world.person.get(run)).text
    for words in (
        "4,218 files",
        "41.8",
        "other caption",
        "is replaced",
        "1 picture is left out",
        "Restore item MUG-1?",
    ):
        assert words in shown, words
    assert 'name="current"' not in shown, "it was given just now"
    await database.execute("UPDATE session SET confirmed_at = now() - interval '16 minutes'")
    assert 'name="current"' in (await world.person.get(run)).text
    wrong = await world.form(f"{run}/apply", current="something else")
    assert (wrong.status_code, "aria-invalid" in wrong.text) == (422, True)
    assert await database.fetch_value("SELECT count(*) FROM job") == 1
    right = await world.form(f"{run}/apply", current="nine otters juggle")
    assert right.status_code == 303
    asked = await database.fetch_value("SELECT arguments FROM job ORDER BY id DESC LIMIT 1")
    assert json.loads(asked)["dry_run"] is False
    under_way = (await world.person.get(right.headers["location"])).text
    assert "If anything fails, all is as it was" in under_way
    await database.execute(
        "UPDATE job SET state = 'succeeded', finished_at = now(), result = $1::jsonb", json.dumps(result)
    )
    assert "Item MUG-1: 5 changes." in (await world.person.get(right.headers["location"])).text
    why = {"code": "not_found", "message": "This backup does not hold inventory_items/MUG-1."}
    await database.execute("UPDATE job SET state = 'failed', result = NULL, error = $1::jsonb", json.dumps(why))
    failed = (await world.person.get(run)).text
    assert ("MUG-1. Nothing was changed." in failed, f"{PAGES}/{backup.id}#restore" in failed) == (True, True)


async def test_a_quick_look_is_no_proof(admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, some_bytes(1))
    for quick, badge in ((True, "Complete"), (False, "Verified")):
        await verify_backup(destination=await opened(folder), backup_id=backup.id, quick=quick)
        page = (await admin.get(f"{PAGES}/{backup.id}")).text
        assert [word for word in ("Complete", "Verified") if f"{word}</span>" in page] == [badge]


async def test_a_script_with_a_session_is_asked_for_the_password_too(world: World, folder: Path) -> None:
    backup = forge(folder, {})
    await database.execute("UPDATE session SET confirmed_at = now() - interval '16 minutes'")
    headers = {"x-csrf-token": world.csrf}
    for method, path, sent in [
        ("POST", "/api/images/restore", {"backup_id": backup.id}),
        ("POST", "/api/images/backups/prune", {"dry_run": False}),
        ("DELETE", f"/api/images/backups/{backup.id}", None),
    ]:
        answer = await world.person.request(method, path, json=sent, headers=headers)
        assert (answer.status_code, answer.json().get("confirm")) == (403, True), path
    dry = await world.person.post("/api/images/backups/prune", headers=headers)
    assert dry.status_code == 202
    await database.execute("UPDATE job SET kind = 'restore', state = 'failed'")
    for path in (f"/api/jobs/{dry.json()['id']}/retry", f"/maintenance/jobs/{dry.json()['id']}/retry"):
        again = await world.person.post(path, headers=headers)
        assert (again.status_code, "Give your password again" in again.text) == (403, True), path
    assert await database.fetch_value("SELECT count(*) FROM job") == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"what": "types"}, "Choose at least one type."),
        ({"what": "entity", "entity_type": "inventory_items", "entity_id": ""}, "Give its ID or SKU"),
        ({"what": "entity", "entity_type": "inventory_items", "entity_id": "a b"}, "There is nothing with this id"),
        ({"what": "image", "image_id": "x"}, "This is no picture"),
        ({"what": "rust"}, "Choose what shall be restored."),
        ({"what": "all", "on_conflict": "merge"}, "Use skip or replace."),
    ],
)
async def test_a_wrong_choice_stays_in_the_form_with_what_to_do(
    world: World, folder: Path, fields: dict[str, str], words: str
) -> None:
    answer = await world.form(f"{PAGES}/{forge(folder, {}).id}/plan", **fields)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_the_address_of_a_picture_names_it_too(world: World, folder: Path) -> None:
    backup = forge(folder, some_bytes(1, 1))
    images = (folder / "backups" / backup.id / "inventory_items" / "images.jsonl").read_text()
    image_id = json.loads(images)["id"]
    fields = {"what": "image", "image_id": f" https://shop.example/images/{image_id}/ "}
    assert (await world.form(f"{PAGES}/{backup.id}/plan", **fields)).status_code == 303
    asked = await database.fetch_value("SELECT arguments FROM job ORDER BY id DESC LIMIT 1")
    assert json.loads(asked)["image_id"] == image_id


async def test_what_can_go_is_shown_first_with_why_the_others_stay(world: World, app: Litestar, folder: Path) -> None:
    now = datetime.now(UTC)
    ids = [forge(folder, {}, at=now - timedelta(minutes=minutes)).id for minutes in (1, 2)]
    await worked(app, world.script.post("/api/images/backups/prune", headers={"prefer": "wait=30"}))
    run = await database.fetch_value("SELECT id FROM job")
    page = (await world.person.get(f"{PAGES}/runs/{run}")).text
    assert "Remove 1 backup?" in page
    going, _, staying = page.partition('id="staying"')
    assert (ids[1] in going, ids[0] in staying) == (True, True)
    assert "the newest of its day" in staying


async def test_an_archive_comes_in_by_the_form_and_a_bad_one_says_what_is_wrong(world: World, folder: Path) -> None:
    destination = await opened(folder)
    backup = forge(folder, some_bytes(4))
    data = b"".join([piece async for piece in archive_of(destination, backup.id)])
    await destination.delete([entry.key async for entries in destination.listed() for entry in entries])
    csrf = {"csrf_token": world.csrf}
    for broken in (data[:-2000], b"no archive", b""):
        answer = await world.person.post(f"{PAGES}/upload", data=csrf, files={"file": ("a.tar", broken)})
        assert answer.status_code in (400, 409), answer.status_code
        assert 'id="bring-in"' in answer.text
    stranger = await world.person.post(f"{PAGES}/upload", files={"file": ("a.tar", data)})
    assert stranger.status_code == 403, "the token comes first"
    page = await followed(
        world.person, world.person.post(f"{PAGES}/upload", data=csrf, files={"file": ("a.tar", data)})
    )
    assert (page.status_code, backup.id in page.text) == (200, True)


@pytest.mark.parametrize("name", NO_IDS)
async def test_pages_of_what_is_no_backup_are_not_found(admin: httpx.AsyncClient, folder: Path, name: str) -> None:
    for method, path in [
        ("GET", ""),
        ("GET", "/now"),
        ("GET", "/contents?q=x"),
        ("POST", "/verify"),
        ("POST", "/plan"),
        ("POST", "/delete"),
    ]:
        assert (await admin.request(method, f"{PAGES}/{name}{path}", headers=FORM)).status_code == 404, path
    other = await database.fetch_value(
        "INSERT INTO job (id, kind, state, arguments, progress, actor) VALUES ($1, 'check', 'succeeded', '{}', '{}', 'system')"
        " RETURNING id",
        uuid4(),
    )
    for run in (name, uuid4(), other):
        assert (await admin.get(f"{PAGES}/runs/{run}")).status_code == 404
        assert (await admin.post(f"{PAGES}/runs/{run}/apply", headers=FORM)).status_code == 404


async def test_one_at_a_time_and_only_for_admins(app: Litestar, admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, {})
    editor = await caller(app, "editor")
    paths = {
        turns.BACKUP: PAGES,
        turns.DRILL: f"{PAGES}/drill",
        turns.PRUNE: f"{PAGES}/prune",
        turns.RESTORE: f"{PAGES}/{backup.id}/plan",
    }
    for turn, path in paths.items():
        async with alone(turn):
            busy = await admin.post(path, data={"what": "all"}, headers={"accept": "text/html"})
            assert (busy.status_code, "running since" in busy.text) == (409, True), path
        assert (await editor.post(path)).status_code == 403
    for path in (
        "",
        "/list",
        "/found",
        "/newest",
        f"/{backup.id}",
        f"/{backup.id}/now",
        f"/{backup.id}/contents?q=x",
        f"/runs/{uuid4()}",
    ):
        assert (await editor.get(f"{PAGES}{path}")).status_code == 403, path
    assert PAGES not in (await editor.get("/")).text


async def test_from_a_gallery_one_comes_to_the_newest_backup_with_the_form_filled_in(
    admin: httpx.AsyncClient, folder: Path
) -> None:
    query = "what=entity&entity_type=inventory_items&entity_id=MUG"
    ref = await make_entity(id="MUG")
    assert (
        f"{PAGES}/newest?what=entity&amp;entity_type=inventory_items&amp;entity_id=MUG"
        in (await admin.get(f"/entities/{ref}")).text
    )
    assert (await admin.get(f"{PAGES}/newest?{query}")).headers["location"] == PAGES
    backup = forge(folder, {"inventory_items": []})
    answer = await admin.get(f"{PAGES}/newest?{query}")
    assert answer.headers["location"] == f"{PAGES}/{backup.id}?{query}#restore"
    page = (await admin.get(f"{PAGES}/{backup.id}?{query}")).text
    assert re.search(r'value="entity" checked', page)
    assert re.search(r'value="MUG"', page)


async def test_who_brings_a_backup_begins_where_it_lies(world: World, folder: Path) -> None:
    from portal.accounts.setup import setup_link

    await database.execute("DELETE FROM portal_state WHERE name = 'set_up'")
    token = str(await setup_link(world.app.state.settings)).partition("token=")[2]
    fields = {"token": token, "email": "first@example.com", "name": "First", "password": "eleven herons whisper"}
    answer = await world.visitor.post("/setup", data=fields | {"has_backup": "1"})
    assert answer.headers["location"] == PAGES
    forge(folder, some_bytes(5))
    assert 'hx-get="/maintenance/backups/found"' in (await world.visitor.get("/")).text
    assert "1 backup lies here" in (await world.visitor.get(f"{PAGES}/found")).text
