from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.errors import RateLimited
from portal.settings import Settings
from tests.web.small_portal import PASSWORD, Browse, build, csrf_of, sign_in

Invite = Callable[..., Any]
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def ana(browser: httpx.AsyncClient, invite: Invite) -> httpx.AsyncClient:
    await sign_in(browser, await invite())
    return browser


@pytest.mark.parametrize("path", ["/login", "/", "/nothing", "/api/whoami", "/docs/x", "/api/raise/x"])
async def test_every_answer_carries_the_browsers_rules(browser: httpx.AsyncClient, path: str) -> None:
    headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert ("unsafe-inline" in policy) == path.startswith("/docs")
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert len(headers["x-request-id"]) == 16
    assert "strict-transport-security" not in headers


async def test_https_is_remembered_and_embeds_may_be_framed(browse: Browse) -> None:
    async with browse(https=True) as client:
        assert (await client.get("/login")).headers["strict-transport-security"] == "max-age=31536000"
        framed = (await client.get("/embed/k/secret")).headers
        assert "frame-ancestors * 'self'" in framed["content-security-policy"]
        assert (framed["referrer-policy"], framed["x-robots-tag"]) == ("no-referrer", "noindex")
        assert framed["cross-origin-resource-policy"] == "cross-origin"


async def test_pages_are_kept_by_no_cache(ana: httpx.AsyncClient) -> None:
    for path in ("/account", "/login", "/api/whoami", "/nothing"):
        assert (await ana.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80:80", "localhost@evil", "", "a b", "[::1", "löcal"]
)
async def test_other_hosts_are_refused(browser: httpx.AsyncClient, host: str) -> None:
    answer = await browser.get("/login", headers={"host": host.encode("latin-1")})
    assert answer.status_code == 400
    assert host not in answer.text or not host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "localhost."])
async def test_our_own_hosts_are_answered(browser: httpx.AsyncClient, host: str) -> None:
    headers = {"host": host, "x-forwarded-host": "evil.example"}
    answer = await browser.get("/login", headers=headers)
    assert answer.status_code == 200
    assert "evil" not in answer.text


async def test_no_session_without_its_token(ana: httpx.AsyncClient) -> None:
    token = await csrf_of(ana)
    for headers, data, status in [
        ({}, {}, 403),
        ({}, {"csrf_token": "wrong"}, 403),
        ({}, {"csrf_token": token + "x"}, 403),
        ({"x-csrf-token": ""}, {"csrf_token": token}, 403),
        ({"x-csrf-token": "wrong"}, {"csrf_token": token}, 403),
        ({"x-csrf-token": token}, {}, 303),
        ({}, {"csrf_token": token}, 303),
    ]:
        answer = await ana.post("/say", data={"words": "x", **data}, headers=headers)
        assert answer.status_code == status, (headers, data)
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await ana.post("/api/editors", content=b"csrf_token=" + token.encode(), headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_token_of_another_session_does_not_count(browse: Browse, invite: Invite) -> None:
    email = await invite()
    async with browse() as one, browse() as two:
        await sign_in(one, email)
        await sign_in(two, email)
        assert (await one.post("/say", data={"csrf_token": await csrf_of(two)})).status_code == 403


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://127.0.0.1:8000"}, True),  # PORTAL_BASE_URL
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "https://localhost"}, False),
        ({"origin": "http://localhost:8001"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost"}, False),
    ],
)
async def test_other_sites_cannot_post_for_our_visitors(
    ana: httpx.AsyncClient, headers: dict[str, str], allowed: bool
) -> None:
    data = {"csrf_token": await csrf_of(ana), "words": "x"}
    assert (await ana.post("/say", data=data, headers=headers)).status_code == (303 if allowed else 403)
    ana.cookies.clear()
    answer = await sign_in_with(ana, headers)
    assert answer.status_code == (303 if allowed else 403)  # nor sign somebody in as somebody else


