"""Every route of the whole portal says who may call it, and means it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.web.whole_app import caller, whole_app

PERMISSIONS = {"public", "scoped", "viewer", "editor", "admin"}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# Unsafe and open to visitors: each proves its right by a password or one-time token, or changes nothing but a cookie.
OPEN_TO_VISITORS = {"/login", "/logout", "/setup", "/password/{token:str}", "/account/theme"}


@pytest.fixture
async def app(db: None, tmp_path: Path) -> Litestar:
    return await whole_app(tmp_path)


def routes(app: Litestar) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, options) of everything but what Litestar adds by itself."""
    return [
        (method, route.path, dict(handler.opt))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS" and not route.path.startswith("/docs")
    ]


async def test_every_route_declares_its_permission(app: Litestar) -> None:
    missing = [(method, path) for method, path, opt in routes(app) if opt.get("permission") not in PERMISSIONS]
    assert missing == []


async def test_visitors_change_nothing(app: Litestar) -> None:
    for method, path, opt in routes(app):
        if method in UNSAFE and opt["permission"] in {"public", "scoped"}:
            assert path in OPEN_TO_VISITORS, (method, path)


async def test_visitors_are_refused_before_their_body_is_read(app: Litestar) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with await caller(app, None) as visitor:
        for method, path, opt in routes(app):
            if method in UNSAFE and opt["permission"] not in {"public", "scoped"}:
                answer = await visitor.request(method, _filled(path), content=unread(), headers={"accept": "*/*"})
                assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize(("role", "above"), [("viewer", {"editor", "admin"}), ("editor", {"admin"})])
async def test_a_role_reaches_no_further_than_itself(app: Litestar, role: str, above: set[str]) -> None:
    async with await caller(app, role) as client:
        for method, path, opt in routes(app):
            if opt["permission"] in above:
                answer = await client.request(method, _filled(path))
                assert answer.status_code == 403, (method, path, answer.text)


def _filled(path: str) -> str:
    """A path that routes: ids and names in place of its parameters."""
    words = []
    for word in path.split("/"):
        name, _, kind = word.strip("{}").partition(":")
        if not word.startswith("{"):
            words.append(word)
        elif kind == "uuid":
            words.append("019394c4-7d1e-7000-8000-000000000000")
        else:
            words.append({"type": "invoices", "number": "1"}.get(name, "1"))
    return "/".join(words)
