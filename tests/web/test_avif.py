"""AVIF where it is smaller than the WebP: made together, sent to who takes it, and nobody asks in vain for ever."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_image
from portal.gallery.tasks import purge_objects
from portal.settings import Settings
from portal.storage.cache import Cache, Cached
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.renditions import BROWSER, DAY, MINUTE, YEAR, cached, count_renders, made, url

PAYS, PAYS_NOT = samples.noisy(640, 480, 80), samples.jpeg(640, 480)
AVIF_ALONE, WEBP_ALONE = {"accept": "image/avif"}, {"accept": "image/webp"}


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


def said(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["vary"] == "Accept"
    return answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]


async def test_one_render_makes_both_and_each_gets_what_it_takes(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS, filename="mug.jpg")
    renders = count_renders(portal, monkeypatch)
    address = url(image_id, size="card", v="1.1")
    assert said(await visitor.get(address, headers=WEBP_ALONE)) == (200, "image/jpeg", MINUTE)
    webp = await made(visitor, address, **WEBP_ALONE)
    avif = await visitor.get(address, headers=BROWSER)
    assert said(avif) == (200, "image/avif", YEAR)
    assert len(avif.content) < len(webp.content)
    assert len({each.headers["etag"] for each in (webp, avif)}) == 2
    picture = Image.open(io.BytesIO(avif.content))
    assert (picture.format, picture.size) == ("AVIF", (400, 300))
    assert renders == ["card"]
    assert [path.name for path in cached(config)] == [f"{image_id}-v1.1-card.{each}" for each in ("avif", "webp")]
    for headers in (AVIF_ALONE, {"accept": "image/avif;q=0.9,image/webp;q=0.1"}):
        assert (await visitor.get(address, headers=headers)).content == avif.content
    for accept in ("image/avif;q=0,image/webp", "image/avif;q=0.5,image/webp"):
        assert (await visitor.get(address, headers={"accept": accept})).content == webp.content
    assert said(await visitor.get(address, headers={"accept": "*/*"})) == (200, "image/jpeg", YEAR)


async def test_it_answers_conditions_ranges_and_downloads_as_any_other(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS, filename="mug.jpg")
    address = url(image_id, size="card", format="avif")
    whole = await made(visitor, address, "image/avif")
    assert (await visitor.get(address, headers={"if-none-match": whole.headers["etag"]})).status_code == 304
    part = await visitor.get(address, headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, b"ftypavif")
    saved = await visitor.get(url(image_id, size="card", format="avif", download="1"))
    assert 'filename="mug-card.avif"' in saved.headers["content-disposition"]


@pytest.mark.parametrize("query", [{}, {"format": "avif"}])
async def test_where_it_does_not_pay_the_next_best_is_the_answer_for_good(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, query: dict[str, str]
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS_NOT)
    address = url(image_id, size="card", v="1.1", **query)
    assert said(await visitor.get(address, headers=AVIF_ALONE)) == (200, "image/jpeg", MINUTE)
    await made(visitor, address, **BROWSER)
    assert [path.suffix for path in cached(config)] == [".webp"]
    async with small_portal(config, portal.studio).visitor() as later:
        for client in (visitor, later, visitor, later):
            assert said(await client.get(address, headers=BROWSER)) == (200, "image/webp", YEAR)
            assert said(await client.get(address, headers=AVIF_ALONE)) == (200, "image/jpeg", YEAR)


@pytest.mark.parametrize("takes", [BROWSER, AVIF_ALONE])
async def test_one_that_is_put_between_two_looks_is_not_taken_for_one_that_does_not_pay(
    portal: SmallPortal,
    visitor: httpx.AsyncClient,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
    takes: dict[str, str],
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS)
    address, looks, find = url(image_id, size="card", v="1.1"), list[str](), Cache.find
    await made(visitor, address, "image/avif", **BROWSER)

    async def a_moment_before(self: Cache, key: str) -> Cached | None:
        looks.append(key)
        return None if len(looks) == 1 else await find(self, key)

    monkeypatch.setattr(Cache, "find", a_moment_before)
    async with small_portal(config, portal.studio).visitor() as later:
        for _ in range(2):
            assert said(await later.get(address, headers=takes)) == (200, "image/avif", YEAR)
    assert looks[0].endswith(".avif")


async def test_what_moves_stays_webp(portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings) -> None:
    image_id = await portal.studio.add(await make_entity(), samples.animated("GIF"), filename="film.gif")
    answer = await made(visitor, url(image_id, size="small"), **BROWSER)
    assert getattr(Image.open(io.BytesIO(answer.content)), "n_frames", 1) == 4
    assert [path.suffix for path in cached(config)] == [".webp"]


async def test_two_hundred_that_ask_two_processes_cause_one_render(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS)
    renders = count_renders(portal, monkeypatch)
    async with small_portal(config, portal.studio).visitor() as other:
        wishes = [(client, headers) for client in (visitor, other) for headers in (BROWSER, WEBP_ALONE) * 50]
        address = url(image_id, size="gallery")
        async with Cache(config.cache_dir).turn():  # nothing is made before all have asked
            answers = await asyncio.gather(*(client.get(address, headers=headers) for client, headers in wishes))
        assert {said(answer) for answer in answers} == {(200, "image/jpeg", MINUTE)}
        for client in (visitor, other):
            await made(client, address, "image/avif", **BROWSER)
    assert renders == ["gallery"]


async def test_a_cached_file_that_is_not_whole_is_never_sent(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS)
    address = url(image_id, size="card")
    whole = (await made(visitor, address, "image/avif", **BROWSER)).content
    avif, webp = cached(config)
    for damaged in (b"", bytes(len(whole)), whole[:-1], whole[: len(whole) // 2], whole + b"more"):
        avif.write_bytes(damaged)
        async with small_portal(config, portal.studio).visitor() as later:
            assert said(await later.get(address, headers=BROWSER)) == (200, "image/webp", DAY)
    webp.unlink()  # as when it is swept: then both are made anew
    async with small_portal(config, portal.studio).visitor() as later:
        assert (await made(later, address, "image/avif", **BROWSER)).content == whole


async def test_with_the_picture_all_its_cached_files_go(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    image_id = await portal.studio.add(await make_entity(), PAYS)
    await made(visitor, url(image_id, size="print"), "image/avif", **BROWSER)
    assert [path.suffix for path in cached(config)] == [".avif", ".jpg", ".webp"]
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await purge_objects({}, store=portal.studio.store, cache=Cache(config.cache_dir))
    assert cached(config) == []


async def test_hostile_wishes_get_the_jpeg_and_make_nothing(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    image_id = await portal.studio.add(await make_entity())
    address = url(image_id, size="icon", v="1.1")
    for accept in (
        b"image/avif," * 10_000,
        b"x" * 100_000,
        b"\xff\xfe;q=,,;",
        b"image/" + b"?" * 900,
        b"",
        b"text/html",
    ):
        assert said(await visitor.get(address, headers=[(b"accept", accept)])) == (200, "image/jpeg", YEAR)
    for format in ("avif2", "AVIF", "../webp", "jpg", "gif", ""):
        answer = await visitor.get(url(image_id, size="icon", format=format), headers=BROWSER)
        assert answer.status_code == 422
    assert cached(config) == []
