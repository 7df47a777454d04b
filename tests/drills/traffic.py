"""What careful clients send, and what is looked at afterwards."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest

from tests.e2e.server import RunningPortal

FILES_OF_A_READY_IMAGE = 8
COME_BACK = {429, 503}


def client_of(portal: RunningPortal, token: str, timeout: float = 60) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=200)
    return httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=timeout, limits=limits)


async def make_gallery(client: httpx.AsyncClient) -> str:
    """An inventory item without pictures; its id."""
    name = f"drill-{uuid4().hex[:12]}"
    answer = await client.put(f"/api/entities/inventory_items/{name}", json={"name": name})
    assert answer.status_code == 201, answer.text
    return name


async def upload(client: httpx.AsyncClient, gallery: str, data: bytes, key: str | None = None) -> httpx.Response:
    return await client.post(
        "/api/images/upload",
        data={"entity_type": "inventory_items", "entity_id": gallery},
        files={"file": ("picture.jpg", data, "image/jpeg")},
        headers={"Idempotency-Key": key} if key else {},
    )


async def upload_until_answered(client: httpx.AsyncClient, gallery: str, data: bytes, key: str) -> str:
    """As a careful client does: the same key until it is 201; the image's id."""
    while True:
        with suppress(httpx.TransportError):
            answer = await upload(client, gallery, data, key)
            if answer.status_code == 201:
                return answer.json()["id"]
            assert answer.status_code in {409, *COME_BACK}, answer.text
            assert "retry-after" in answer.headers, answer.text
        await asyncio.sleep(0.2)


async def images_of(client: httpx.AsyncClient, gallery: str) -> list[dict[str, Any]]:
    address = f"/api/images/entity/inventory_items/{gallery}"
    images: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await client.get(address, params={"limit": "200"} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        images += answer.json()["images"]
        cursor = answer.json()["next"]
    return images


async def all_are_ready(client: httpx.AsyncClient, gallery: str) -> bool:
    return {image["status"] for image in await images_of(client, gallery)} == {"ready"}


async def is_healthy(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def findings(portal: RunningPortal) -> str:
    """What `portal fsck` has to say; empty where all is sound."""
    done = portal.complete("fsck", "--json")
    return done.stdout + done.stderr if done.returncode else ""


async def assert_sound(portal: RunningPortal) -> None:
    found = await asyncio.to_thread(findings, portal)
    assert found == "", found


async def sweep(portal: RunningPortal) -> None:
    await asyncio.to_thread(portal.run, "cleanup", "--apply")


def files_of(portal: RunningPortal, image_ids: set[str]) -> list[Path]:
    return [path for path in portal.storage.rglob("*") if path.is_file() and path.name[:36] in image_ids]


def leftovers(portal: RunningPortal) -> list[Path]:
    return list((portal.storage / "temp").iterdir())


def postmaster(portal: RunningPortal) -> psutil.Process:
    if portal.database is not None:
        pytest.skip("the server of PORTAL_TEST_DATABASE_URL is not ours to kill")
    return psutil.Process(int((portal.data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0]))


async def connect(portal: RunningPortal) -> asyncpg.Connection:
    """To the portal's database, behind its back."""
    if portal.database is not None:
        return await asyncpg.connect(portal.database)
    home = portal.data_dir / "postgres"
    return await asyncpg.connect(host=(home / "socket-dir").read_text().strip(), user="portal", database="portal")
