"""Uploads past a real clamd: what it knows is refused, and what it cannot look at is not taken in."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from portal import database
from tests import samples
from tests.clamd import MAX_STREAM, VIRUS, Clamd, running_clamd
from tests.factories import make_entity
from tests.unit.test_imaging_scan import listening
from tests.web.whole_app import caller, working_app

MUG = {"entity_type": "inventory_items", "entity_id": "MUG"}


@pytest.fixture(scope="module")
def clamd() -> Iterator[Clamd]:
    with tempfile.TemporaryDirectory() as folder, running_clamd(Path(folder)) as clamd:
        yield clamd


@asynccontextmanager
async def guarded(folder: Path, clamd: str) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    async with working_app(folder / "data", PORTAL_CLAMD=clamd) as app:
        await make_entity(id="MUG")
        yield app, await caller(app, "editor")


async def upload(client: httpx.AsyncClient, data: bytes) -> httpx.Response:
    return await client.post("/api/images/upload", data=MUG, files={"file": ("mug.jpg", data)})


async def is_nothing_kept(app: Litestar) -> None:
    assert await database.fetch_value("SELECT count(*) FROM image") == 0
    root = app.state.settings.storage_dir
    assert [path for path in root.rglob("*.jpg")] + list((root / "temp").iterdir()) == []


@pytest.mark.parametrize("address", ["{0.port}", "tcp://127.0.0.1:{0.port}", "unix:{0.socket}"])
async def test_what_clamd_knows_is_refused_and_the_rest_is_stored(
    db: None, tmp_path: Path, clamd: Clamd, address: str
) -> None:
    address = address.format(clamd)
    async with guarded(tmp_path, f"localhost:{address}" if address.isdigit() else address) as (app, editor):
        answer = await upload(editor, samples.jpeg(comment=b"before " + VIRUS + b" after"))
        assert (answer.status_code, answer.json()["code"]) == (422, "infected")
        assert "“Portal.Test.Picture" in answer.json()["detail"]
        await is_nothing_kept(app)
        assert (await upload(editor, samples.jpeg())).status_code == 201


async def test_what_is_too_long_for_clamd_is_not_taken_in(db: None, tmp_path: Path, clamd: Clamd) -> None:
    long = samples.jpeg(comment=b"x" * 60_000)
    long = long[:2] + long[2 : 2 + 60_022] * (MAX_STREAM // 60_000 + 1) + long[2:]  # segments as cameras write them
    async with guarded(tmp_path, f"127.0.0.1:{clamd.port}") as (app, editor):
        answer = await upload(editor, long)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        await is_nothing_kept(app)


async def test_a_bad_picture_is_refused_before_anybody_is_asked(db: None, tmp_path: Path) -> None:
    async with guarded(tmp_path, "127.0.0.1:1") as (app, editor):
        assert (await upload(editor, samples.truncated())).json()["code"] == "not_an_image"
        answer = await upload(editor, samples.jpeg())
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        await is_nothing_kept(app)


async def test_of_many_files_none_is_stored_while_the_scanner_is_away(db: None, tmp_path: Path) -> None:
    async with guarded(tmp_path, "127.0.0.1:1") as (app, editor):
        files = [("files", (f"{number}.jpg", samples.distinct(number))) for number in range(3)]
        answer = await editor.post("/api/images/upload/multiple", data=MUG, files=files)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        await is_nothing_kept(app)


async def test_readiness_says_degraded_while_the_scanner_is_away(db: None, tmp_path: Path, clamd: Clamd) -> None:
    for address, status in ((f"127.0.0.1:{clamd.port}", "ok"), ("127.0.0.1:1", "degraded")):
        async with guarded(tmp_path / status, address) as (app, editor):
            app.state.is_ready = True
            answer = await editor.get("/health/ready")
            assert (answer.status_code, answer.json()) == (200, {"status": status})
        await database.execute("DELETE FROM entity")


async def test_however_often_readiness_is_asked_the_scanner_is_asked_once(db: None, tmp_path: Path) -> None:
    asked = 0

    async def count(reader: object, writer: object) -> None:
        nonlocal asked
        asked += 1

    async with listening(count) as (host, port), guarded(tmp_path, f"{host}:{port}") as (app, editor):
        app.state.is_ready = True
        for _ in range(5):
            assert (await editor.get("/health/ready")).json() == {"status": "degraded"}
    assert asked == 1
