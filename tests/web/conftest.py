from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar

from portal.accounts import passwords, users
from portal.audit.actors import SYSTEM
from portal.settings import Settings
from tests.web.small_portal import PASSWORD, Browse, build
from tests.web.whole_app import caller


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with small numbers: what its cost protects is tested with the accounts, not on every page."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)


@pytest.fixture
def settings(config: Settings) -> Settings:
    config.temp_dir.mkdir(parents=True)
    return config


@pytest.fixture
def app(settings: Settings, db: None) -> Litestar:
    return build(settings)


@pytest.fixture
def browse(app: Litestar) -> Browse:
    """A new browser: cookies of its own; `https` and `address` where they matter."""

    @asynccontextmanager
    async def opened(
        *, https: bool = False, address: str = "127.0.0.1", **options: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app, client=(address, 4711))  # type: ignore[arg-type]
        base = options.pop("base_url", f"http{'s' if https else ''}://localhost")
        async with httpx.AsyncClient(transport=transport, base_url=base, **options) as client:
            yield client

    return opened


@pytest.fixture
async def browser(browse: Browse) -> AsyncIterator[httpx.AsyncClient]:
    async with browse() as client:
        yield client


@pytest.fixture
def invite(app: Litestar) -> Callable[..., Any]:
    async def invited(email: str = "ana@example.com", role: str = "editor") -> str:
        await users.set_password_by_link(await users.create_user(email, role, "Ana Berg", SYSTEM), PASSWORD)
        return email

    return invited


@pytest.fixture
async def visitor(db: None, app: Litestar) -> httpx.AsyncClient:
    """Who is not signed in; this and the next three of a whole app, which a test's file makes for itself."""
    return await caller(app, None)


@pytest.fixture
async def viewer(db: None, app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "editor")


@pytest.fixture
async def admin(db: None, app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "admin")
