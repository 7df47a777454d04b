"""Bytes of pictures over HTTP: who gets them, how long they keep, and what else can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_image, trash_image
from portal.gallery.queries import get_image
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.imaging.presets import READY
from portal.media.wish import read_wish
from portal.settings import Settings
from portal.storage.keys import rendition_key
from tests import samples
from tests.factories import Studio, make_entity
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal, small_portal

YEAR = "public, max-age=31536000, immutable"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.fixture
async def listening(portal: SmallPortal) -> AsyncIterator[None]:
    """The catalogue hears of changes and trusts what it holds."""
    task = asyncio.create_task(portal.catalogue.run())
    await eventually(lambda: portal.catalogue.is_trusted)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def url(image_id: UUID, **query: str) -> str:
    return str(httpx.URL(f"/api/images/serve/{image_id}", params=query))


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def refocus(portal: SmallPortal, image_id: UUID) -> None:
    await change_image(image_id, {"focal_x": 0.0, "focal_y": 0.0}, actor=SYSTEM)
    await render_all(image_id, store=portal.studio.store, pool=portal.studio.pool)


async def test_every_rendition_is_served_as_it_was_stored(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    image_id = await portal.studio.add(ref)
    for name in READY:
        answer = await visitor.get(url(image_id, size=name))
        stored = await portal.studio.store.read(rendition_key(ref.type, image_id, 1, 1, name))
        assert (answer.status_code, answer.content) == (200, stored)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-length"] == str(len(stored))
    assert (await visitor.get(url(image_id))).content == stored  # optimized is the default, and the last of READY


async def test_a_public_picture_says_how_it_may_be_kept_and_used(portal: SmallPortal, visitor: httpx.AsyncClient):
    answer = await visitor.get(url(await portal.studio.add(await make_entity()), size="card"))
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["accept-ranges"] == "bytes"
    assert "set-cookie" not in answer.headers
    assert len(answer.headers.get_list("content-security-policy")) == 1


async def test_only_the_full_current_version_is_immutable(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity())
    await refocus(portal, image_id)
    now = (await visitor.get(url(image_id, size="card"))).content
    for v, keep in {"1.2": YEAR, "1.1": "public, max-age=60", "1": "public, max-age=60"}.items():
        answer = await visitor.get(url(image_id, size="card", v=v))
        assert (answer.content, answer.headers["cache-control"]) == (now, keep)
    image = await get_image(image_id, portal.links)
    assert (await visitor.get(image.renditions["card"].url)).headers["cache-control"] == YEAR


@pytest.mark.parametrize("v", ["1.2", "2", "2.1", "0", "1.", ".1", "x", "1.01", "-1", "1.1.1", "9" * 40, "1.1\n", "١"])
async def test_a_version_that_never_was_is_not_found(portal: SmallPortal, visitor: httpx.AsyncClient, v: str):
    image_id = await portal.studio.add(await make_entity())
    assert_problem(await visitor.get(url(image_id, v=v)), 404, "not_found")


async def test_the_last_whole_renditions_are_served_while_new_ones_are_made(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    image_id = await portal.studio.add(await make_entity())
    await change_image(image_id, {"focal_x": 0.0, "focal_y": 0.0}, actor=SYSTEM)
    assert (await visitor.get(url(image_id, v="1.1"))).headers["cache-control"] == YEAR
    assert_problem(await visitor.get(url(image_id, v="1.2")), 404, "not_ready")


async def test_a_picture_is_not_sent_twice(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity())
    first = await visitor.get(url(image_id, size="icon"))
    tag, date = first.headers["etag"], first.headers["last-modified"]
    assert not tag.startswith("W/")
    for headers in ({"if-none-match": f'"x", W/{tag}'}, {"if-none-match": "*"}, {"if-modified-since": date}):
        again = await visitor.get(url(image_id, size="icon"), headers=headers)
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "last-modified", "cache-control", "vary"):
            assert again.headers[name] == first.headers[name]
    assert (await visitor.get(url(image_id, size="small"), headers={"if-none-match": tag})).status_code == 200
    assert_problem(await visitor.get(url(image_id), headers={"if-match": '"x"'}), 412, "stale")


async def test_head_says_the_same_without_the_bytes(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity())
    get, head = await visitor.get(url(image_id)), await visitor.head(url(image_id))
    assert (head.status_code, head.content) == (200, b"")
    ours = {name: value for name, value in get.headers.items() if name != "x-request-id"}
    assert ours == {name: value for name, value in head.headers.items() if name != "x-request-id"}


async def test_a_part_of_a_picture_can_be_had(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity())
    whole = await visitor.get(url(image_id))
    part = await visitor.get(url(image_id), headers={"range": "bytes=10-19", "if-range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert part.headers["content-length"] == "10"
    beyond = await visitor.get(url(image_id), headers={"range": f"bytes={len(whole.content)}-"})
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert_problem(beyond, 416, "bad_request")


@pytest.mark.parametrize("format", ["webp", "avif"])
async def test_a_format_not_made_yet_is_answered_by_jpeg_for_a_minute(
    portal: SmallPortal, visitor: httpx.AsyncClient, format: str
):
    image_id = await portal.studio.add(await make_entity())
    answer = await visitor.get(url(image_id, format=format, v="1.1"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "public, max-age=60"
    plain = await visitor.get(url(image_id, format="auto"), headers={"accept": "*/*"})
    assert plain.headers["cache-control"] == "public, max-age=86400"


async def test_what_cannot_be_is_refused_in_plain_words(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity())
    assert_problem(await visitor.get(url(image_id, size="huge")), 404, "not_found")
    assert_problem(await visitor.get(url(image_id, size="")), 404, "not_found")
    assert_problem(await visitor.get(url(image_id, format="bmp")), 422, "bad_field")
    assert_problem(await visitor.get(url(uuid4())), 404, "not_found")
    for id in ("x", "0", str(image_id)[:-1], f"{{{image_id}}}", image_id.hex, "%00", "%ff", "..%2f..", "é" * 36):
        assert_problem(await visitor.get(f"/api/images/serve/{id}"), 404, "not_found")
    for query in (b"%", b"&&&", b"=", b"size", b"size=%ff%fe", b"size=card&v=%00", b"exp=x&sig=%ff"):
        answer = await visitor.get(httpx.URL(f"http://127.0.0.1/api/images/serve/{image_id}", query=query))
        assert answer.status_code in (200, 404)
    assert read_wish(url(image_id), b"\xff=\xff&size=large&sig=\xff&size=card").size == "card"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"])
async def test_pictures_are_read_only(portal: SmallPortal, visitor: httpx.AsyncClient, method: str):
    image_id = await portal.studio.add(await make_entity())
    answer = await visitor.request(method, url(image_id))
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_a_picture_in_the_making_says_when_to_come_back(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity(), ready=False)
    answer = await visitor.get(url(image_id))
    assert_problem(answer, 404, "not_ready")
    assert int(answer.headers["retry-after"]) > 0
    await render_all(image_id, store=portal.studio.store, pool=portal.studio.pool)
    assert (await visitor.get(url(image_id))).status_code == 200


async def test_lost_or_damaged_bytes_are_gone_and_never_sent(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    image_id = await portal.studio.add(ref)
    path = portal.studio.store.path_of(rendition_key(ref.type, image_id, 1, 1, "card"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert_problem(await visitor.get(url(image_id, size="card")), 410, "gone")
    path.unlink()
    assert_problem(await visitor.get(url(image_id, size="card")), 410, "gone")
    assert (await visitor.head(url(image_id, size="card"))).status_code == 410
    assert (await visitor.get(url(image_id, size="icon"))).status_code == 200


async def test_a_download_carries_the_pictures_name(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity(), filename="Smørbrød «fjord».jpg")
    disposition = (await visitor.get(url(image_id, size="card", download="1"))).headers["content-disposition"]
    assert disposition.startswith("attachment; filename=\"Sm_rbr_d _fjord_-card.jpg\"; filename*=UTF-8''")
    assert unquote(disposition.rpartition("''")[2]) == "Smørbrød «fjord»-card.jpg"
    assert "content-disposition" not in (await visitor.get(url(image_id, size="card"))).headers


async def test_the_original_is_for_those_who_signed_in_and_always_a_download(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    data = samples.png()
    image_id = await portal.studio.add(await make_entity(), data, filename="box.png")
    assert_problem(await visitor.get(url(image_id, size="original")), 404, "not_found")
    async with await portal.caller("viewer") as viewer:
        answer = await viewer.get(url(image_id, size="original", v="1"))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, data, "image/png")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_private_picture_is_for_signed_links_and_those_who_signed_in(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    image_id = await portal.studio.add(await make_entity("invoices"))
    unknown = (await visitor.get(url(uuid4(), size="card"))).json()
    refused = await visitor.get(url(image_id, size="card"))
    assert_problem(refused, 404, "not_found")
    assert {**refused.json(), "request_id": ""} == {**unknown, "request_id": ""}
    signed = (await get_image(image_id, portal.links)).renditions["card"].url
    answer = await visitor.get(signed)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, max-age=300")
    async with await portal.caller("viewer") as viewer:
        assert (await viewer.get(url(image_id, size="card"))).content == answer.content
    async with portal.visitor(authorization="Bearer pt_nobody") as stranger:
        for id in (image_id, uuid4()):
            assert_problem(await stranger.get(url(id)), 401, "unauthenticated")


async def test_a_signed_link_is_for_that_picture_size_version_and_time(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity("invoices")
    image_id, other = await portal.studio.add(ref), await portal.studio.add(ref)
    good = portal.links.signed(image_id, "card", 1, 1, int(datetime.now(UTC).timestamp()) + 60)
    assert (await visitor.get(good)).status_code == 200
    forged = [
        good.replace("size=card", "size=large"),
        good.replace("size=card", "size=original"),
        good.replace("size=card&", ""),
        good.replace("v=1.1", "v=1"),
        good.replace("&v=1.1", ""),
        good.replace("exp=", "exp=1"),
        good.replace(str(image_id), str(other)),
        good.rpartition("&sig=")[0],
        good + "A",
        good[:-1] + ("A" if good[-1] != "A" else "B"),
    ]
    for link in forged:
        assert_problem(await visitor.get(link), 404, "not_found")
    late = portal.links.signed(image_id, "card", 1, 1, int(datetime.now(UTC).timestamp()) - 1)
    assert_problem(await visitor.get(late), 410, "gone")
    async with await portal.caller("viewer") as viewer:
        assert (await viewer.get(late)).status_code == 200


async def test_what_is_in_the_trash_is_for_those_who_signed_in(portal: SmallPortal, visitor: httpx.AsyncClient):
    public, private = (
        await portal.studio.add(await make_entity()),
        await portal.studio.add(await make_entity("invoices")),
    )
    signed = (await get_image(private, portal.links)).renditions["card"].url
    for image_id in (public, private):
        await trash_image(image_id, actor=SYSTEM, deletes_per_hour=500)
    for link in (url(public, size="card"), signed):
        assert_problem(await visitor.get(link), 404, "not_found")
        async with await portal.caller("viewer") as viewer:
            answer = await viewer.get(link)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, max-age=300")


async def test_a_known_picture_needs_no_database_and_a_change_is_heard_at_once(
    portal: SmallPortal, visitor: httpx.AsyncClient, listening: None
):
    image_id = await portal.studio.add(await make_entity())

    async def is_known() -> bool:
        """What is heard late of the picture's own arrival makes it be asked for once more."""
        assert (await visitor.get(url(image_id))).status_code == 200
        pool, database.DB.pool = database.DB.pool, None
        try:
            assert_problem(await visitor.get(url(uuid4())), 503, "unavailable")
            return (await visitor.get(url(image_id))).status_code == 200
        finally:
            database.DB.pool = pool

    await eventually(is_known)
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=500)

    async def is_gone() -> bool:
        return (await visitor.get(url(image_id))).status_code == 404

    await eventually(is_gone)


