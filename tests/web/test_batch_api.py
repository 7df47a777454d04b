"""Many pictures at once over the API, and originals as one ZIP."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery import zip_answers
from portal.gallery.zips import AT_ONCE, FOR_ONE, ZipRoom, zip_of
from portal.storage.keys import original_key
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

BATCH = "/api/images/batch"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_FREE_SPACE_MB="0") as app:
        yield app


@pytest.fixture
async def people(db: None, app: Litestar) -> dict[str, httpx.AsyncClient]:
    roles = {"visitor": None, "viewer": "viewer", "editor": "editor", "admin": "admin"}
    return {name: await caller(app, role) for name, role in roles.items()}


@pytest.fixture
def darkroom(db: None, app: Litestar) -> Studio:
    """The app's own store."""
    return Studio(app.state.parts.store, app.state.parts.pool)


async def three(studio: Studio) -> list[str]:
    ref = await make_entity(id="MUG")
    return [str(await studio.add(ref, samples.jpeg(70 + n, 50), filename="mug.jpg")) for n in range(3)]


async def ask(client: httpx.AsyncClient, ids: list[str], action: str, **more: Any) -> httpx.Response:
    return await client.post(BATCH, json={"ids": ids, "action": action, **more})


def fields_of(answer: httpx.Response) -> set[str]:
    return {error["field"] for error in answer.json()["errors"]}


async def test_each_id_has_its_outcome_and_the_status_says_how_many(
    people: dict[str, httpx.AsyncClient], darkroom: Studio
):
    ids, unknown = await three(darkroom), str(uuid4())
    all_done = await ask(people["editor"], ids, "tag", tags=["front"])
    assert all_done.status_code == 200
    assert all_done.json() == {"results": [{"id": each, "status": 200} for each in ids], "done": 3, "refused": 0}
    some = await ask(people["editor"], [unknown, ids[0]], "trash")
    assert some.status_code == 207
    assert [each["status"] for each in some.json()["results"]] == [404, 200]
    assert some.json()["results"][0]["error"]["code"] == "not_found"
    none = await ask(people["editor"], [unknown], "trash")
    assert (none.status_code, none.json()["refused"]) == (422, 1)


async def test_a_copy_says_its_id_and_a_move_the_new_gallery(people: dict[str, httpx.AsyncClient], darkroom: Studio):
    ids = await three(darkroom)
    await make_entity("customers", "ANA")
    to = {"entity_type": "customers", "entity_id": "ANA"}
    copied = await ask(people["editor"], ids[:1], "copy", **to)
    made = copied.json()["results"][0]["made"]
    image = (await people["viewer"].get(f"/api/images/{made}")).json()
    assert image["entity"] == {"type": "customers", "id": "ANA"}
    assert (await ask(people["editor"], ids[:1], "move", **to)).json()["results"][0]["error"]["image_id"] == made
    assert (await ask(people["editor"], ids[1:2], "move", **to)).status_code == 200
    moved = (await people["viewer"].get(f"/api/images/{ids[1]}")).json()
    assert (moved["entity"]["id"], moved["sort_order"]) == ("ANA", 1)
    seen = await people["viewer"].get(moved["renditions"]["card"]["url"])
    assert seen.status_code == 200
    stranger = await people["visitor"].get(f"/api/images/serve/{ids[1]}?size=card")
    assert stranger.status_code == 404  # it went to a private type
    nowhere = await ask(people["editor"], ids[2:], "move", entity_type="customers", entity_id="BO")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "no_such_entity")


async def test_viewers_change_nothing_and_only_admins_delete(people: dict[str, httpx.AsyncClient], darkroom: Studio):
    ids = await three(darkroom)
    assert (await ask(people["viewer"], ids, "trash")).status_code == 403
    assert (await ask(people["editor"], ids, "delete")).status_code == 403
    assert (await ask(people["admin"], ids, "delete")).status_code == 200
    assert await database.fetch_value("SELECT count(*) FROM image") == 0


async def test_bad_requests_name_their_fields(people: dict[str, httpx.AsyncClient]):
    answer = await people["editor"].post(BATCH, json={"ids": [], "action": "tag", "tags": 1, "sha256": "x"})
    assert (answer.status_code, fields_of(answer)) == (422, {"sha256"})
    answer = await people["editor"].post(BATCH, json={"ids": [], "action": "tag", "tags": 1, "texts": {}})
    assert (answer.status_code, fields_of(answer)) == (422, {"ids", "tags", "texts"})
    for broken in (b"[]", b"no", b'{"ids": ["\\u0000"], "action": "trash"}', b'{"ids": "x", "action": {}}'):
        assert (await people["editor"].post(BATCH, content=broken)).status_code in (400, 422)


