"""The portal behind a real nginx with the configuration that we document."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.gallery.uploads import MAX_FILES
from tests import samples
from tests.drills.traffic import all_are_ready, make_gallery, upload
from tests.e2e.server import RunningPortal
from tests.nginx import running_nginx
from tests.waiting import eventually

OURS_ALONE = {"date", "server", "connection", "content-length", "x-request-id", "x-accel-redirect"}
MUG = "inventory_items"


@pytest.fixture(scope="module")
def purged() -> Iterator[tuple[int, list[str]]]:
    """The port where a cache is told what to forget, and the tags that it was told."""
    tags: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tags.extend(json.loads(self.rfile.read(int(self.headers["content-length"])))["tags"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, tags
        server.shutdown()


@pytest.fixture(scope="module")
def portal(purged: tuple[int, list[str]]) -> Iterator[RunningPortal]:
    settings = {"PORTAL_SENDFILE": "x-accel", "PORTAL_TRUSTED_PROXIES": "127.0.0.1"}
    settings["PORTAL_CDN_PURGE_URL"] = f"http://127.0.0.1:{purged[0]}/purge"
    portal = RunningPortal(PORTAL_WORKERS="2", **settings).start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def nginx(portal: RunningPortal, folder: Path) -> Iterator[str]:
    with running_nginx(folder, portal.port, portal.storage) as url:
        yield url


@pytest.fixture(scope="module")
def token(portal: RunningPortal) -> str:
    return portal.run("token", "create", "behind nginx", "--role", "admin")


@pytest.fixture
async def admin(nginx: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=nginx, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
async def visitor(nginx: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=nginx, timeout=60) as client:
        yield client


async def add(admin: httpx.AsyncClient, kind: str = MUG, data: bytes | None = None) -> dict[str, Any]:
    """A picture that is ready, as the API describes it."""
    name = await make_gallery(admin)
    if kind != MUG:
        await admin.put(f"/api/entities/{kind}/{name}", json={"name": name})
    answer = await admin.post(
        "/api/images/upload",
        data={"entity_type": kind, "entity_id": name},
        files={"file": ("Smørbrød.jpg", data or samples.noisy(900, 700), "image/jpeg")},
        headers={"prefer": "wait=30"},
    )
    assert answer.status_code == 201, answer.text
    image = answer.json()["id"]

    async def is_ready() -> bool:
        return (await admin.get(f"/api/images/{image}")).json()["status"] == "ready"

    await eventually(is_ready)
    return (await admin.get(f"/api/images/{image}")).json()


def kept(folder: Path, image: dict[str, Any]) -> list[str]:
    """The addresses of this picture that lie in nginx's cache."""
    found = []
    for file in (folder / "cache").rglob("*"):
        if file.is_file() and (key := re.search(rb"\nKEY: (.*)\n", file.read_bytes()[:4096])):
            found.append(key[1].decode())
    return [key for key in found if image["id"] in key]


def cached(answer: httpx.Response) -> str | None:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-cache")


async def test_a_thumbnail_comes_out_of_the_cache_and_a_crowd_is_one_request(
    admin: httpx.AsyncClient, visitor: httpx.AsyncClient
):
    url = (await add(admin))["renditions"]["card"]["url"]
    crowd = await asyncio.gather(*(visitor.get(url) for _ in range(20)))
    assert sorted(str(cached(answer)) for answer in crowd) == ["HIT"] * 19 + ["MISS"]
    assert len({answer.content for answer in crowd}) == 1
    again = await visitor.get(url)
    assert cached(again) == "HIT"
    assert again.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "x-accel-expires" not in again.headers
    etag = again.headers["etag"]
    known = await visitor.get(url, headers={"if-none-match": f'"other", {etag}'})
    assert (known.status_code, known.headers["etag"], known.content) == (304, etag, b"")
    part = await visitor.get(url, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, again.content[10:20])
    head = await visitor.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(again.content)), b"")


