"""Originals are large: sent in pieces to whoever reads slowly, or by the web server in front, and never damaged ones."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal.media.originals import PIECE
from portal.storage.keys import original_key
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.whole_app import caller, render, working_app

LARGE = samples.noisy(2400, 1800)


@pytest.fixture
def portal(config: Any, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


async def add(portal: SmallPortal, data: bytes = LARGE) -> tuple[str, Path]:
    ref = await make_entity()
    image_id = await portal.studio.add(ref, data)
    path = portal.studio.store.path_of(original_key(ref.type, image_id, 1, "jpg"))
    return f"/api/images/serve/{image_id}?size=original", path


async def test_an_original_arrives_as_it_was_sent_whole_and_in_parts(portal: SmallPortal):
    assert len(LARGE) > 4 * PIECE
    url, _ = await add(portal)
    async with await portal.caller("viewer") as viewer:
        whole = await viewer.get(url)
        assert hashlib.sha256(whole.content).digest() == hashlib.sha256(LARGE).digest()
        assert whole.headers["content-length"] == str(len(LARGE))
        for first, last in ((0, 0), (PIECE - 1, PIECE), (10, 3 * PIECE), (len(LARGE) - 5, len(LARGE) + 5)):
            part = await viewer.get(url, headers={"range": f"bytes={first}-{last}"})
            assert (part.status_code, part.content) == (206, LARGE[first : last + 1])
            assert part.headers["content-length"] == str(len(part.content))
        known = await viewer.get(url, headers={"if-none-match": whole.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        head = await viewer.head(url)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(LARGE)), b"")


async def test_who_reads_slowly_holds_one_piece_in_memory(portal: SmallPortal):
    """The next piece is read when the one before it has been taken."""
    url, _ = await add(portal)
    taken, begun, go_on = 0, asyncio.Event(), asyncio.Event()
    sizes: list[int] = []
    async with await portal.caller("viewer") as viewer:
        request = viewer.build_request("GET", url)

    async def send(message: Any) -> None:
        nonlocal taken
        if message["type"] == "http.response.body":
            sizes.append(len(message.get("body", b"")))
            begun.set()
            await go_on.wait()
            taken += sizes[-1]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }
    task = asyncio.create_task(portal.app(scope, receive, send))
    await begun.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert sizes == [PIECE]
    go_on.set()
    await task
    assert taken == len(LARGE)
    assert max(sizes) == PIECE


@pytest.mark.parametrize("harm", ["flipped", "cut", "longer", "removed", "a folder", "a link"])
async def test_a_lost_or_damaged_original_is_gone_also_after_it_was_sent_whole(portal: SmallPortal, harm: str):
    url, path = await add(portal)
    async with await portal.caller("viewer") as viewer:
        assert (await viewer.get(url)).status_code == 200
        await asyncio.to_thread(damage, path, harm)
        for method in ("GET", "HEAD"):
            assert (await viewer.request(method, url)).status_code == 410
        part = await viewer.get(url, headers={"range": "bytes=0-9"})
        assert (part.status_code, part.json()["code"]) == (410, "gone")


def damage(path: Path, harm: str) -> None:
    data = path.read_bytes()
    if harm == "flipped":  # in place, of the same length, and dated back
        before = path.stat()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return
    if harm in ("cut", "longer"):
        path.write_bytes(data[:-1] if harm == "cut" else data + b"x")
        return
    path.unlink()
    if harm == "a folder":
        path.mkdir()
    if harm == "a link":
        outside = path.with_suffix(".outside")
        outside.write_bytes(data)
        path.symlink_to(outside)


@pytest.fixture(params=["x-accel", "x-sendfile"])
async def app(request: pytest.FixtureRequest, db: None, tmp_path: Path) -> AsyncIterator[Litestar]:
    settings = {"PORTAL_SENDFILE": request.param, "PORTAL_TRUSTED_PROXIES": "10.0.0.1"}
    async with working_app(tmp_path, **settings) as app:
        yield app


async def through(app: Litestar, address: str, role: str | None) -> httpx.AsyncClient:
    """Somebody whose requests come from this peer."""
    client = await caller(app, role)
    transport = httpx.ASGITransport(app=app, client=(address, 4711))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=client.base_url, headers=client.headers)


async def uploaded(app: Litestar) -> tuple[str, Path]:
    await make_entity(id="MUG")
    editor = await caller(app, "editor")
    form = {"entity_type": "inventory_items", "entity_id": "MUG"}
    answer = await editor.post("/api/images/upload", data=form, files={"file": ("Smørbrød.jpg", LARGE)})
    image_id = answer.json()["id"]
    key = original_key("inventory_items", UUID(image_id), 1, "jpg")
    return f"/api/images/serve/{image_id}?size=original", app.state.parts.store.path_of(key)


def left_to(answer: httpx.Response, path: Path) -> bool:
    """Is it said where the file lies, and nothing sent of it?"""
    inside = answer.headers.get("x-accel-redirect", "")
    said = answer.headers.get("x-sendfile", "") == str(path)
    said = said or (
        inside.startswith("/_originals/") and str(path).endswith(unquote(inside.removeprefix("/_originals")))
    )
    return said and (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


async def test_the_web_server_in_front_is_told_where_the_original_lies(app: Litestar):
    url, path = await uploaded(app)
    viewer = await through(app, "10.0.0.1", "viewer")
    whole = await viewer.get(url)
    assert left_to(whole, path)
    assert whole.headers["content-type"] == "image/jpeg"
    assert "Sm%C3%B8rbr%C3%B8d.jpg" in whole.headers["content-disposition"]
    assert whole.headers["cache-control"].startswith("private, ")
    assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert whole.headers["etag"].strip('"').endswith("-original")
    assert left_to(await viewer.get(url, headers={"range": "bytes=10-19"}), path)
    assert left_to(await viewer.get(url, headers={"range": "bytes=10-19", "if-range": '"other"'}), path)


async def test_what_needs_no_bytes_or_must_be_weighed_is_still_answered_here(app: Litestar):
    url, path = await uploaded(app)
    viewer = await through(app, "10.0.0.1", "viewer")
    etag = (await viewer.get(url)).headers["etag"]
    assert (await viewer.get(url, headers={"if-none-match": etag})).status_code == 304
    assert (await viewer.get(url, headers={"if-match": '"other"'})).status_code == 412
    assert (await viewer.get(url, headers={"range": f"bytes={len(LARGE)}-"})).status_code == 416
    assert (await viewer.get(url, headers={"if-match": etag})).content == LARGE
    head = await viewer.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(LARGE)), b"")
    path.unlink()
    for answer in (await viewer.get(url), await viewer.head(url)):
        assert answer.status_code == 410
        assert not {"x-accel-redirect", "x-sendfile"} & set(answer.headers)


async def test_nobody_but_a_proxy_of_ours_is_told_where_files_lie(app: Litestar):
    url, path = await uploaded(app)
    direct = await (await through(app, "10.0.0.2", "viewer")).get(url)
    assert direct.content == LARGE
    stranger = await (await through(app, "10.0.0.1", None)).get(url)
    assert stranger.status_code == 404
    for answer in (direct, stranger):
        assert not {"x-accel-redirect", "x-sendfile"} & set(answer.headers)
        assert path.name not in str(answer.headers)


async def test_nginx_asks_again_after_ten_minutes_for_what_everybody_may_see(app: Litestar):
    """It can't be told to forget: what is taken away must not stay with it for as long as browsers may keep it."""
    url, _ = await uploaded(app)
    is_nginx = app.state.settings.sendfile == "x-accel"
    public, expired = url.replace("size=original", "size=card"), {"x-accel-expires": "600"} if is_nginx else {}
    await render(app, public[18:54])
    visitor, viewer = await through(app, "10.0.0.1", None), await through(app, "10.0.0.1", "viewer")

    async def told(client: httpx.AsyncClient, asked: str) -> dict[str, str]:
        headers = (await client.get(asked)).headers
        return {name: value for name, value in headers.items() if name == "x-accel-expires"}

    assert await told(visitor, f"{public}&v=1.1") == await told(visitor, public) == expired
    assert await told(visitor, f"{public}&v=1") == {}  # a minute is short enough
    assert await told(viewer, url) == await told(visitor, "/api/images/serve/none") == {}