async def test_the_same_key_gives_the_first_answer_again(people: dict[str, httpx.AsyncClient], darkroom: Studio):
    ids = await three(darkroom)
    await make_entity(id="BOWL")
    body = {"ids": ids, "action": "copy", "entity_type": "inventory_items", "entity_id": "BOWL"}
    answers = [await people["editor"].post(BATCH, json=body, headers={"idempotency-key": "once"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await database.fetch_value("SELECT count(*) FROM image") == 6


async def unzipped(answer: httpx.Response) -> dict[str, bytes]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["cache-control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
    return {name: archive.read(name) for name in archive.namelist()}


async def test_a_gallery_is_one_zip_of_its_originals_in_its_order(
    people: dict[str, httpx.AsyncClient], darkroom: Studio
):
    ids = await three(darkroom)
    answer = await people["viewer"].get("/api/images/entity/inventory_items/MUG/zip")
    files = await unzipped(answer)
    assert list(files) == ["01-mug.jpg", "02-mug.jpg", "03-mug.jpg"]
    sums = [row["sha256"] for row in await database.fetch("SELECT sha256 FROM image ORDER BY sort_order")]
    assert [hashlib.sha256(each).hexdigest() for each in files.values()] == sums
    assert answer.headers["content-disposition"] == 'attachment; filename="MUG.zip"'
    chosen = await unzipped(
        await people["viewer"].post("/api/images/zip", json={"ids": [ids[2], str(uuid4()), ids[0]]})
    )
    assert [hashlib.sha256(each).hexdigest() for each in chosen.values()] == [sums[2], sums[0]]
    head = await people["viewer"].head("/api/images/entity/inventory_items/MUG/zip")
    assert (head.status_code, head.content) == (200, b"")
    assert (await people["viewer"].get("/api/images/entity/inventory_items/NO/zip")).status_code == 404


async def test_names_in_a_zip_are_safe_and_what_is_lost_is_said(people: dict[str, httpx.AsyncClient], darkroom: Studio):
    ref = await make_entity(id="MUG")
    names = ["..\\..\\a:b?.JPG", "/etc/passwd", "ø mug.jpeg", "lost.jpg", "damaged.jpg"]
    ids = [await darkroom.add(ref, filename=name) for name in names]
    await darkroom.store.delete([original_key(ref.type, ids[3], 1, "jpg")])
    await darkroom.store.put(original_key(ref.type, ids[4], 1, "jpg"), b"other bytes")
    files = await unzipped(await people["viewer"].get("/api/images/entity/inventory_items/MUG/zip"))
    assert list(files) == ["01-a_b_.JPG", "02-passwd.jpg", "03-ø mug.jpeg", "05-damaged.jpg", "not-here.txt"]
    assert b"04-lost.jpg" in files["not-here.txt"]
    assert b"05-damaged.jpg" in files["not-here.txt"]


async def test_a_zip_is_made_piece_by_piece_and_lets_go_when_nobody_reads_on(darkroom: Studio):
    ref, room = await make_entity(), ZipRoom()
    ids: list[UUID] = [await darkroom.add(ref, samples.noisy(1500, 1000), ready=False)]
    pieces = [piece async for piece in zip_of(ids, darkroom.store, room)]
    assert max(map(len, pieces)) < 600_000 < sum(map(len, pieces))
    begun = zip_of(ids, darkroom.store, room)
    await anext(begun)
    assert room.sent == 1
    await begun.aclose()
    assert room.sent == 0


async def test_what_is_beyond_the_counters_of_a_zip_is_written_as_zip64(
    darkroom: Studio, monkeypatch: pytest.MonkeyPatch
):
    ids = [UUID(each) for each in await three(darkroom)]
    plain = b"".join([piece async for piece in zip_of(ids, darkroom.store, ZipRoom())])
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)  # of bytes, in place of 2 GiB
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    large = b"".join([piece async for piece in zip_of(ids, darkroom.store, ZipRoom())])
    monkeypatch.undo()
    end, locator = b"PK\x06\x06", b"PK\x06\x07"  # of ZIP64
    assert (plain.count(end), large.count(end), large.count(locator)) == (0, 1, 1)
    before, after = zipfile.ZipFile(io.BytesIO(plain)), zipfile.ZipFile(io.BytesIO(large))
    assert after.testzip() is None
    assert [after.read(name) for name in after.namelist()] == [before.read(name) for name in before.namelist()]
    assert [each.extract_version for each in after.infolist()] == [zipfile.ZIP64_VERSION] * 3


async def test_too_many_downloads_at_once_are_told_to_come_back(
    people: dict[str, httpx.AsyncClient], darkroom: Studio, monkeypatch: pytest.MonkeyPatch
):
    await three(darkroom)
    monkeypatch.setattr(zip_answers._room, "sent", AT_ONCE)
    answer = await people["viewer"].get("/api/images/entity/inventory_items/MUG/zip")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


async def test_downloads_that_one_does_not_read_leave_room_for_others(
    people: dict[str, httpx.AsyncClient], darkroom: Studio, monkeypatch: pytest.MonkeyPatch
):
    ids, room = await three(darkroom), ZipRoom()
    monkeypatch.setattr(zip_answers, "_room", room)
    begun = [zip_of([UUID(ids[0])], darkroom.store, room, "token:viewer") for _ in range(FOR_ONE)]
    for each in begun:
        await anext(each)
    path = "/api/images/entity/inventory_items/MUG/zip"
    assert "of yours" in (await people["viewer"].get(path)).json()["detail"]
    assert (await people["editor"].get(path)).status_code == 200
    for each in begun:
        await each.aclose()
    assert (await people["viewer"].get(path)).status_code == 200
    assert room.sent == 0
