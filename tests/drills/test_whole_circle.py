"""Delete everything, restore: every URL answers the same bytes. The long form with thousands of pictures."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import all_are_ready, assert_sound, client_of, images_of, make_gallery, upload
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.waiting import eventually

pytestmark = [pytest.mark.drill("R8"), pytest.mark.timeout(7200)]
TYPES = ("categories", "inventory_items", "invoices", "customers", "companies")
INVOICE = "invoices/INV-2026-001"
SHOP = CHECKOUT / "portal" / "demo_shop" / "entities.jsonl"
MUGS = ("inventory_items/MUG-FJORD-BL",) * 4
SHOWN = (*MUGS, "inventory_items/BWL-FJORD-MX", "companies/HALDEN", "customers/K-1002", "categories/GLASS")
MOST_MB = 300

Answer = tuple[int, str | None, str]  # status, ETag, SHA-256 of the body
Seen = dict[tuple[str, str], Answer]  # by who asked and the URL


@pytest.fixture
def settings() -> Iterator[dict[str, str]]:
    """What outlives the machine: the folder with the backups, and the secret key."""
    backups = Path(tempfile.mkdtemp(prefix="portal-backups-", dir="/tmp"))
    yield {
        "PORTAL_WORKERS": "2",
        "PORTAL_BACKUP_URL": str(backups),
        "PORTAL_SECRET_KEYS": "a key that is kept apart from all",
        "PORTAL_BACKUP_CRON": "off",
    }
    shutil.rmtree(backups)


@asynccontextmanager
async def portal_with(settings: dict[str, str]) -> AsyncIterator[tuple[RunningPortal, httpx.AsyncClient]]:
    """A portal over an empty data directory, which is gone afterwards, and its admin."""
    portal = await asyncio.to_thread(lambda: RunningPortal(**settings).start())
    try:
        token = await asyncio.to_thread(portal.run, "token", "create", "circle", "--role", "admin")
        async with client_of(portal, token, timeout=120) as client:
            yield portal, client
    finally:
        await asyncio.to_thread(portal.remove)


async def done(client: httpx.AsyncClient, path: str, said: dict[str, Any]) -> dict[str, Any]:
    """A job, waited for; its result."""
    answer = await client.post(path, json=said)
    assert answer.status_code in {200, 202}, answer.text
    job = answer.json()["id"]

    async def is_finished() -> bool:
        return (await client.get(f"/api/jobs/{job}")).json()["finished_at"] is not None

    await eventually(is_finished, seconds=3600)
    told = (await client.get(f"/api/jobs/{job}")).json()
    assert told["state"] == "succeeded", told
    return told["result"]


async def all_images(client: httpx.AsyncClient, entity_type: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"type": entity_type, "limit": "200"} | ({"cursor": cursor} if cursor else {})
        answer = (await client.get("/api/images", params=asked)).json()
        found, cursor = found + answer["images"], answer["next"]
    return found


async def urls_of(client: httpx.AsyncClient, visitor: httpx.AsyncClient, frames: list[str]) -> list[tuple[str, str]]:
    """Who asks for what: renditions and originals of every version, and whatever pictures the frames show."""
    urls: list[tuple[str, str]] = []
    for entity_type in TYPES:
        for image in await all_images(client, entity_type):
            urls += [("visitor", each["url"]) for each in image["renditions"].values()]
            urls.append(("admin", f"/api/images/serve/{image['id']}?size=original"))
            versions = (await client.get(f"/api/images/{image['id']}/versions")).json()["versions"]
            old = [each["version"] for each in versions if each["version"] != image["version"]]
            urls += [("admin", f"/api/images/serve/{image['id']}?size=original&v={number}") for number in old]
            urls += [("admin", url["url"]) for each in versions for url in each["renditions"].values()]
    for frame in frames:
        page = (await visitor.get(frame)).text
        shown = re.findall(r'(?:src|href)="(/api/images/serve/[^"]+)"', page)
        assert shown, frame
        urls += [("visitor", url.replace("&amp;", "&")) for url in shown]
    return list(dict.fromkeys(urls))


async def answers(callers: dict[str, httpx.AsyncClient], urls: list[tuple[str, str]]) -> Seen:
    turn = asyncio.Semaphore(8)

    async def ask(who: str, url: str) -> Answer:
        async with turn:
            answer = await callers[who].get(url)
        return answer.status_code, answer.headers.get("etag"), hashlib.sha256(answer.content).hexdigest()

    return dict(zip(urls, await asyncio.gather(*(ask(*each) for each in urls)), strict=True))


async def furnish(portal: RunningPortal, client: httpx.AsyncClient, *, is_long: bool) -> None:
    """The demo's shop, with its photographs in the long form; else small pictures for some of each type."""
    if is_long:
        await asyncio.to_thread(portal.run, "demo")
        return
    files = {"file": ("entities.jsonl", SHOP.read_bytes(), "application/jsonl")}
    assert (await client.post("/api/entities/import", files=files)).status_code == 200
    for number, owner in enumerate(SHOWN):
        added = await client.post(
            "/api/images/upload",
            data=dict(zip(("entity_type", "entity_id"), owner.split("/"), strict=True)),
            files={"file": ("picture.jpg", samples.distinct(number, 320, 240), "image/jpeg")},
        )
        assert added.status_code == 201, added.text


