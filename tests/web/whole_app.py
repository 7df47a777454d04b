"""The whole portal over ASGI, without its lifespan: the tests' own database stands in for the one that it would open."""

from __future__ import annotations

from pathlib import Path

import httpx
from litestar import Litestar

from portal import settings
from portal.accounts.tokens import create_token
from portal.app import create_app
from portal.audit.actors import SYSTEM


async def whole_app(data_dir: Path) -> Litestar:
    """Making it and compiling its templates takes half a second: once for each file of tests."""
    app = create_app(settings.load({"PORTAL_DATA_DIR": str(data_dir)}, None), with_worker=False)
    await app.state.parts.store.open_root()
    return app


async def caller(app: Litestar, role: str | None) -> httpx.AsyncClient:
    """Somebody with a token of this role, or (None) a visitor."""
    headers = {}
    if role is not None:
        headers["authorization"] = f"Bearer {await create_token(role, role, None, SYSTEM)}"
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=app.state.settings.base_url, headers=headers)
