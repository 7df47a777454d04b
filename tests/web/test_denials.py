"""Refusals leave a line: who, which route, which answer. A flood of them leaves a few, and none is in an answer's way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.accounts import users
from portal.audit import denials
from portal.audit.actors import SYSTEM, Actor
from portal.audit.denials import LINES_A_MINUTE, MOST_KINDS, MOST_WAITING, Denials
from tests.factories import Studio, make_entity
from tests.web.small_portal import PASSWORD, csrf_of, sign_in
from tests.web.whole_app import caller, working_app

ED = Actor("user:ed@example.com", "editor")
REFUSAL = ("GET", "/trash", 403, "forbidden")


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def app(running: Litestar, db: None) -> Litestar:
    running.state.denials = Denials()
    return running


@pytest.fixture
async def visitor(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, None)


@pytest.fixture
async def viewer(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


async def noted(app: Litestar | Denials) -> list[tuple[Any, ...]]:
    """(actor, route, status, code, method, count, has a request id) of every line there is now."""
    await (app if isinstance(app, Denials) else app.state.denials).write()
    rows = await database.fetch(
        """SELECT actor, subject_id, (after->>'status')::int, after->>'code', after->>'method', (after->>'count')::int,
                  request_id IS NOT NULL
           FROM audit JOIN audit_change ON audit = audit.pk
           WHERE action = 'denied' AND subject_type = 'route' ORDER BY audit.pk"""
    )
    return [tuple(row.values()) for row in rows]


async def test_who_is_known_leaves_a_line_of_their_own(app: Litestar, viewer: httpx.AsyncClient) -> None:
    id = uuid4()
    answer = await viewer.post(f"/api/images/{id}/trash")
    assert answer.status_code == 403
    assert await noted(app) == [("token:viewer", "/api/images/{id}/trash", 403, "forbidden", "POST", None, True)]
    assert (
        await database.fetch_value("SELECT request_id FROM audit WHERE action = 'denied'")
        == answer.headers["x-request-id"]
    )


async def test_wrong_tokens_are_counted_by_route_and_come_without_credentials_is_no_refusal(
    app: Litestar, visitor: httpx.AsyncClient
) -> None:
    for token in ("pt_wrong", "pt_other"):
        assert (await visitor.get("/api/images", headers={"authorization": f"Bearer {token}"})).status_code == 401
    assert (await visitor.get("/api/nowhere", headers={"authorization": "Bearer x"})).status_code == 401
    assert (await visitor.get("/api/images")).status_code == 401
    assert (await visitor.get("/trash", headers={"accept": "text/html"})).status_code == 303
    assert await noted(app) == [
        ("visitor", "/api/images", 401, "unauthenticated", "GET", 2, False),
        ("visitor", "(no such address)", 401, "unauthenticated", "GET", 1, False),
    ]


async def test_a_forged_cookie_is_a_wrong_credential(app: Litestar, visitor: httpx.AsyncClient) -> None:
    await visitor.get("/trash", headers={"cookie": "portal=forged", "accept": "text/html"})
    assert [line[:4] for line in await noted(app)] == [("visitor", "/trash", 401, "unauthenticated")]


async def test_a_wrong_password_is_counted_and_what_was_typed_is_not_kept(
    app: Litestar, visitor: httpx.AsyncClient
) -> None:
    for _ in range(3):
        answer = await sign_in(visitor, "nobody@example.com", "guessed-words-in-vain")
        assert answer.status_code == 422
    assert await noted(app) == [("visitor", "/login", 422, "bad_field", "POST", 3, False)]
    everything = str(
        [tuple(row.values()) for row in await database.fetch("SELECT * FROM audit LEFT JOIN audit_change ON true")]
    )
    assert "nobody@" not in everything
    assert "guessed" not in everything
    assert "127.0.0.1" not in everything


async def test_too_many_tries_are_refused_and_counted(app: Litestar, visitor: httpx.AsyncClient) -> None:
    statuses = [(await sign_in(visitor, "nobody@example.com", "guess")).status_code for _ in range(12)]
    assert statuses[-2:] == [429, 429]
    assert ("visitor", "/login", 429, "rate_limited", "POST", 2, False) in await noted(app)


async def test_a_forged_form_is_refused_under_the_name_of_whose_session_it_is(
    app: Litestar, visitor: httpx.AsyncClient
) -> None:
    await users.set_password_by_link(await users.create_user("ed@example.com", "editor", "Ed", SYSTEM), PASSWORD)
    await sign_in(visitor, "ed@example.com")
    csrf = await csrf_of(visitor)
    for data, headers in (({"csrf_token": "x"}, {}), ({"csrf_token": csrf}, {"origin": "https://evil.example.com"})):
        assert (await visitor.post("/account/theme", data={"theme": "dark"} | data, headers=headers)).status_code == 403
    assert [line[:4] for line in await noted(app)] == [("user:ed@example.com", "/account/theme", 403, "forbidden")] * 2


async def test_private_things_that_are_said_not_to_be_there_are_refusals_and_missing_ones_are_not(
    app: Litestar, visitor: httpx.AsyncClient
) -> None:
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    private, public = await make_entity("customers", "C-1"), await make_entity()
    secret, shown = await studio.add(private), await studio.add(public)
    for path in (
        f"/api/images/serve/{secret}",
        f"/api/images/serve/{shown}?size=original",
        f"/api/images/serve/{shown}?size=card&sig=forged&exp=99999999999",
        f"/api/images/entity/{private}",
        f"/embed/{private}",
        f"/cards/{private}",
        "/embed/k/abcdefghijklmnopqrstuv",
        f"/api/images/serve/{uuid4()}",  # not there
        "/api/images/entity/inventory_items/NONE",
        "/nowhere",
    ):
        assert (await visitor.get(path)).status_code == 404, path
    assert (await visitor.get(f"/api/images/serve/{shown}")).status_code == 200
    assert {(line[1], line[2], line[5]) for line in await noted(app)} == {
        ("/api/images/serve", 404, 3),
        ("/api/images/entity/{type}/{id}", 404, 1),
        ("/embed/{kind}/{id}", 404, 1),
        ("/cards/{kind}/{id}", 404, 1),
        ("/embed/k/{key}", 404, 1),
    }


async def test_a_refusal_looks_the_same_whether_something_is_there_or_not(
    app: Litestar, visitor: httpx.AsyncClient
) -> None:
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    secret = await studio.add(await make_entity("customers", "C-1"))
    bodies = []
    for id in (secret, uuid4()):
        body = (await visitor.get(f"/api/images/serve/{id}")).json()
        assert body.pop("request_id")
        bodies.append(body)
    assert bodies[0] == bodies[1]


async def test_ten_thousand_refused_requests_are_a_few_lines(app: Litestar, visitor: httpx.AsyncClient) -> None:
    for _ in range(50):
        await visitor.get("/api/images", headers={"authorization": "Bearer pt_wrong"})
    for _ in range(9_950):
        app.state.denials.note(None, ("GET", "/api/images", 401, "unauthenticated"), "r")
    lines = await noted(app)
    assert (len(lines), sum(line[5] for line in lines)) in {(1, 10_000), (2, 10_000)}  # a minute may have ended between


async def test_somebody_who_is_known_cannot_flood_it_either(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials.time, "monotonic", lambda: 600.0)
    kept = Denials()
    for _ in range(10_000):
        kept.note(ED, REFUSAL, "r")
    lines = await noted(kept)
    assert [line[5] for line in lines] == [None] * LINES_A_MINUTE + [10_000 - LINES_A_MINUTE]
    monkeypatch.setattr(denials.time, "monotonic", lambda: 661.0)
    kept.note(ED, REFUSAL, "r")
    assert len(await noted(kept)) == LINES_A_MINUTE + 2


async def test_counts_are_written_when_their_minute_is_over(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials.time, "monotonic", lambda: 600.0)
    kept = Denials()
    kept.note(None, REFUSAL, "r")
    await kept.write(counts=False)
    assert await database.fetch_value("SELECT count(*) FROM audit") == 0
    monkeypatch.setattr(denials.time, "monotonic", lambda: 661.0)
    kept.note(None, REFUSAL, "r")
    await kept.write(counts=False)
    assert await database.fetch_value("SELECT count(*) FROM audit") == 1


async def test_what_is_noted_is_bounded_while_the_database_is_away(db: None) -> None:
    kept = Denials()
    for number in range(3 * MOST_WAITING):
        kept.note(Actor(f"user:{number}@example.com", "viewer"), ("GET", f"/{number}", 403, "forbidden"), "r")
    assert len(kept._lines) + len(kept._counts) <= MOST_WAITING + MOST_KINDS


async def test_nothing_is_lost_and_nothing_written_twice_when_the_database_refuses(
    app: Litestar, viewer: httpx.AsyncClient
) -> None:
    await database.execute("ALTER TABLE audit ADD CONSTRAINT no_denials CHECK (action <> 'denied') NOT VALID")
    try:
        assert (await viewer.get("/maintenance/audit")).status_code == 403  # and no 500
        with pytest.raises(asyncpg.CheckViolationError):
            await app.state.denials.write()
    finally:
        await database.execute("ALTER TABLE audit DROP CONSTRAINT no_denials")
    assert len(await noted(app)) == 1
    assert len(await noted(app)) == 1


async def test_a_refusal_that_cannot_be_noted_is_still_the_refusal(
    app: Litestar, viewer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state, "denials", object())
    assert (await viewer.get("/maintenance/audit")).status_code == 403


async def test_what_is_noted_when_the_portal_ends_is_written(db: None) -> None:
    kept = Denials(write_seconds=60)
    async with kept.written():
        kept.note(ED, REFUSAL, "r")
        kept.note(None, REFUSAL, None)
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'denied'") == 2