async def change_much(client: httpx.AsyncClient, visitor: httpx.AsyncClient) -> tuple[list[str], str]:
    """A pinned invoice, versions, edits, the trash, keys; addresses of frames, and of the picture in the trash."""
    keys: list[str] = []
    for scope in ({"type": "invoices", "id": "INV-2026-001"}, {"type": "inventory_items", "id": "MUG-FJORD-BL"}):
        asked = {"scope": scope, "parents": ["https://erp.example.com"]}
        keys.append((await client.post("/api/embeds", json=asked)).json()["key"])
    added = await client.post(
        "/api/images/upload",
        data=dict(zip(("entity_type", "entity_id"), INVOICE.split("/"), strict=True)),
        files={"file": ("scan.png", samples.png(200, 120), "image/png")},
        headers={"Prefer": "wait=20"},
    )
    assert added.json()["status"] == "ready", added.text
    assert (await visitor.get(f"/cards/k/{keys[0]}")).status_code == 200  # pins it
    assert (await client.get(f"/api/entities/{INVOICE}/pin")).status_code == 200
    mugs = await images_of(client, "MUG-FJORD-BL")
    for image in mugs[:2]:
        file = ("other.jpg", samples.distinct(len(image["id"]) + image["sort_order"], 300, 200), "image/jpeg")
        assert (await client.put(f"/api/images/{image['id']}/file", files={"file": file})).status_code == 200
    said = {"edits": {"rotate": 90}, "focal_point": {"x": 0.2, "y": 0.3}, "alt_text": "Turned"}
    assert (await client.put(f"/api/images/{mugs[2]['id']}/metadata", json=said)).status_code == 200
    assert (await client.post(f"/api/images/{mugs[3]['id']}/trash")).status_code == 200
    frames = [f"/cards/k/{keys[0]}", f"/embed/k/{keys[0]}", f"/embed/k/{keys[1]}", "/embed/companies/HALDEN"]
    return frames, mugs[3]["id"]


async def is_settled(client: httpx.AsyncClient) -> bool:
    """Every picture shows what is wanted of it by now."""
    counted = (await client.get("/api/images/statistics")).json()
    waiting = (await client.get("/api/images", params={"status": "pending"})).json()["total"]
    waiting += (await client.get("/api/images", params={"status": "processing"})).json()["total"]
    return not waiting and not sum(counted["queue"].get(state, 0) for state in ("queued", "picked"))


def peak_mb(portal: RunningPortal) -> float:
    """The most that the server has had in memory; its decoding children do nothing for a backup."""
    assert portal.process is not None
    status = Path(f"/proc/{portal.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


async def test_everything_deleted_and_restored_answers_every_url_with_the_same_bytes(
    settings: dict[str, str], is_long: bool, rounds: Rounds, figure: Figure
) -> None:
    many = rounds(0, 4000, "pictures beside the demo's")
    async with portal_with(settings) as (portal, client), httpx.AsyncClient(base_url=portal.url, timeout=60) as visitor:
        await furnish(portal, client, is_long=is_long)
        await asyncio.to_thread(portal.run, "user", "create", "ana@example.com", "--role", "viewer")
        frames, trashed = await change_much(client, visitor)
        await add_many(client, many)
        await eventually(lambda: is_settled(client), seconds=3600)
        urls = await urls_of(client, visitor, frames)
        before = await answers({"admin": client, "visitor": visitor}, urls)
        assert {status for status, _, _ in before.values()} == {200}
        lists = [(await client.get(f"/api/entities?type={each}&limit=200")).json() for each in TYPES]
        pin = (await client.get(f"/api/entities/{INVOICE}/pin")).json()
        made = await done(client, "/api/images/backup", {})
        peaks = [peak_mb(portal)]
    assert not portal.data_dir.exists()

    async with portal_with(settings) as (portal, client), httpx.AsyncClient(base_url=portal.url, timeout=60) as visitor:
        listed = (await client.get("/api/images/backups")).json()["backups"]
        assert [(each["id"], each["complete"]) for each in listed] == [(made["id"], True)]
        asked = {"backup_id": made["id"], "dry_run": True}
        planned = await done(client, "/api/images/restore", asked)
        assert (await client.get("/api/images")).json()["total"] == 0
        restored = await done(client, "/api/images/restore", asked | {"dry_run": False})
        assert restored == planned | {"dry_run": False}
        peaks.append(peak_mb(portal))
        after = await answers({"admin": client, "visitor": visitor}, urls)
        assert {url: said for url, said in after.items() if said != before[url]} == {}
        assert [(await client.get(f"/api/entities?type={each}&limit=200")).json() for each in TYPES] == lists
        assert (await client.get(f"/api/entities/{INVOICE}/pin")).json() == pin
        assert (await client.post(f"/api/images/{trashed}/restore")).status_code == 200
        lines = (await client.get("/api/audit", params={"limit": "200"})).json()["lines"]
        assert [line["subject_id"] for line in lines if line["action"] == "backup.restore"] == [made["id"]]
        assert "ana@example.com" not in await asyncio.to_thread(portal.run, "user", "list")
        again = await done(client, "/api/images/backup", {})
        assert (again["copied_objects"], again["copied_bytes"]) == (0, 0)
        await assert_sound(portal)
    figure(f"{made['objects']} objects, server at most {max(peaks):.0f} MB")
    assert max(peaks) < MOST_MB


async def add_many(client: httpx.AsyncClient, count: int) -> None:
    gallery = await make_gallery(client) if count else ""
    for begin in range(0, count, 16):
        some = [samples.distinct(number) for number in range(begin, min(begin + 16, count))]
        for answer in await asyncio.gather(*(upload(client, gallery, data) for data in some)):
            assert answer.status_code == 201, answer.text
    if count:
        await eventually(lambda: all_are_ready(client, gallery), seconds=3600)
