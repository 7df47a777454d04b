"""The print size: made once, kept in the cache, and strangers who ask for too many get a smaller one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from portal.accounts import pace
from portal.media import formats
from portal.media.formats import MOST_WAITING
from portal.settings import Settings
from portal.storage.keys import original_key
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.renditions import DAY, MINUTE, YEAR, cached, count_renders, url


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


async def test_it_is_made_once_however_many_ask(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await portal.studio.add(await make_entity(), samples.jpeg(1600, 1200))
    renders = count_renders(portal, monkeypatch)
    answers = await asyncio.gather(*(visitor.get(url(image_id, size="print", v="1.1")) for _ in range(200)))
    assert {(answer.status_code, answer.headers["cache-control"]) for answer in answers} == {(200, YEAR)}
    assert len({answer.content for answer in answers}) == 1
    with Image.open(io.BytesIO(answers[0].content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1063, 797))
    again = await visitor.get(url(image_id, size="print"), headers={"if-none-match": answers[0].headers["etag"]})
    assert again.status_code == 304
    assert renders == ["print"]


async def test_a_restart_does_not_make_it_again(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await portal.studio.add(await make_entity())
    first = await visitor.get(url(image_id, size="print"))
    (file,) = cached(config)
    assert (file.name, file.read_bytes()) == (f"{image_id}-v1.1-print.jpg", first.content)
    renders = count_renders(portal, monkeypatch)
    async with small_portal(config, portal.studio).visitor() as later:
        again = await later.get(url(image_id, size="print"))
    assert (again.content, again.headers["etag"], renders) == (first.content, first.headers["etag"], [])


async def test_a_damaged_one_is_made_again(portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings) -> None:
    image_id = await portal.studio.add(await make_entity())
    whole = (await visitor.get(url(image_id, size="print"))).content
    (file,) = cached(config)
    for damaged in (b"", bytes(len(whole)), whole[:-1], whole[: len(whole) // 2], whole + b"more"):
        file.write_bytes(damaged)
        async with small_portal(config, portal.studio).visitor() as later:
            assert (await later.get(url(image_id, size="print"))).content == whole


@pytest.mark.parametrize("trouble", ["no folder", "no room"])
async def test_a_cache_that_cannot_take_it_costs_nobody_a_picture(
    portal: SmallPortal, config: Settings, trouble: str
) -> None:
    if trouble == "no folder":
        config.cache_dir.parent.mkdir(parents=True)
        config.cache_dir.write_text("not a folder")
    full = config.replace(free_space_bytes=2**60) if trouble == "no room" else config
    image_id = await portal.studio.add(await make_entity())
    async with small_portal(full, portal.studio).visitor() as visitor:
        for _ in range(2):
            assert (await visitor.get(url(image_id, size="print"))).status_code == 200
    assert [path for path in cached(config) if path.suffix == ".jpg"] == []


async def test_a_stranger_who_asks_for_too_many_gets_a_smaller_one_for_a_minute(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BURST", 1)
    monkeypatch.setattr(pace, "PER_SECOND", 0)
    ref = await make_entity()
    ids = [await portal.studio.add(ref, samples.jpeg(1700 + number, 1200)) for number in range(2)]
    first, second = [await visitor.get(url(each, size="print", v="1.1")) for each in ids]
    assert (Image.open(io.BytesIO(first.content)).width, first.headers["cache-control"]) == (1063, YEAR)
    assert (Image.open(io.BytesIO(second.content)).width, second.headers["cache-control"]) == (800, MINUTE)
    async with await portal.caller("viewer") as viewer:
        answer = await viewer.get(url(ids[1], size="print"))
    assert (Image.open(io.BytesIO(answer.content)).width, answer.headers["cache-control"]) == (1063, DAY)


async def test_strangers_do_not_make_a_queue_without_end(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    ids = [await portal.studio.add(ref) for _ in range(MOST_WAITING + 3)]
    is_free = asyncio.Event()
    renders = count_renders(portal, monkeypatch, is_free)
    asked = [asyncio.create_task(visitor.get(url(each, size="print"))) for each in ids]
    done, _ = await asyncio.wait(asked, timeout=None, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().headers["cache-control"] for task in done} == {MINUTE}
    is_free.set()
    answers = await asyncio.gather(*asked)
    assert sorted(answer.headers["cache-control"] for answer in answers) == [MINUTE] * 3 + [DAY] * MOST_WAITING
    assert len(renders) == MOST_WAITING


async def test_one_of_a_lost_original_is_gone(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity()
    image_id = await portal.studio.add(ref)
    portal.studio.store.path_of(original_key(ref.type, image_id, 1, "jpg")).unlink()
    assert (await visitor.get(url(image_id, size="print"))).status_code == 410


@pytest.mark.parametrize(("seconds", "tries"), [(600, 1), (0, 3)])
async def test_instead_of_what_the_decoder_refuses_a_smaller_one_is_printed_and_it_is_tried_again_only_after_a_while(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, seconds: int, tries: int
) -> None:
    monkeypatch.setattr(formats, "TRIED_AGAIN", seconds)
    ref = await make_entity()
    image_id = await portal.studio.add(ref, samples.jpeg(1700, 1200))
    portal.studio.store.path_of(original_key(ref.type, image_id, 1, "jpg")).write_bytes(b"no picture")
    renders = count_renders(portal, monkeypatch)
    for _ in range(3):
        answer = await visitor.get(url(image_id, size="print", v="1.1"))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, MINUTE)
        assert Image.open(io.BytesIO(answer.content)).width == 800
    assert renders == ["print"] * tries


async def test_one_of_an_original_that_the_disk_does_not_give_may_come_later(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    image_id = await portal.studio.add(ref)
    original = portal.studio.store.path_of(original_key(ref.type, image_id, 1, "jpg"))
    original.unlink()
    original.mkdir()  # what can't be read, also by root
    answer = await visitor.get(url(image_id, size="print"))
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["cache-control"]) == (
        503,
        "30",
        "no-store",
    )
