"""Pictures asked for in formats that are made when somebody looks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from portal.settings import Settings
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal

BROWSER = {"accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
MINUTE, DAY, YEAR = "public, max-age=60", "public, max-age=86400", "public, max-age=31536000, immutable"


def url(image_id: UUID, **query: str) -> str:
    return str(httpx.URL(f"/api/images/serve/{image_id}", params=query))


def cached(config: Settings) -> list[Path]:
    return sorted(path for path in config.cache_dir.rglob("*") if path.is_file())


async def made(visitor: httpx.AsyncClient, address: str, type: str = "image/webp", **headers: str) -> httpx.Response:
    """The answer once it is of this type."""
    found: list[httpx.Response] = []

    async def is_there() -> bool:
        found.append(await visitor.get(address, headers=headers))
        return found[-1].headers["content-type"] == type

    await eventually(is_there)
    return found[-1]


def count_renders(
    portal: SmallPortal, monkeypatch: pytest.MonkeyPatch, is_free: asyncio.Event | None = None
) -> list[str]:
    """What is rendered from now on, each once `is_free`."""
    renders: list[str] = []
    render = portal.studio.pool.render

    async def counting(path: Path, names: list[str], *args: object, **options: object) -> object:
        renders.extend(names)
        if is_free is not None:
            await is_free.wait()
        return await render(path, names, *args, **options)  # type: ignore[arg-type] - passed on

    monkeypatch.setattr(portal.studio.pool, "render", counting)
    return renders
