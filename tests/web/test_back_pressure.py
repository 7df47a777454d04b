"""Uploads under pressure: who has to wait too long is told, a full disk takes nothing more, and what is many comes last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.imaging import pool as pool_module
from portal.imaging.verify import Limits
from portal.jobs.queue import AWAITED, BULK, URGENT, USUAL
from tests import samples
from tests.factories import make_entity
from tests.waiting import eventually
from tests.web.whole_app import caller, whole_app, working_app

ONE, MANY = "/api/images/upload", "/api/images/upload/multiple"
JSON = {"accept": "application/json"}
MUG = {"entity_type": "inventory_items", "entity_id": "MUG"}
HEAVY = samples.png(5000, 3400, mode="L")  # one child takes such, one after the other


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
async def app(pool: None, data_dir: Path) -> AsyncIterator[Litestar]:
    async with working_app(data_dir) as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    await make_entity(id="MUG")
    return await caller(app, "editor")


async def upload(client: httpx.AsyncClient, data: bytes, name: str = "mug.jpg", **headers: str) -> httpx.Response:
    return await client.post(ONE, data=MUG, files={"file": (name, data)}, headers=headers)


@pytest.fixture
async def _decoder_is_busy(app: Litestar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """With a picture of many seconds; who wants the same child waits a moment at most."""
    pool = app.state.parts.pool
    monkeypatch.setattr(pool_module, "VERIFY_CPU_SECONDS", 100)
    monkeypatch.setattr(pool, "_wall_seconds", 1000)
    slow = samples.write(tmp_path, "slow", samples.many_scans(20_000))
    busy = asyncio.create_task(pool.verify(slow, "a.jpg", Limits(max_scans=1_000_000)))
    await eventually(lambda: (pool.places["heavy"][0], pool.places["verify"][0]) == (1, 0))
    monkeypatch.setattr(pool_module, "VERIFY_PATIENCE", 0.3)
    yield
    assert not busy.done()
    busy.cancel()
    await asyncio.wait([busy])


@pytest.mark.usefixtures("_decoder_is_busy")
async def test_who_waits_too_long_for_a_decoder_is_told_to_come_back(editor: httpx.AsyncClient, app: Litestar) -> None:
    answer = await upload(editor, HEAVY, "mug.png")
    assert (answer.status_code, answer.json()["code"]) == (429, "busy")
    assert int(answer.headers["retry-after"]) > 0
    assert (await upload(editor, samples.jpeg())).status_code == 201  # what is light has children of its own
    assert list((app.state.parts.store.root / "temp").iterdir()) == []


@pytest.mark.usefixtures("_decoder_is_busy")
async def test_of_many_files_none_waits_again_for_what_the_first_did_not_get(editor: httpx.AsyncClient) -> None:
    files = [("files", ("a.jpg", samples.jpeg())), *(("files", (f"{n}.png", HEAVY)) for n in range(3))]
    answer = await editor.post(MANY, data=MUG, files=files)
    assert answer.status_code == 207
    assert [each["status"] for each in answer.json()["results"]] == [201, 429, 429, 429]


async def test_a_full_disk_takes_no_picture_and_all_else_goes_on(editor: httpx.AsyncClient, data_dir: Path) -> None:
    ids = [(await upload(editor, samples.distinct(number))).json()["id"] for number in range(3)]
    full = await caller(await whole_app(data_dir, PORTAL_FREE_SPACE_MB="1000000"), "admin")
    for answer in (
        await upload(full, samples.distinct(9)),
        await full.post(MANY, data=MUG, files=[("files", ("9.jpg", samples.distinct(9)))]),
        await full.post("/search/photo", files={"file": ("9.jpg", samples.distinct(9))}, headers=JSON),
        await full.post("/settings/texts", files={"file": ("t.csv", b"image_id,alt_text\n")}, headers=JSON),
    ):
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    one, two, three = (f"/api/images/{image_id}" for image_id in ids)
    for answer, status in (
        (await full.put(f"{one}/metadata", json={"caption": "Blue", "tags": ["a"], "is_primary": True}), 200),
        (await full.put(f"{one}/metadata", json={"focal_point": {"x": 0.1, "y": 0.9}}), 200),
        (await full.put("/api/images/entity/inventory_items/MUG/order", json={"ids": ids[::-1]}), 200),
        (await full.post(f"{two}/trash"), 200),
        (await full.post(f"{two}/restore"), 200),
        (await full.delete(three), 204),
        (await full.put("/api/entities/inventory_items/CUP", json={"name": "Cup"}), 201),
        (await full.post("/api/images/cleanup", json={"dry_run": True}), 202),
        (await full.get(one), 200),
    ):
        assert answer.status_code == status, answer.text
    actions = await database.fetch("SELECT action FROM audit WHERE actor = 'token:admin'")
    assert {row["action"] for row in actions} >= {"image.describe", "image.reorder", "image.trash", "image.delete"}


async def test_who_does_not_say_how_much_comes_needs_room_for_the_most(
    editor: httpx.AsyncClient, app: Litestar, data_dir: Path
) -> None:
    """A hundred files may come in one request; room for one of them is not enough."""
    free = await app.state.parts.store.free_bytes() // 2**20
    if free < 1000:
        pytest.skip("this disk is too full itself")
    client = await caller(await whole_app(data_dir, PORTAL_FREE_SPACE_MB=str(free - 700)), "editor")
    request = client.build_request("POST", MANY, data=MUG, files=[("files", ("9.jpg", samples.distinct(9)))])
    body = await request.aread()

    async def unsaid() -> AsyncIterator[bytes]:
        yield body

    kind = {"content-type": request.headers["content-type"]}
    answer = await client.post(MANY, content=unsaid(), headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert (await client.post(MANY, content=body, headers=kind)).status_code != 507


async def priorities() -> list[int]:
    rows = await database.fetch("SELECT priority FROM pgqueuer WHERE entrypoint = 'render' ORDER BY id")
    return [row["priority"] for row in rows]


async def test_whose_renditions_come_first(editor: httpx.AsyncClient) -> None:
    await upload(editor, samples.distinct(1))
    await upload(editor, samples.distinct(2), prefer="wait=1")
    await editor.post(MANY, data=MUG, files=[("files", (f"{n}.jpg", samples.distinct(n))) for n in (3, 4)])
    await editor.post("/entities/inventory_items/MUG/images", files={"file": ("5.jpg", samples.distinct(5))})
    assert await priorities() == [USUAL, AWAITED, BULK, BULK, URGENT]


async def test_of_very_many_by_one_sender_in_one_gallery_the_rest_are_bulk(
    editor: httpx.AsyncClient, app: Litestar
) -> None:
    for number in range(15):
        await upload(editor, samples.distinct(number))
    await upload(await caller(app, "admin"), samples.distinct(20))
    await upload(editor, samples.distinct(21), prefer="wait=1")
    assert await priorities() == [USUAL] * 12 + [BULK] * 3 + [USUAL, AWAITED]
