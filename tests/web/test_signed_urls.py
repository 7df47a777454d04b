"""A signed URL opens one rendition of one picture until one moment, in one spelling, and nothing else."""

from __future__ import annotations

import string
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import restore_image, trash_image
from portal.imaging.presets import READY
from portal.settings import Settings
from portal.storage.links import Links
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.raw import ask

# for each kind of place, what may stand there instead: the next of its own kind, another case, and what is none at all
INSTEAD = string.ascii_letters + string.digits + "-_.=%+ &;/~\0\xff"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.fixture
async def image(studio: Studio, db: None) -> UUID:
    return await studio.add(await make_entity("invoices", "A-1"))


def signed(
    portal: SmallPortal, image: UUID, size: str = "card", v: tuple[int, int] = (1, 1), seconds: int = 600
) -> str:
    return portal.links.signed(image, size, *v, int(time.time()) + seconds)


async def status(portal: SmallPortal, url: str, method: str = "GET", **headers: str) -> int:
    return (await ask(portal.app, url, method, **headers)).status


async def test_any_byte_that_is_another_opens_nothing(portal: SmallPortal, image: UUID):
    url = signed(portal, image)
    assert await status(portal, url) == 200
    start = url.index(f"/{image}")
    for place in range(start, len(url)):
        flipped = {chr(ord(url[place]) ^ bit) for bit in (1, 32, 128)}
        others = flipped | set(INSTEAD[place % 13 :: 13]) | {url[place].swapcase()}
        for other in others - {url[place]}:
            if place < url.index("?") and not other.isascii():
                continue  # what no server hands on
            forged = url[:place] + other + url[place + 1 :]
            assert await status(portal, forged) == 404, (place, forged)


@pytest.mark.parametrize("change", ["drop", "double"])
async def test_no_byte_is_left_out_or_doubled(portal: SmallPortal, image: UUID, change: str):
    url = signed(portal, image)
    for place in range(url.index(str(image)), len(url)):
        middle = "" if change == "drop" else 2 * url[place]
        forged = url[:place] + middle + url[place + 1 :]
        assert await status(portal, forged) == 404, forged


async def test_a_signature_is_for_one_spelling(portal: SmallPortal, image: UUID):
    url = signed(portal, image)
    path, _, query = url.partition("?")
    pairs = query.split("&")
    odd = [f"{path}?{query}&{pair}" for pair in pairs]  # each doubled, with what it had
    odd += [f"{path}?{pair}&{query}" for pair in ("size=large", "size=original", "v=1.2", "exp=1", "sig=A")]
    odd += [f"{path}?{query}&size=large", f"{path}?{query}&", f"{path}?&{query}", f"{path}?{query}&utm=1"]
    odd += [f"{path}?{query}{junk}" for junk in ("=", "==", "%00", "%20", "+", ".", "A", ";", "&sig", "%3D")]
    odd += [
        url.replace(".", "%2e"),
        url.replace(".", "%2E"),
        url.replace("card", "%63ard"),
        url.replace("card", "Card"),
    ]
    odd += [url.replace("exp=", "exp=0"), url.replace("exp=", "exp=+"), url.replace("v=1.1", "v=01.1")]
    odd += [url.replace("v=1.1", "v=1"), url.replace("v=1.1", "v=1.10"), url.replace("&sig=", "&SIG=")]
    odd += [
        url.replace("size=card&", ""),
        url.replace("v=1.1&", ""),
        url.partition("&sig")[0],
        url.partition("&exp")[0],
    ]
    odd += [url.replace(str(image), str(image).upper()), url.replace(str(image), image.hex)]
    for forged in odd:
        if forged != url:
            assert await status(portal, forged) == 404, forged
    for harmless in (f"{url}&format=jpeg", f"{url}&download=1"):  # what the signature does not speak of
        assert await status(portal, harmless) == 200, harmless


