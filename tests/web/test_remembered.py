"""Answers given again: they are what would be answered anew, and no longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from uuid import UUID

import httpx
import pytest

from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_image, trash_image
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.media import remembered
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal, small_portal


@pytest.fixture
async def portal(config: Settings, studio: Studio) -> AsyncIterator[SmallPortal]:
    """Its catalogue hears of changes, so that it remembers."""
    made = small_portal(config, studio)
    task = asyncio.create_task(made.catalogue.run())
    await eventually(lambda: made.catalogue.is_trusted)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.fixture
async def image_id(studio: Studio) -> UUID:
    return await studio.add(await make_entity())


def url(image_id: UUID, **query: str) -> str:
    return str(httpx.URL(f"/api/images/serve/{image_id}", params=query))


def said(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All but the request's own id."""
    own = answer.headers["x-request-id"]
    headers = sorted((name, value) for name, value in answer.headers.items() if value != own)
    return answer.status_code, headers, answer.content.replace(own.encode(), b"")


async def test_an_answer_given_again_is_the_one_that_a_portal_without_memory_gives(
    config: Settings, studio: Studio, portal: SmallPortal, visitor: httpx.AsyncClient, image_id: UUID
) -> None:
    forgetful = small_portal(config, studio)  # nobody tells its catalogue anything, so it trusts nothing
    tag = (await visitor.get(url(image_id, size="card"))).headers["etag"]
    queries = (
        {"size": "card"},
        {"size": "card", "v": "1.1"},
        {"size": "card", "v": "1"},
        {"size": "icon", "download": "1"},
    )
    headers: tuple[dict[str, str], ...] = (
        {},
        {"if-none-match": tag},
        {"if-none-match": f"W/{tag}"},
        {"if-none-match": f'"other", {tag}'},
        {"if-none-match": '"other"'},
        {"range": "bytes=0-9"},
        {"if-match": '"other"'},
        {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"accept": "image/png"},
    )
    async with forgetful.visitor() as other:
        for query, sent, method, _ in product(queries, headers, ("GET", "HEAD"), range(2)):
            ours = await visitor.request(method, url(image_id, **query), headers=sent)
            anew = await other.request(method, url(image_id, **query), headers=sent)
            assert said(ours) == said(anew), (method, query, sent)


async def test_what_is_trashed_is_not_shown_from_memory(visitor: httpx.AsyncClient, image_id: UUID) -> None:
    for _ in range(2):
        assert (await visitor.get(url(image_id, size="card"))).status_code == 200
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=500)

    async def is_gone() -> bool:
        return (await visitor.get(url(image_id, size="card"))).status_code == 404

    await eventually(is_gone)


async def test_what_is_deleted_is_not_shown_from_memory(visitor: httpx.AsyncClient, image_id: UUID) -> None:
    tag = (await visitor.get(url(image_id, size="card"))).headers["etag"]
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=500)

    async def is_gone() -> bool:
        return (await visitor.get(url(image_id, size="card"), headers={"if-none-match": tag})).status_code == 404

    await eventually(is_gone)


async def test_new_renditions_are_shown_as_soon_as_they_are_there(
    studio: Studio, visitor: httpx.AsyncClient, image_id: UUID
) -> None:
    before = await visitor.get(url(image_id, size="card"))
    await change_image(image_id, {"focal_x": 0.0, "focal_y": 0.0}, actor=SYSTEM)
    await render_all(image_id, store=studio.store, pool=studio.pool)

    async def is_new() -> bool:
        answer = await visitor.get(url(image_id, size="card"), headers={"if-none-match": before.headers["etag"]})
        return answer.status_code == 200 and answer.content != before.content

    await eventually(is_new)


async def test_what_is_given_again_counts_as_a_hit(
    portal: SmallPortal, visitor: httpx.AsyncClient, image_id: UUID
) -> None:
    for _ in range(3):
        answer = await visitor.get(url(image_id, size="card"))
    assert (
        await visitor.get(url(image_id, size="card"), headers={"if-none-match": answer.headers["etag"]})
    ).status_code == 304
    (served,) = portal.usage.unwritten()
    assert (served.hits, served.misses, served.bytes) == (3, 1, 3 * len(answer.content))


async def test_only_so_many_answers_are_kept(
    portal: SmallPortal, visitor: httpx.AsyncClient, image_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers choose what follows the question mark."""
    monkeypatch.setattr(remembered, "MOST", 50)

    async def are_kept() -> bool:
        """What is heard late of the picture's own arrival empties it once more."""
        for number in range(60):
            await visitor.get(url(image_id, size="icon", x=str(number)))
            assert portal.remembered.count <= 50
        return portal.remembered.count == 50

    await eventually(are_kept)


async def test_answers_given_again_are_counted_as_the_first_is(
    portal: SmallPortal, visitor: httpx.AsyncClient, image_id: UUID
) -> None:
    for _ in range(3):
        tag = (await visitor.get(url(image_id, size="card"))).headers["etag"]
    for _ in range(2):
        assert (await visitor.get(url(image_id, size="card"), headers={"if-none-match": tag})).status_code == 304
    assert portal.remembered.count == 1
    assert (portal.taken.count, portal.taken.classes[2], portal.taken.classes[3]) == (5, 3, 2)
