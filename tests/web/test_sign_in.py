from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from portal import database
from portal.accounts import service, setup, tokens, users
from portal.audit.actors import SYSTEM
from portal.settings import Settings
from tests.web.small_portal import PASSWORD, Browse, build, csrf_of, sign_in

Invite = Callable[..., Any]


async def test_signing_in_gives_a_cookie_that_scripts_cannot_read(browser: httpx.AsyncClient, invite: Invite) -> None:
    answer = await sign_in(browser, await invite())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("portal=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert (await browser.get("/")).text == "user:ana@example.com"


async def test_over_https_the_cookie_is_bound_to_this_host(browse: Browse, invite: Invite) -> None:
    email = await invite()
    async with browse(https=True) as client:
        answer = await sign_in(client, email)
        assert answer.headers["set-cookie"].startswith("__Host-portal=")
        assert "Secure" in answer.headers["set-cookie"]
        client.cookies.set("portal", client.cookies["__Host-portal"])
        del client.cookies["__Host-portal"]
        assert (await client.get("/")).text == "nobody"


async def test_nobody_signs_in_over_plain_http_from_afar(browse: Browse, invite: Invite, settings: Settings) -> None:
    email = await invite()
    far = settings.replace(allowed_hosts=("shop.lan",))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(far)), base_url="http://shop.lan") as client:  # type: ignore[arg-type]
        answer = await sign_in(client, email)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "https" in answer.text


async def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    browser: httpx.AsyncClient, invite: Invite
) -> None:
    email = await invite()
    wrong = await sign_in(browser, email, "not the password at all")
    unknown = await sign_in(browser, "nobody@example.com")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace(email, "") == unknown.text.replace("nobody@example.com", "")
    assert PASSWORD not in unknown.text
    assert "set-cookie" not in wrong.headers


async def test_a_cookie_chosen_by_the_visitor_never_becomes_a_session(
    browser: httpx.AsyncClient, invite: Invite
) -> None:
    browser.cookies.set("portal", "A" * 43, domain="localhost.local")
    email = await invite()
    answer = await browser.post(
        "/login", data={"email": email, "password": PASSWORD}, headers={"cookie": f"portal={'A' * 43}"}
    )
    assert "A" * 43 not in answer.headers["set-cookie"]
    assert await service.find_session("A" * 43) is None


async def test_signing_in_again_ends_the_session_before(browser: httpx.AsyncClient, invite: Invite) -> None:
    email = await invite()
    await sign_in(browser, email)
    first = browser.cookies["portal"]
    await browser.post("/login", data={"email": email, "password": PASSWORD, "csrf_token": await csrf_of(browser)})
    assert browser.cookies["portal"] != first
    assert await service.find_session(first) is None


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/entities/invoices?q=a", "/entities/invoices?q=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        (" //evil.example", "/"),
        ("/a\\b", "/"),
        ("/\u0085evil", "/"),
        ("", "/"),
    ],
)
async def test_next_leads_only_to_our_own_pages(
    browser: httpx.AsyncClient, invite: Invite, wanted: str, reached: str
) -> None:
    answer = await sign_in(browser, await invite(), next=wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, reached)


async def test_a_page_asks_to_sign_in_and_comes_back(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/entities/invoices?q=a&sort=name", headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fentities%2Finvoices%3Fq%3Da%26sort%3Dname"
    page = await browser.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'value="/entities/invoices?q=a&amp;sort=name"' in page.text


async def test_two_browsers_are_listed_and_one_can_end_the_other(browse: Browse, invite: Invite) -> None:
    email = await invite()
    async with browse(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}) as one, browse() as two:
        await sign_in(one, email)
        await sign_in(two, email)
        token = await csrf_of(one)
        mine, other = [await service.find_session(client.cookies["portal"]) for client in (one, two)]
        assert mine
        assert other
        listed = await service.list_sessions(mine.account, mine.id)
        assert (listed[0].is_current, listed[0].browser) == (True, "Firefox on Linux")
        assert [each.is_current for each in listed] == [True, False]
        ended = await one.post(f"/account/sessions/{other.id}/end", data={"csrf_token": token})
        assert ended.status_code == 303
        assert (await two.get("/")).text == "nobody"
        assert (await one.get("/")).text == f"user:{email}"
        assert "Signed out there." in (await one.get("/account")).text
        assert "Signed out there." not in (await one.get("/account")).text