async def test_another_size_or_picture_and_never_the_original(portal: SmallPortal, image: UUID):
    other = await portal.studio.add(await make_entity("invoices", "A-2"))
    url = signed(portal, image)
    for size in (*READY, "print", "original", "", "huge"):
        expected = 200 if size == "card" else 404
        assert await status(portal, url.replace("size=card", f"size={size}")) == expected, size
    assert await status(portal, url.replace(str(image), str(other))) == 404
    for forged in (signed(portal, image, "original"), signed(portal, image, "original") + "&format=jpeg&download=1"):
        assert await status(portal, forged) == 404  # even signed by us, which nothing does
    async with await portal.caller("editor") as editor:
        refused = await editor.post(f"/api/images/{image}/url", json={"size": "original", "seconds": 60})
    assert refused.status_code == 422


async def test_a_size_that_the_signature_does_not_name_cannot_be_had_by_asking_for_its_default(
    portal: SmallPortal, image: UUID
):
    url = signed(portal, image, "optimized")
    assert await status(portal, url) == 200
    assert await status(portal, url.replace("size=optimized&", "")) == 404


async def test_its_time_ends(portal: SmallPortal, image: UUID):
    late = signed(portal, image, seconds=-1)
    assert await status(portal, late) == 410
    assert await status(portal, late[:-1] + ("A" if late[-1] != "A" else "B")) == 404  # not ours: nothing is told
    exp = late.partition("exp=")[2].partition("&")[0]
    assert await status(portal, late.replace(exp, str(int(exp) + 600))) == 404


async def test_keys_rotate(portal: SmallPortal, config: Settings, studio: Studio, image: UUID):
    old, new = b"o" * 32, b"n" * 32
    url = Links((old,), frozenset()).signed(image, "card", 1, 1, int(time.time()) + 600)
    for keys, expected in (
        ((old,), 200),
        ((new, old), 200),
        ((new,), 404),
        ((old[:-1],), 404),
        ((b"x" * 32, new), 404),
    ):
        rotated = small_portal(config.replace(secret_keys=keys), studio)
        assert await status(rotated, url) == expected, keys
    fresh = Links((new, old), frozenset()).signed(image, "card", 1, 1, int(time.time()) + 600)
    assert await status(small_portal(config.replace(secret_keys=(new,)), studio), fresh) == 200


async def test_an_old_versions_url_never_shows_newer_bytes_as_its_own(portal: SmallPortal, image: UUID):
    """As the contract says: who visits gets what is shown now, for a minute; the URL of a version to come is none."""
    old = signed(portal, image)
    await portal.studio.replace(image, samples.jpeg(80, 60))
    row = await database.fetch_row("SELECT version, rendering FROM image WHERE id = $1", image)
    assert row is not None
    now = signed(portal, image, v=(row["version"], row["rendering"]))
    async with portal.visitor() as visitor:
        shown, fresh = await visitor.get(old), await visitor.get(now)
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "private, max-age=60")
        assert shown.content == fresh.content
        assert fresh.headers["cache-control"] == "private, max-age=300"
        assert await status(portal, signed(portal, image, v=(row["version"] + 1, 1))) == 404
        assert await status(portal, now.replace(f"v={row['version']}.", "v=1.")) == 404


async def test_a_picture_in_the_trash_is_shown_by_no_url(portal: SmallPortal, visitor: httpx.AsyncClient, image: UUID):
    urls = [signed(portal, image, size) for size in READY]
    etag = (await visitor.get(urls[0])).headers["etag"]
    await trash_image(image, actor=SYSTEM, deletes_per_hour=0)
    for url in urls:
        for method in ("GET", "HEAD"):
            assert await status(portal, url, method) == 404
    assert await status(portal, urls[0], if_none_match=etag) == 404
    await restore_image(image, actor=SYSTEM)
    assert await status(portal, urls[0]) == 200


async def test_what_is_signed_is_kept_by_no_shared_cache(portal: SmallPortal, visitor: httpx.AsyncClient, image: UUID):
    url = signed(portal, image)
    first = await visitor.get(url)
    asked: list[dict[str, Any]] = [
        {},
        {"range": "bytes=0-9"},
        {"range": "bytes=999999999-"},
        {"if-none-match": first.headers["etag"]},
        {"if-match": '"other"'},
    ]
    for headers in asked:
        for address in (url, signed(portal, image, seconds=-1), url[:-1], url.replace("card", "original")):
            said = (await visitor.get(address, headers=headers)).headers["cache-control"]
            assert "private" in said or said == "no-store", (headers, address)
            assert "public" not in said
