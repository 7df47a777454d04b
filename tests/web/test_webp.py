"""WebP for who takes it: the JPEG until it is made, made once, its own name, gone with its picture."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image

from portal import database
from portal.accounts import pace
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_image
from portal.gallery.tasks import purge_objects
from portal.imaging.pool import ON_DEMAND
from portal.maintenance.cleanup import clean_up
from portal.media.formats import MOST_WAITING
from portal.settings import Settings
from portal.storage.cache import Cache
from tests import samples
from tests.factories import Studio, make_entity
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.renditions import BROWSER, DAY, MINUTE, YEAR, cached, count_renders, made, url


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.mark.parametrize("headers", [{}, BROWSER])
async def test_the_jpeg_comes_for_a_minute_and_then_the_webp_for_good(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, headers: dict[str, str]
) -> None:
    image_id = await portal.studio.add(await make_entity())
    address = url(image_id, size="card", v="1.1", **({} if headers else {"format": "webp"}))
    first = await visitor.get(address, headers=headers)
    assert (first.status_code, first.headers["content-type"]) == (200, "image/jpeg")
    assert (first.headers["cache-control"], first.headers["vary"]) == (MINUTE, "Accept")
    answer = await made(visitor, address, **headers)
    assert (answer.headers["cache-control"], answer.headers["vary"]) == (YEAR, "Accept")
    assert answer.headers["etag"] != first.headers["etag"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size) == ("WEBP", (400, 300))
    (file,) = cached(config)
    assert file.name == f"{image_id}-v1.1-card.webp"
    assert file.parent == config.cache_dir / "inventory_items" / image_id.hex[-2:]
    assert (file.stat().st_mode & 0o777, config.cache_dir.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_who_does_not_name_it_or_asks_for_jpeg_gets_jpeg(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    image_id = await portal.studio.add(await make_entity())
    await made(visitor, url(image_id, size="card", format="webp"))
    for query, headers in (({}, {}), ({"format": "jpeg"}, BROWSER), ({"format": "auto"}, {"accept": "*/*"})):
        answer = await visitor.get(url(image_id, size="card", **query), headers=headers)
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/jpeg", DAY)


async def test_it_answers_conditions_ranges_and_downloads_as_any_other(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    image_id = await portal.studio.add(await make_entity(), filename="mug.jpg")
    address = url(image_id, size="card", format="webp")
    whole = await made(visitor, address)
    known = await visitor.get(address, headers={"if-none-match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    part = await visitor.get(address, headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    head = await visitor.head(address)
    assert head.headers["content-length"] == str(len(whole.content))
    saved = await visitor.get(url(image_id, size="card", format="webp", download="1"))
    assert 'filename="mug-card.webp"' in saved.headers["content-disposition"]


async def test_an_animation_moves_and_what_is_clear_stays_clear(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    film = await portal.studio.add(ref, samples.animated("GIF"), filename="film.gif")
    clear = await portal.studio.add(ref, samples.transparent(), filename="clear.png")
    moving = Image.open(io.BytesIO((await made(visitor, url(film, size="small", format="webp"))).content))
    assert getattr(moving, "n_frames", 1) == 4
    still = Image.open(io.BytesIO((await made(visitor, url(clear, size="small", format="webp"))).content))
    assert still.mode == "RGBA"


async def test_however_many_ask_it_is_made_once(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = count_renders(portal, monkeypatch)
    image_id = await portal.studio.add(await make_entity())
    address = url(image_id, size="card", format="webp")
    renders.clear()
    answers = await asyncio.gather(*(visitor.get(address) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    await made(visitor, address)
    assert renders == ["card"]


async def test_many_that_ask_for_different_ones_make_no_queue_without_end(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    ids = [await portal.studio.add(ref) for _ in range(MOST_WAITING + 4)]
    is_free = asyncio.Event()
    renders = count_renders(portal, monkeypatch, is_free)
    answers = await asyncio.gather(*(visitor.get(url(each, size="icon", format="webp")) for each in ids))
    assert {answer.headers["content-type"] for answer in answers} == {"image/jpeg"}
    is_free.set()
    await eventually(lambda: len(cached(config)) >= MOST_WAITING)
    assert len(renders) == MOST_WAITING


async def test_an_original_that_is_lost_goes_on_as_jpeg(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    image_id = await portal.studio.add(await make_entity())
    for path in config.storage_dir.glob("inventory_items/??/*.jpg"):
        path.unlink()
    for _ in range(3):
        answer = await visitor.get(url(image_id, size="card", format="webp"))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert cached(config) == []


async def test_with_the_picture_its_cached_files_go(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    ref = await make_entity()
    image_id, other = await portal.studio.add(ref), await portal.studio.add(ref)
    for each in (image_id, other):
        await made(visitor, url(each, size="card", format="webp"))
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await purge_objects({}, store=portal.studio.store, cache=Cache(config.cache_dir))
    assert [path.name for path in cached(config)] == [f"{other}-v1.1-card.webp"]


async def test_a_cache_that_lets_go_of_nothing_holds_up_no_purge(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    image_id = await portal.studio.add(await make_entity())
    await made(visitor, url(image_id, size="card", format="webp"))
    (file,) = cached(config)
    file.unlink()
    file.mkdir()  # what refuses to be unlinked, also to root
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await purge_objects({}, store=portal.studio.store, cache=Cache(config.cache_dir))
    assert await database.fetch_value("SELECT count(*) FROM object_purge") == 0


async def test_cached_files_past_their_hours_are_swept_and_made_again(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    ref = await make_entity()
    old, young = await portal.studio.add(ref), await portal.studio.add(ref)
    for each in (old, young):
        await made(visitor, url(each, size="card", format="webp"))
    (config.cache_dir / "somebody.txt").write_text("not ours")
    (config.cache_dir / "inventory_items" / old.hex[-2:] / ".draft-abc_1").write_text("never finished")
    for path in cached(config):
        if str(young) not in path.name:
            os.utime(path, (1, 1))
    said = await clean_up(settings=config, store=portal.studio.store, actor=SYSTEM, dry_run=True)
    assert (said.cached_files, len(cached(config))) == (2, 4)
    done = await clean_up(settings=config, store=portal.studio.store, actor=SYSTEM, dry_run=False)
    assert done.cached_files == 2
    assert {path.name for path in cached(config)} == {f"{young}-v1.1-card.webp", "somebody.txt"}
    await made(visitor, url(old, size="card", format="webp"))


async def test_a_cache_that_cannot_be_written_costs_nobody_a_picture(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings
) -> None:
    config.cache_dir.parent.mkdir(parents=True)
    config.cache_dir.write_text("not a folder")
    image_id = await portal.studio.add(await make_entity())
    for _ in range(3):
        answer = await visitor.get(url(image_id, size="card", format="webp"))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert await database.fetch_value("SELECT status FROM image") == "ready"


def damages(whole: bytes) -> list[bytes]:
    return [b"", bytes(len(whole)), whole[:-1], whole[: len(whole) // 2], whole + b"more"]


@pytest.mark.parametrize("damage", range(5))
async def test_a_cached_file_that_is_not_whole_is_no_picture_and_made_again(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, damage: int
) -> None:
    """As after a power cut."""
    image_id = await portal.studio.add(await make_entity())
    address = url(image_id, size="card", format="webp", v="1.1")
    whole = (await made(visitor, address)).content
    (file,) = cached(config)
    file.write_bytes(damages(whole)[damage])
    async with small_portal(config, portal.studio).visitor() as later:
        answer = await later.get(address)
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/jpeg", MINUTE)
        assert (await made(later, address)).content == whole


async def test_for_print_nothing_is_rendered_where_there_is_a_webp(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await portal.studio.add(await make_entity())
    address = url(image_id, size="print", format="webp")
    await made(visitor, address)
    renders = count_renders(portal, monkeypatch)
    async with small_portal(config, portal.studio).visitor() as later:
        assert (await later.get(address)).headers["content-type"] == "image/webp"
    assert renders == []


async def test_one_address_has_only_so_many_made(
    portal: SmallPortal, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BURST", 2)
    monkeypatch.setattr(pace, "PER_SECOND", 0)
    behind = small_portal(config.replace(trusted_proxies=("127.0.0.1",)), portal.studio)
    ref = await make_entity()
    ids = [await portal.studio.add(ref) for _ in range(4)]
    async with behind.visitor() as visitor:
        for each in ids[:3]:
            await visitor.get(url(each, size="icon", format="webp"), headers={"x-forwarded-for": "192.0.2.1"})
        await visitor.get(url(ids[3], size="icon", format="webp"), headers={"x-forwarded-for": "192.0.2.2"})
    wanted = {str(ids[0]), str(ids[1]), str(ids[3])}
    await eventually(lambda: {path.name[:36] for path in cached(config)} == wanted)


async def test_all_that_is_made_by_looking_has_one_slot_behind_uploads(
    portal: SmallPortal, visitor: httpx.AsyncClient, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    ids = [await portal.studio.add(ref) for _ in range(3)]
    render, at_once, most, priorities = portal.studio.pool.render, 0, 0, set[object]()

    async def watching(*args: object, priority: object = None, **options: object) -> object:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        priorities.add(priority)
        try:
            return await render(*args, priority=priority, **options)  # type: ignore[arg-type] - passed on
        finally:
            at_once -= 1

    monkeypatch.setattr(portal.studio.pool, "render", watching)
    sizes = ["icon", "print"]
    wanted = [url(each, size=size, format="webp") for size in sizes for each in ids]
    assert {answer.status_code for answer in await asyncio.gather(*map(visitor.get, wanted))} == {200}
    await eventually(lambda: len([path for path in cached(config) if path.suffix == ".webp"]) == len(wanted))
    assert (most, priorities) == (1, {ON_DEMAND})


async def test_near_a_full_disk_no_webp_is_made(portal: SmallPortal, config: Settings) -> None:
    full = small_portal(config.replace(free_space_bytes=2**60), portal.studio)
    image_id = await portal.studio.add(await make_entity())
    async with full.visitor() as visitor:
        for _ in range(5):
            answer = await visitor.get(url(image_id, size="icon", format="webp"))
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            await asyncio.sleep(0.1)
    assert cached(config) == []