async def test_nobody_ends_the_session_of_somebody_else(browse: Browse, invite: Invite) -> None:
    async with browse() as ana, browse() as bo:
        await sign_in(ana, await invite("ana@example.com"))
        await sign_in(bo, await invite("bo@example.com", "admin"))
        session = await service.find_session(ana.cookies["portal"])
        assert session
        answer = await bo.post(f"/account/sessions/{session.id}/end", data={"csrf_token": await csrf_of(bo)})
        assert answer.status_code == 404
        assert (await ana.get("/")).text == "user:ana@example.com"


async def test_signing_out_ends_the_session_not_only_the_cookie(browser: httpx.AsyncClient, invite: Invite) -> None:
    await sign_in(browser, await invite())
    cookie = browser.cookies["portal"]
    answer = await browser.post("/logout", data={"csrf_token": await csrf_of(browser)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert await service.find_session(cookie) is None


async def test_changing_the_password_ends_the_other_browsers(browse: Browse, invite: Invite) -> None:
    email = await invite()
    async with browse() as one, browse() as two:
        await sign_in(one, email)
        await sign_in(two, email)
        fields = {"csrf_token": await csrf_of(one), "current": "wrong, surely", "password": "seven badgers whistle"}
        assert (await one.post("/account/password", data=fields)).status_code == 422
        assert (await two.get("/")).text == f"user:{email}"
        assert (await one.post("/account/password", data={**fields, "current": PASSWORD})).status_code == 303
        assert (await two.get("/")).text == "nobody"
        assert (await one.get("/")).text == f"user:{email}"
        assert (await sign_in(two, email, "seven badgers whistle")).status_code == 303


async def test_idle_and_old_sessions_end(browser: httpx.AsyncClient, invite: Invite) -> None:
    email = await invite()
    for column, span in (("seen_at", "61 minutes"), ("created_at", "12 hours 1 second")):
        await sign_in(browser, email)
        assert (await browser.get("/")).text == f"user:{email}"
        await database.execute(f"UPDATE session SET {column} = now() - interval '{span}'")
        assert (await browser.get("/")).text == "nobody"
        browser.cookies.clear()


async def test_a_role_counts_from_the_next_request(browser: httpx.AsyncClient, invite: Invite) -> None:
    email = await invite(role="editor")
    await sign_in(browser, email)
    headers = {"x-csrf-token": await csrf_of(browser)}
    assert (await browser.post("/api/editors", headers=headers)).status_code == 200
    await database.execute("UPDATE account SET role = 'viewer'")
    answer = await browser.post("/api/editors", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    await users.change_role(email, "editor", SYSTEM)
    assert (await browser.post("/api/editors", headers=headers)).status_code == 401


async def test_what_cannot_be_undone_asks_for_the_password_again(browser: httpx.AsyncClient, invite: Invite) -> None:
    await sign_in(browser, await invite(role="admin"))
    headers = {"x-csrf-token": await csrf_of(browser)}
    assert (await browser.post("/api/dangerous", headers=headers)).status_code == 200
    await database.execute("UPDATE session SET confirmed_at = now() - interval '16 minutes'")
    refused = await browser.post("/api/dangerous", headers=headers)
    assert (refused.status_code, refused.json()["confirm"]) == (403, True)
    session = await service.find_session(browser.cookies["portal"])
    assert session
    await service.confirm_password(session, PASSWORD)
    assert (await browser.post("/api/dangerous", headers=headers)).status_code == 200


async def test_guessing_is_slowed_down_also_when_all_guesses_come_at_once(browse: Browse, invite: Invite) -> None:
    email = await invite()
    async with browse() as client:
        answers = await asyncio.gather(*(sign_in(client, email, f"wrong guess number {n}") for n in range(14)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [422] * 10 + [429] * 4
        late = await sign_in(client, email)
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 900
        assert "Too many attempts" in late.text
        await database.execute("UPDATE throttle SET since = now() - interval '16 minutes'")
        assert (await sign_in(client, email)).status_code == 303


async def test_setup_makes_exactly_one_admin_and_then_is_gone(browse: Browse, settings: Settings, app: Any) -> None:
    link = await setup.setup_link(settings)
    assert link
    token = link.partition("token=")[2]
    assert len(token) >= 22
    async with browse() as client:
        unknown = await client.get("/nothing/here")
        bad = await client.get("/setup?token=wrong")
        assert bad.status_code == unknown.status_code == 404
        assert bad.headers["content-type"].startswith("text/html")
        neutral = [page.text.replace(page.headers["x-request-id"], "") for page in (bad, unknown)]
        assert neutral[0] == neutral[1]
        assert token in (await client.get(f"/setup?token={token}")).text
        weak = {"token": token, "email": "a@example.com", "name": "A", "password": "password1234"}
        assert (await client.post("/setup", data=weak)).status_code == 422
        tries = [
            client.post("/setup", data={**weak, "email": f"a{n}@example.com", "password": PASSWORD}) for n in range(15)
        ]
        answers = await asyncio.gather(*tries)
        assert sorted(answer.status_code for answer in answers).count(303) == 1
        assert {answer.status_code for answer in answers} <= {303, 404}
        assert [user.role for user in await users.list_users()] == ["admin"]
        assert (await client.get(f"/setup?token={token}")).status_code == 404
    await database.execute("DELETE FROM account")
    assert await setup.setup_link(settings) is None


async def test_a_new_start_ends_the_link_of_the_one_before(browser: httpx.AsyncClient, settings: Settings) -> None:
    first, second = await setup.setup_link(settings), await setup.setup_link(settings)
    assert first
    assert second
    assert (await browser.get(first.removeprefix(settings.base_url))).status_code == 404
    assert (await browser.get(second.removeprefix(settings.base_url))).status_code == 200
    await database.execute(
        "UPDATE portal_state SET value = jsonb_set(value, '{expires_at}', '\"2020-01-01T00:00:00+00:00\"')"
    )
    assert (await browser.get(second.removeprefix(settings.base_url))).status_code == 404


async def test_guessing_the_setup_token_is_throttled(browser: httpx.AsyncClient, settings: Settings) -> None:
    await setup.setup_link(settings)
    statuses = [(await browser.get(f"/setup?token={n}")).status_code for n in range(22)]
    assert statuses == [404] * 20 + [429] * 2


async def test_a_password_link_works_once(browser: httpx.AsyncClient, app: Any) -> None:
    token = await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    assert "ana@example.com" in (await browser.get(f"/password/{token}")).text
    assert (await browser.post(f"/password/{token}", data={"password": "short"})).status_code == 422
    assert (await browser.post(f"/password/{token}", data={"password": PASSWORD})).status_code == 303
    assert (await browser.get("/")).text == "user:ana@example.com"
    assert (await browser.get(f"/password/{token}")).status_code == 404


async def test_a_bearer_token_works_without_cookie_or_form_token(
    browser: httpx.AsyncClient, app: Any, invite: Invite
) -> None:
    token = await tokens.create_token("nightly", "editor", None, SYSTEM)
    await sign_in(browser, await invite(role="admin"))
    headers = {"authorization": f"Bearer {token}"}
    assert (await browser.get("/api/whoami", headers=headers)).json() == {"name": "token:nightly", "role": "editor"}
    assert (await browser.post("/api/editors", headers=headers)).status_code == 200
    (view,) = await tokens.list_tokens()
    await tokens.revoke_token(view.id, SYSTEM)
    refused = await browser.get("/api/whoami", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "Basic YTpi", "Bearer pt_" + "A" * 43, "", "Bearer \xff"])
async def test_bad_credentials_are_refused_before_the_body_is_read(browser: httpx.AsyncClient, value: str) -> None:
    async def endless() -> Any:
        raise AssertionError("the body was read")
        yield b""

    headers = {"authorization": value.encode("latin-1"), "content-type": "application/json", "content-length": "5"}
    for path in ("/api/editors", "/api/upload"):
        answer = await browser.post(path, content=endless(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_the_theme_is_kept_in_a_cookie(browser: httpx.AsyncClient) -> None:
    answer = await browser.post(
        "/account/theme", data={"theme": "dark"}, headers={"referer": "http://localhost/login?next=/x"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/x")
    broken = await browser.post("/account/theme", data={"theme": "dark"}, headers={"referer": "http://[x"})
    assert (broken.status_code, broken.headers["location"]) == (303, "/")
    assert 'data-theme="dark"' in (await browser.get("/login")).text
    assert (await browser.post("/account/theme", data={"theme": '"><script>'})).status_code == 422
