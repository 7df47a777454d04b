"""The pages of users and tokens: by an admin with a fresh password; links and tokens are said once and stand nowhere else."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.accounts import tokens, users
from portal.accounts.people import list_people
from portal.audit.actors import SYSTEM
from tests.web.small_portal import PASSWORD, csrf_of, sign_in
from tests.web.whole_app import whole_app

USERS, TOKENS = "/settings/users", "/settings/tokens"
HTMX = {"hx-request": "true"}
OTHER = "eleven herons whisper"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


class Person:
    """Somebody at a browser of their own."""

    def __init__(self, app: Litestar) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")  # type: ignore[arg-type]
        self.csrf = ""

    async def sign_in(self, email: str) -> Person:
        assert (await sign_in(self.client, email)).status_code == 303
        self.csrf = await csrf_of(self.client)
        return self

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers={"accept": "text/html"})

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        data = {"csrf_token": self.csrf} | fields
        return await self.client.post(path, data=data, headers={"accept": "text/html"} | (headers or {}))


async def account(email: str, role: str) -> UUID:
    await users.set_password_by_link(await users.create_user(email, role, "", SYSTEM), PASSWORD)
    (found,) = [user for user in await users.list_users() if user.email == email]
    return found.id


@pytest.fixture
async def admin(app: Litestar, db: None, quick_hashes: None) -> Person:
    await account("bo@example.com", "admin")
    return await Person(app).sign_in("bo@example.com")


async def forget_password_was_given() -> None:
    await database.execute("UPDATE session SET confirmed_at = now() - interval '16 minutes'")


async def everything_stored() -> str:
    said = ""
    for name in ("password_link", "api_token", "audit", "audit_change", "session", "account"):
        said += await database.fetch_value(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {name} AS t") or ""
    return said


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
async def test_an_invitation_gives_a_link_that_is_said_once_and_works(
    app: Litestar, admin: Person, headers: dict[str, str]
) -> None:
    answer = await admin.post(USERS, headers, email="Eva@Example.com", name="Eva Holm", role="editor")
    assert answer.status_code == 200
    (link,) = set(re.findall(r"https?://[^\s<]+/password/([A-Za-z0-9_-]{43})", answer.text))
    assert "Eva Holm" in answer.text
    page = await admin.get(USERS)
    assert link not in page.text
    assert "Invited" in page.text
    assert link not in await everything_stored()
    visitor = Person(app)
    assert (await visitor.client.post(f"/password/{link}", data={"password": OTHER})).status_code == 303
    assert (await visitor.get("/account")).status_code == 200


async def test_what_was_typed_comes_back_with_the_reason_beside_it(admin: Person) -> None:
    for headers in ({}, HTMX):
        answer = await admin.post(USERS, headers, email="eva at home", name="Eva", role="editor")
        assert answer.status_code == 422
        assert 'value="eva at home"' in answer.text
        assert "Use an e-mail address" in answer.text
        assert re.search(r"id=\"field-email\"[^>]*autofocus|autofocus[^>]*id=\"field-email\"", answer.text)
    taken = await admin.post(USERS, email="bo@example.com", role="editor")
    assert (taken.status_code, "There is an account with this address" in taken.text) == (422, True)


async def test_after_a_quarter_of_an_hour_the_password_is_asked_for_and_opens_the_next_quarter(admin: Person) -> None:
    await forget_password_was_given()
    assert "Your password" in (await admin.get(USERS)).text
    refused = await admin.post(USERS, email="eva@example.com", role="editor")
    assert (refused.status_code, "Write your password" in refused.text) == (422, True)
    wrong = await admin.post(USERS, email="eva@example.com", role="editor", current="not this one at all")
    assert (wrong.status_code, "This is not your password" in wrong.text) == (422, True)
    assert len(await users.list_users()) == 1
    given = await admin.post(USERS, email="eva@example.com", role="editor", current=PASSWORD)
    assert given.status_code == 200
    assert "Your password" not in given.text
    assert (await admin.post(USERS, email="ida@example.com", role="viewer")).status_code == 200


async def test_who_is_disabled_is_out_and_may_be_let_in_again(app: Litestar, admin: Person) -> None:
    eva = await account("eva@example.com", "editor")
    other = await Person(app).sign_in("eva@example.com")
    said = await admin.post(f"{USERS}/{eva}/disable")
    assert (said.status_code, said.headers["location"]) == (303, f"{USERS}/{eva}")
    assert (await other.get("/account")).status_code == 303
    assert "Disabled" in (await admin.get(f"{USERS}/{eva}")).text
    await admin.post(f"{USERS}/{eva}/enable")
    assert (await sign_in(Person(app).client, "eva@example.com")).status_code == 303


async def test_a_role_counts_from_the_next_request(app: Litestar, admin: Person) -> None:
    eva = await account("eva@example.com", "viewer")
    assert (await admin.post(f"{USERS}/{eva}/role", role="admin")).status_code == 303
    assert (await (await Person(app).sign_in("eva@example.com")).get(USERS)).status_code == 200
    bad = await admin.post(f"{USERS}/{eva}/role", role="emperor")
    assert (bad.status_code, "Use one of" in bad.text) == (422, True)


async def test_sessions_end_one_by_one_and_all(app: Litestar, admin: Person) -> None:
    eva = await account("eva@example.com", "editor")
    browsers = [await Person(app).sign_in("eva@example.com") for _ in range(3)]
    first = await database.fetch_value("SELECT id FROM session WHERE account = $1 ORDER BY id LIMIT 1", eva)
    assert (await admin.post(f"{USERS}/{eva}/sign-out", session=str(first))).status_code == 303
    assert [(await each.get("/account")).status_code for each in browsers] == [303, 200, 200]
    assert (await admin.post(f"{USERS}/{eva}/sign-out")).status_code == 303
    assert [(await each.get("/account")).status_code for each in browsers] == [303, 303, 303]
    gone = await admin.post(f"{USERS}/{eva}/sign-out", session="nonsense")
    assert (gone.status_code, "has ended already" in gone.text) == (422, True)


async def test_a_reset_ends_the_password_and_says_a_link_once(app: Litestar, admin: Person) -> None:
    eva = await account("eva@example.com", "editor")
    answer = await admin.post(f"{USERS}/{eva}/reset")
    (link,) = set(re.findall(r"/password/([A-Za-z0-9_-]{43})", answer.text))
    assert (await sign_in(Person(app).client, "eva@example.com")).status_code == 422
    assert (await Person(app).client.post(f"/password/{link}", data={"password": OTHER})).status_code == 303
    assert link not in (await admin.get(f"{USERS}/{eva}")).text


async def test_nobody_shuts_themselves_out(admin: Person) -> None:
    (own,) = (await list_people(None)).items
    for deed in ("disable", "role", "reset"):
        answer = await admin.post(f"{USERS}/{own.user.id}/{deed}", role="viewer")
        assert (answer.status_code, "Another admin can" in answer.text) == (409, True), deed
    assert (await admin.get("/account")).status_code == 200


async def test_people_are_listed_page_by_page(admin: Person) -> None:
    for n in range(4):
        await users.create_user(f"p{n}@example.com", "viewer", "", SYSTEM)
    first = await list_people(None, limit=3)
    rest = await list_people(first.next, limit=3)
    assert [each.user.email[:2] for each in [*first.items, *rest.items]] == ["bo", "p0", "p1", "p2", "p3"]
    assert (first.total, rest.next) == (5, None)
    assert (await admin.get(f"{USERS}?cursor={first.next}")).status_code == 200
    assert (await admin.get(f"{USERS}?cursor=x")).status_code == 422


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
async def test_a_token_is_said_once_works_and_is_revoked(app: Litestar, admin: Person, headers: dict[str, str]) -> None:
    answer = await admin.post(TOKENS, headers, name="nightly import", role="editor", ends="90d")
    (token,) = set(re.findall(r"pt_[A-Za-z0-9_-]{43}", answer.text))
    assert token not in (await admin.get(TOKENS)).text
    assert token not in await everything_stored()
    script = {"authorization": f"Bearer {token}", "accept": "text/html"}
    visitor = Person(app).client
    assert (await visitor.get("/settings/embeds", headers=script)).status_code == 200
    (view,) = await tokens.list_tokens()
    assert view.expires_at is not None
    assert "last used" in (await admin.get(TOKENS)).text
    await forget_password_was_given()
    refused = await admin.post(f"{TOKENS}/{view.id}/revoke", headers)
    assert (refused.status_code, "Write your password" in refused.text) == (422, True)
    done = await admin.post(f"{TOKENS}/{view.id}/revoke", headers, current=PASSWORD)
    assert done.status_code == (200 if headers else 303)
    assert (await visitor.get("/api/entities", headers=script)).status_code == 401


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "Use 1 to 100 printable characters"),
        ({"role": "emperor"}, "Use one of"),
        ({"ends": "date", "until": "2020-01-01"}, "Choose a day to come"),
        ({"ends": "date", "until": ""}, "Choose a day to come"),
        ({"ends": "whenever"}, "Choose a day to come"),
    ],
)
async def test_a_token_that_cannot_be_made_says_why(admin: Person, fields: dict[str, Any], field: str) -> None:
    asked = {"name": "nightly", "role": "editor", "ends": "never"} | fields
    for headers in ({}, HTMX):
        answer = await admin.post(TOKENS, headers, **asked)
        assert (answer.status_code, field in answer.text) == (422, True)
    assert await tokens.list_tokens() == []
