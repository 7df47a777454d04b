"""The whole portal over ASGI, without its lifespan: the tests' own database stands in for the one that it would open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
from litestar import Litestar

from portal import settings
from portal.accounts.tokens import create_token
from portal.app import create_app
from portal.audit.actors import SYSTEM
from portal.gallery.renditions import render_all


async def whole_app(data_dir: Path, **environ: str) -> Litestar:
    """Making it and compiling its templates takes half a second: once for each file of tests."""
    app = create_app(settings.load({"PORTAL_DATA_DIR": str(data_dir), **environ}, None), with_worker=False)
    await app.state.parts.store.open_root()
    return app


@asynccontextmanager
async def working_app(data_dir: Path, **environ: str) -> AsyncIterator[Litestar]:
    """The same with what uploads need: decoding children, and the proof that this process lives."""
    app = await whole_app(data_dir, PORTAL_WORKERS="1", **environ)
    async with app.state.presence.held():
        try:
            yield app
        finally:
            await app.state.parts.pool.close()


async def render(app: Litestar, image_id: str) -> None:
    """What the worker would do."""
    parts = app.state.parts
    await render_all(UUID(image_id), store=parts.store, pool=parts.pool)


async def caller(app: Litestar, role: str | None) -> httpx.AsyncClient:
    """Somebody with a token of this role, or (None) a visitor."""
    headers = {}
    if role is not None:
        headers["authorization"] = f"Bearer {await create_token(role, role, None, SYSTEM)}"
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=app.state.settings.base_url, headers=headers)