async def sign_in_with(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/login", data={"email": "ana@example.com", "password": PASSWORD}, headers=headers)


async def test_another_sites_page_cannot_read_an_answer(ana: httpx.AsyncClient) -> None:
    answer = await ana.get("/api/whoami", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_visitors_leave_nothing_in_the_database(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/login", "/nothing", "/account"):
        assert "set-cookie" not in (await browser.get(path)).headers
    for table in ("session", "throttle", "audit", "portal_state"):
        assert await database.fetch_value(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize(
    "cookie", ["portal=\0", "portal=" + "a" * 9000, "portal=%00", "portal=é", "portal", "portal=a; portal=b", ";;;="]
)
async def test_broken_cookies_are_nobodys(browser: httpx.AsyncClient, app: Litestar, cookie: str) -> None:
    answer = await browser.get("/", headers={"cookie": cookie.encode("utf-8")})
    assert (answer.status_code, answer.text) == (200, "nobody")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"accept": "text/html"}, "text/html"),
        ({"accept": "*/*"}, "text/html"),
        ({"accept": "application/json"}, "application/problem+json"),
        ({"accept": "application/problem+json, text/html"}, "application/problem+json"),
        ({"hx-request": "true"}, "text/html"),
    ],
)
async def test_errors_speak_the_callers_language(ana: httpx.AsyncClient, headers: dict[str, str], kind: str) -> None:
    answer = await ana.get("/nothing/<script>alert(1)</script>", headers=headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["cache-control"] == "no-store"
    assert "<script>alert" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    if "hx-request" in headers:
        assert answer.text.lstrip().startswith("<div")
    elif kind == "text/html":
        assert "<!DOCTYPE html>" in answer.text
        assert "Ana Berg" in answer.text  # also a wrong address knows its reader


async def test_a_wrong_method_names_the_right_ones(browser: httpx.AsyncClient) -> None:
    answer = await browser.request("PATCH", "/api/editors")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("raised", "status", "retry"),
    [
        (RuntimeError("SELECT secret FROM /srv/portal"), 500, False),
        (ConnectionRefusedError("secret"), 503, True),
        (asyncpg.InterfaceError("secret"), 503, True),
        (OSError(errno.ENOSPC, "secret", "/srv/portal"), 507, False),
        (RateLimited("Too many at once.", retry_after=7), 429, True),
    ],
)
async def test_failures_tell_no_internals(
    browser: httpx.AsyncClient, app: Litestar, raised: Exception, status: int, retry: bool
) -> None:
    app.state.failures["it"] = raised
    answer = await browser.get("/api/raise/it")
    assert answer.status_code == answer.json()["status"] == status
    assert "secret" not in answer.text
    assert "/srv" not in answer.text
    assert ("retry-after" in answer.headers) == retry
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_the_database_going_away_is_said_and_healed(browser: httpx.AsyncClient, ana: httpx.AsyncClient) -> None:
    pool, database.DB.pool = database.DB.pool, None
    try:
        answer = await ana.get("/account", headers={"accept": "text/html"})
    finally:
        database.DB.pool = pool
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "<!DOCTYPE html>" in answer.text
    assert (await ana.get("/account")).status_code == 200


async def test_what_postgresql_cannot_hold_is_a_client_error(ana: httpx.AsyncClient, invite: Invite) -> None:
    token = await csrf_of(ana)
    for body in (b"words=%00", b"words=%ED%A0%80", b"words=%FF"):
        answer = await ana.post("/say", content=b"csrf_token=" + token.encode() + b"&" + body, headers=URLENCODED)
        assert answer.status_code == 400
    for path in (
        "/account/sessions/not-a-uuid/end",
        "/account/sessions/" + "9" * 400 + "/end",
        "/password/%00",
        "/password/%ff",
    ):
        method = "GET" if path.startswith("/password") else "POST"
        answer = await ana.request(method, path, headers={"x-csrf-token": token})
        assert 400 <= answer.status_code < 500, path


async def test_a_toast_is_shown_once_and_cannot_be_forged(ana: httpx.AsyncClient) -> None:
    await ana.post("/say", data={"csrf_token": await csrf_of(ana), "words": "<b>Done</b>"})
    stored = ana.cookies["portal_toast"]
    page = await ana.get("/account")
    assert "&lt;b&gt;Done&lt;/b&gt;" in page.text
    assert "Done" not in (await ana.get("/account")).text
    for forged in (stored[:-4] + "AAAA", "A" * 80, "é", "=", stored + "A"):
        headers = {"cookie": f"portal={ana.cookies['portal']}; portal_toast={forged}".encode()}
        answer = await ana.get("/account", headers=headers)
        assert answer.status_code == 200
        assert "Done" not in answer.text
    long = "🫖" * 300  # as the name of a gallery may be: browsers keep no cookie of more than 4 KB
    answer = await ana.post("/say", data={"csrf_token": await csrf_of(ana), "words": long})
    assert len(answer.headers["set-cookie"]) < 4000
    assert long in (await ana.get("/account")).text


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen", "https"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9", False),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4", True),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4", True),
        ("10.0.0.1", "1.2.3.4, garbage", "10.0.0.1", True),
        ("10.0.0.1", "", "10.0.0.1", True),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1", True),
    ],
)
async def test_only_trusted_proxies_say_who_calls(
    settings: Settings, invite: Invite, peer: str, forwarded: str, seen: str, https: bool
) -> None:
    email = await invite()
    app = build(settings.replace(trusted_proxies=("10.0.0.0/8",)))
    transport = httpx.ASGITransport(app, client=(peer, 1))  # type: ignore[arg-type]
    headers = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        answer = await sign_in(client, email)
    assert answer.headers["set-cookie"].startswith("__Host-portal=" if https else "portal=")
    assert await database.fetch_value("SELECT address FROM session") == seen


async def test_htmx_is_sent_to_sign_in_again(browser: httpx.AsyncClient) -> None:
    headers = {"hx-request": "true", "hx-current-url": "http://evil.example/entities/invoices?q=1"}
    answer = await browser.get("/trash", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?next=%2Fentities%2Finvoices%3Fq%3D1"