async def test_each_takes_its_own_format_out_of_the_cache(
    portal: RunningPortal, admin: httpx.AsyncClient, visitor: httpx.AsyncClient
):
    url = (await add(admin))["renditions"]["gallery"]["url"]
    webp = {"accept": "image/webp,*/*"}
    async with httpx.AsyncClient(
        base_url=portal.url
    ) as direct:  # until it is made; a cache would keep the JPEG for a minute

        async def is_made() -> bool:
            return (await direct.get(url, headers=webp)).headers["content-type"] == "image/webp"

        await eventually(is_made)
    chrome = {"accept": "image/apng,image/svg+xml,image/webp, image/*;q=0.8"}
    for headers, kind, state in (
        ({"accept": "*/*"}, "image/jpeg", "MISS"),
        (webp, "image/webp", "MISS"),
        (chrome, "image/webp", "HIT"),
        ({"accept": "image/png"}, "image/jpeg", "HIT"),
        ({"accept": "image/webp;q=0"}, "image/jpeg", "HIT"),
        (webp, "image/webp", "HIT"),
    ):
        answer = await visitor.get(url, headers=headers)
        assert (answer.headers["content-type"], cached(answer)) == (kind, state), headers
        assert answer.headers["vary"] == "Accept"


async def test_what_is_private_is_never_kept(admin: httpx.AsyncClient, visitor: httpx.AsyncClient, folder: Path):
    image = await add(admin, "invoices")
    signed, bare = image["renditions"]["card"]["url"], f"/api/images/serve/{image['id']}?size=card"
    for _ in range(2):
        first = await visitor.get(signed)
        assert (cached(first), first.headers["cache-control"]) == (None, "private, max-age=300")
        assert "cache-tag" not in first.headers
        assert cached(await admin.get(bare)) is None
        assert (await visitor.get(bare)).status_code == 404
    known = await visitor.get(signed, headers={"if-none-match": first.headers["etag"]})
    assert known.status_code == 304
    part = await visitor.get(signed, headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, first.content[:10])
    assert (await admin.post(f"/api/images/{image['id']}/trash")).status_code == 200
    assert (await visitor.get(signed)).status_code == 404
    assert kept(folder, image) == []


async def test_who_shows_a_right_is_answered_by_the_portal(
    admin: httpx.AsyncClient, visitor: httpx.AsyncClient, folder: Path
):
    image = await add(admin)
    url = image["renditions"]["small"]["url"]
    assert cached(await admin.get(url)) is None
    assert cached(await visitor.get(url, headers={"cookie": "theme=dark; __Host-portal=x"})) is None
    assert kept(folder, image) == []
    assert cached(await visitor.get(url, headers={"cookie": "theme=dark"})) == "MISS"
    assert len(kept(folder, image)) == 1


async def test_a_cache_is_told_of_what_goes_to_the_trash(admin: httpx.AsyncClient, purged: tuple[int, list[str]]):
    image = await add(admin)
    tag = f"image-{image['id']}"
    _, tags = purged
    told = (await admin.get(f"/api/images/serve/{image['id']}?size=card")).headers["cache-tag"]
    assert told == f"{tag},{MUG}"
    await eventually(lambda: tag in tags)  # of its first renditions
    tags.clear()
    assert (await admin.post(f"/api/images/{image['id']}/trash")).status_code == 200
    await eventually(lambda: tag in tags)


async def test_errors_are_not_kept(admin: httpx.AsyncClient, visitor: httpx.AsyncClient):
    image = await add(admin)
    for url in (f"/api/images/serve/{image['id']}?v=9.9", f"/api/images/serve/{image['id']}?size=original"):
        for _ in range(2):
            answer = await visitor.get(url)
            assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
            assert answer.headers.get("x-cache") in (None, "MISS")