async def test_without_notices_nothing_is_trusted(portal: SmallPortal, visitor: httpx.AsyncClient, listening: None):
    image_id = await portal.studio.add(await make_entity())
    assert (await visitor.get(url(image_id))).status_code == 200
    await database.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE query LIKE 'LISTEN%portal_image%' AND datname = current_database()"""
    )
    await eventually(lambda: not portal.catalogue.is_trusted)
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=500)
    assert (await visitor.get(url(image_id))).status_code == 404
    await eventually(lambda: portal.catalogue.is_trusted)
    assert (await visitor.get(url(image_id))).status_code == 404


async def test_a_change_while_an_entry_is_read_is_not_lost(
    portal: SmallPortal, visitor: httpx.AsyncClient, listening: None
):
    image_id = await portal.studio.add(await make_entity())
    for turn in range(20):
        reads = [asyncio.create_task(visitor.get(url(image_id))) for _ in range(4)]
        await database.execute("UPDATE image SET version = $2 WHERE id = $1", image_id, turn + 2)
        await asyncio.gather(*reads)

    async def is_new() -> bool:
        entry = await portal.catalogue.find(image_id)
        return entry is not None and entry.wanted[0] == 21

    await eventually(is_new)


async def test_an_editor_signs_a_link_for_somebody_without_account(portal: SmallPortal, visitor: httpx.AsyncClient):
    image_id = await portal.studio.add(await make_entity("invoices"))
    async with await portal.caller("editor") as editor:
        answer = await editor.post(f"/api/images/{image_id}/url", json={"size": "large", "seconds": 600})
        assert answer.status_code == 200
        link, expires = answer.json()["url"], datetime.fromisoformat(answer.json()["expires_at"])
        assert timedelta(seconds=590) < expires - datetime.now(UTC) <= timedelta(seconds=600)
        assert link.startswith("/api/images/serve/")
        assert link.rpartition("&")[2].startswith("sig=")
        for wrong in (
            {"size": "original", "seconds": 600},
            {"size": "large", "seconds": 0},
            {"size": "large", "seconds": 604_801},
            {"size": "large", "seconds": "600"},
            {"size": "large", "seconds": True},
            {"size": ["large"], "seconds": 600},
            {"size": "large", "seconds": 600, "more": 1},
        ):
            assert_problem(await editor.post(f"/api/images/{image_id}/url", json=wrong), 422, "bad_field")
        assert_problem(
            await editor.post(f"/api/images/{uuid4()}/url", json={"size": "large", "seconds": 9}), 404, "not_found"
        )
    assert (await visitor.get(link)).status_code == 200
    async with await portal.caller("viewer") as viewer:
        assert_problem(await viewer.post(f"/api/images/{image_id}/url", json={"size": "large"}), 403, "forbidden")
