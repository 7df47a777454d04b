"""A cache in front hears of every picture that it may hold, at least once, whatever happens to it or to us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import structlog

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_entity, delete_image, trash_image
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.media import edge
from portal.media.edge import Edge
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("db")
Told = Callable[..., AbstractAsyncContextManager[None]]


class CacheInFront:
    """A little HTTP server. It answers with the next of `statuses`, then 200; while `is_slow` is set it does not answer."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def images(self) -> list[str]:
        return [tag for said in self.heard for tag in said["tags"]]

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        said = json.loads(await reader.readexactly(int(fields[b"content-length"])))
        assert head.startswith(b"POST /purge?key=secret HTTP/1.1")
        assert fields[b"content-type"] == b"application/json"
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.heard.append(said)
        await self.goes_on.wait()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        writer.close()


@pytest.fixture
async def cache() -> AsyncIterator[CacheInFront]:
    cache = CacheInFront()
    await cache.open()
    yield cache
    cache.goes_on.set()
    await cache.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"EVERY": 0.05, "HEARD": 0.01, "LONGEST_PAUSE": 0.2}.items():
        monkeypatch.setattr(edge, name, seconds)


@pytest.fixture
def told(config: Settings, cache: CacheInFront) -> Told:
    """So many processes tell the cache."""

    @asynccontextmanager
    async def telling(processes: int = 1) -> AsyncIterator[None]:
        settings = config.replace(
            cdn_purge_url=f"http://127.0.0.1:{cache.port}/purge?key=secret", base_url="https://pictures.example.com"
        )
        tasks = [asyncio.create_task(Edge(settings).run()) for _ in range(processes)]
        await eventually(is_noting)
        yield
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return telling


async def is_noting() -> bool:
    return await database.fetch_value("SELECT EXISTS (SELECT FROM portal_state WHERE name = 'edge')")


async def noted() -> int:
    return await database.fetch_value("SELECT count(*) FROM edge_purge")


async def nothing_is_noted() -> bool:
    return not await noted()


async def note(count: int) -> set[str]:
    """As if so many pictures had changed; what a cache knows them by."""
    ids = [UUID(int=number) for number in range(count)]
    await database.execute(
        "INSERT INTO edge_purge (image, entity_type, noted_at) SELECT unnest($1::uuid[]), 'inventory_items', now()", ids
    )
    return {f"image-{image_id}" for image_id in ids}


async def test_what_changed_was_trashed_or_deleted_is_to_be_forgotten(studio: Studio, cache: CacheInFront, told: Told):
    image_id = await studio.add(await make_entity())
    said = {
        "tags": [f"image-{image_id}"],
        "urls": [f"https://pictures.example.com/api/images/serve/{image_id}"],
    }
    async with told():
        await change_image(image_id, {"focal_x": 0.0, "focal_y": 0.0}, actor=SYSTEM)
        assert await noted() == 0  # the old renditions are still the ones shown
        await render_all(image_id, store=studio.store, pool=studio.pool)
        await eventually(lambda: cache.heard == [said])
        await trash_image(image_id, actor=SYSTEM, deletes_per_hour=500)
        await eventually(lambda: cache.heard == [said] * 2)
        await delete_image(image_id, actor=SYSTEM, deletes_per_hour=500)
        await eventually(lambda: cache.heard == [said] * 3)
        await eventually(nothing_is_noted)


async def test_all_pictures_of_a_deleted_entity_are_to_be_forgotten(studio: Studio, cache: CacheInFront, told: Told):
    ref = await make_entity()
    ids = {f"image-{await studio.add(ref)}" for _ in range(2)}
    async with told():
        await delete_entity(ref, actor=SYSTEM, deletes_per_hour=500)
        await eventually(lambda: set(cache.images) == ids)


async def test_texts_and_private_pictures_are_no_matter_of_a_cache(studio: Studio, cache: CacheInFront, told: Told):
    private, public = await studio.add(await make_entity("invoices")), await studio.add(await make_entity())
    async with told():
        await change_image(public, {"caption": "A mug"}, actor=SYSTEM)
        await trash_image(private, actor=SYSTEM, deletes_per_hour=500)
        await eventually(nothing_is_noted)
        await trash_image(public, actor=SYSTEM, deletes_per_hour=500)
        await eventually(lambda: cache.images == [f"image-{public}"])


async def test_many_changes_of_one_picture_are_told_once_and_many_pictures_in_batches(cache: CacheInFront, told: Told):
    await database.execute("INSERT INTO portal_state (name, value) VALUES ('edge', 'true')")
    for _ in range(3):
        await note(4)
    async with told():
        await eventually(nothing_is_noted)
        assert len(cache.heard) == 1
        assert len(cache.images) == 4
        ids = await note(100)
        await eventually(nothing_is_noted)
    assert set(cache.images[4:]) == ids
    assert max(len(said["tags"]) for said in cache.heard) <= edge.BATCH


async def test_what_was_refused_is_told_again_and_logged_once(cache: CacheInFront, told: Told):
    cache.statuses = [500, 429, 302, 500]
    with structlog.testing.capture_logs() as logs:
        async with told():
            ids = await note(3)
            await eventually(nothing_is_noted)
            await eventually(lambda: len(logs) >= 2)
    assert set(cache.images) == ids
    assert [(line["event"], line["host"]) for line in logs] == [
        ("cache in front not told", "127.0.0.1"),
        ("cache in front told again", "127.0.0.1"),
    ]
    assert "secret" not in str(logs)


async def test_a_cache_that_was_away_hears_all_of_it(cache: CacheInFront, told: Told):
    await cache.close()
    with structlog.testing.capture_logs() as logs:
        async with told():
            ids = await note(50)
            await eventually(lambda: logs)
    assert await noted() == 50
    async with told():
        await cache.open()
        await eventually(nothing_is_noted)
    assert set(cache.images) == ids


async def test_a_slow_cache_holds_up_nobody_and_several_processes_tell_nothing_twice(cache: CacheInFront, told: Told):
    cache.goes_on.clear()
    async with told(processes=3):
        ids = await note(80)
        await eventually(lambda: len(cache.heard) == 3)  # each has a batch in hand
        await note(1)  # whoever changes pictures meanwhile does not wait
        assert await is_noting()
        cache.goes_on.set()
        await eventually(nothing_is_noted)
    assert set(cache.images) == ids
    assert sorted(cache.images)[2:] == sorted(ids)[1:]  # the first was noted twice, the others once


async def test_a_cache_that_never_answers_is_given_up_and_asked_again(
    cache: CacheInFront, told: Told, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(edge, "PATIENCE", 0.2)
    cache.goes_on.clear()
    async with told():
        ids = await note(2)
        await eventually(lambda: len(cache.heard) >= 2)
        cache.goes_on.set()
        await eventually(nothing_is_noted)
    assert set(cache.images) == ids


async def test_a_process_that_ends_meanwhile_leaves_it_to_the_next(cache: CacheInFront, told: Told):
    cache.goes_on.clear()
    async with told():
        ids = await note(2)
        await eventually(lambda: len(cache.heard) == 1)
    assert await noted() == 2
    cache.goes_on.set()
    async with told():
        await eventually(nothing_is_noted)
    assert set(cache.images) == ids


async def test_without_a_cache_nothing_is_noted(studio: Studio, config: Settings, told: Told):
    image_id = await studio.add(await make_entity())
    async with told():
        pass
    await note(3)
    await Edge(config).run()
    assert not await is_noting()
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=500)
    assert await noted() == 0