async def test_an_original_is_sent_by_nginx_as_the_portal_says(
    portal: RunningPortal, admin: httpx.AsyncClient, token: str
):
    data = samples.noisy(2400, 1800)
    url = f"/api/images/serve/{(await add(admin, data=data))['id']}?size=original"
    async with httpx.AsyncClient(
        base_url=portal.url, headers={"authorization": f"Bearer {token}"}, timeout=60
    ) as direct:
        said = await direct.get(url)
    assert said.headers["x-accel-redirect"].startswith("/_originals/")
    whole = await admin.get(url)
    assert hashlib.sha256(whole.content).digest() == hashlib.sha256(data).digest()
    assert whole.headers.get_list("accept-ranges") == ["bytes"]
    names = set(said.headers) - OURS_ALONE
    assert {name: whole.headers.get_list(name) for name in names} == {n: said.headers.get_list(n) for n in names}
    assert "x-request-id" in whole.headers
    assert set(whole.headers) - OURS_ALONE == names | {"accept-ranges"}

    async def asked(method: str = "GET", **headers: str) -> tuple[int, bytes]:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await admin.request(method, url, headers=headers)
        return answer.status_code, answer.content

    etag = whole.headers["etag"]
    assert await asked("HEAD") == (200, b"")
    assert await asked(if_none_match=etag) == (304, b"")
    assert await asked(if_modified_since=whole.headers["last-modified"]) == (304, b"")
    assert (await asked(if_match='"other"'))[0] == 412
    assert await asked(if_match=etag) == (200, data)
    assert await asked(range="bytes=10-19") == (206, data[10:20])
    assert await asked(range="bytes=-7") == (206, data[-7:])
    assert await asked(range="bytes=10-19", if_range=etag) == (206, data[10:20])
    assert await asked(range="bytes=10-19", if_range='"other"') == (200, data)
    assert await asked(range="bytes=0-1,5-6") == (200, data)
    beyond = await admin.get(url, headers={"range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    assert beyond.headers["cache-control"] == "no-store"


async def test_nobody_reaches_originals_past_the_portal(
    portal: RunningPortal, admin: httpx.AsyncClient, visitor: httpx.AsyncClient, nginx: str
):
    image = await add(admin)
    (path,) = [p for p in portal.storage.glob(f"{MUG}/??/{image['id']}-v1.jpg") if p.is_file()]
    key = path.relative_to(portal.storage)
    assert (await visitor.get(f"/api/images/serve/{image['id']}?size=original")).status_code == 404
    for spelled in (
        f"/_originals/{key}",
        f"/%5Foriginals/{key}",
        f"//_originals/{key}",
        f"/static/../_originals/{key}",
    ):
        for client in (visitor, admin):
            answer = await client.get(
                httpx.URL(nginx, raw_path=spelled.encode()), headers={"x-accel-redirect": spelled}
            )
            assert answer.status_code == 404, spelled
            assert answer.content != path.read_bytes()


async def test_a_lost_original_is_gone(portal: RunningPortal, admin: httpx.AsyncClient):
    image = await add(admin)
    (path,) = portal.storage.glob(f"{MUG}/??/{image['id']}-v1.jpg")
    path.unlink()
    answer = await admin.get(f"/api/images/serve/{image['id']}?size=original")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


async def test_large_uploads_pass_and_refusals_come_before_the_body(
    admin: httpx.AsyncClient, visitor: httpx.AsyncClient
):
    photo = samples.noisy(1600, 1200)
    full = photo + bytes(15 * 2**20 - len(photo))
    gallery = await make_gallery(admin)
    answer = await upload(admin, gallery, full)
    assert (answer.status_code, answer.json()["bytes"]) == (201, 15 * 2**20)
    await eventually(lambda: all_are_ready(admin, gallery))
    original = await admin.get(f"/api/images/serve/{answer.json()['id']}?size=original")
    assert original.content == full
    assert (await upload(visitor, gallery, full)).status_code == 401
    assert (await upload(admin, gallery, full + b"x")).status_code == 413
    form = {"entity_type": MUG, "entity_id": gallery}
    files = [("files", (f"{number}.jpg", photo + bytes(6 * 2**20) + bytes([number]))) for number in range(4)]
    many = await admin.post("/api/images/upload/multiple", data=form, files=files)
    assert (many.status_code, many.json()["stored"]) == (201, 4)
    assert MAX_FILES * 15 <= 1600  # what the documented configuration lets through


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")
async def test_the_clients_address_arrives_and_cannot_be_made_up(portal: RunningPortal, nginx: str):
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.77")
    async with httpx.AsyncClient(base_url=nginx, transport=transport) as client:
        answer = await client.get("/login", headers={"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"})
        assert answer.status_code == 200
        assert "strict-transport-security" not in answer.headers  # nginx says how it was asked
    lines: list[str] = []

    def is_logged() -> bool:  # after the answer is sent
        lines[:] = [line for line in portal.logged().splitlines() if answer.headers["x-request-id"] in line]
        return bool(lines)

    await eventually(is_logged)
    assert len(lines) == 1
    assert "127.0.0.77" in lines[0]
    assert "203.0.113.9" not in lines[0]


async def test_static_files_come_packed_and_out_of_the_cache(visitor: httpx.AsyncClient):
    page = (await visitor.get("/login")).text
    url = re.findall(r'href="(/static/[^"]+/css/[^"]+\.css)"', page)[0]
    for takes, comes in ("gzip", "gzip"), ("identity", None), ("gzip;q=0, *", None), ("br, gzip;q=0.5", "gzip"):
        await visitor.get(url, headers={"accept-encoding": takes})
        again = await visitor.get(url, headers={"accept-encoding": takes})
        assert (cached(again), again.headers.get("content-encoding")) == ("HIT", comes), takes
        assert again.headers["cache-control"] == "public, max-age=31536000, immutable"
