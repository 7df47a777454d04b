"""The whole portal over ASGI, without its lifespan: the tests' own database and store stand in for what that would open."""

from __future__ import annotations

import httpx

from portal.accounts.tokens import create_token
from portal.app import create_app
from portal.audit.actors import SYSTEM
from portal.settings import Settings


async def caller(config: Settings, role: str | None) -> httpx.AsyncClient:
    """Somebody with a token of this role, or (None) a visitor."""
    headers = {}
    if role is not None:
        headers["authorization"] = f"Bearer {await create_token(role, role, None, SYSTEM)}"
    transport = httpx.ASGITransport(app=create_app(config, with_worker=False))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=config.base_url, headers=headers)
