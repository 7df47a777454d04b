from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest

from portal import database
from portal.accounts import service, setup, throttle, tokens, users
from portal.audit.actors import SYSTEM, Actor
from portal.audit.queries import history_of
from portal.errors import Conflict, Forbidden, FormError, NotFound, RateLimited
from portal.settings import Settings

PASSWORD = "nine otters juggle"


async def person(email: str = "ana@example.com", role: str = "editor") -> users.UserView:
    await users.set_password_by_link(await users.create_user(email, role, "Ana Berg", SYSTEM), PASSWORD)
    return next(user for user in await users.list_users() if user.email == email)


async def test_a_user_is_invited_and_comes_in_by_a_link(db: None) -> None:
    token = await users.create_user(" Ana@Example.com ", "viewer", "", SYSTEM)
    (user,) = await users.list_users()
    assert (user.email, user.name, user.role, user.invited) == ("ana@example.com", "ana", "viewer", True)
    with pytest.raises(FormError):
        await service.sign_in("ana@example.com", "", "1.2.3.4", "")
    with pytest.raises(FormError):
        await users.set_password_by_link(token, "password1234")
    assert await users.set_password_by_link(token, PASSWORD) == "ana@example.com"
    with pytest.raises(NotFound):
        await users.set_password_by_link(token, PASSWORD)
    cookie, session = await service.sign_in("ANA@example.com", PASSWORD, "1.2.3.4", "Firefox")
    assert session.actor == Actor("user:ana@example.com", "viewer")
    assert await service.find_session(cookie) == session
    actions = [entry.action for entry in await history_of("user", str(user.id))]
    assert actions == ["session.start", "user.set_password", "session.refuse", "user.add"]


async def test_one_link_sets_one_password_also_when_used_twice_at_once(db: None) -> None:
    token = await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    tries = [users.set_password_by_link(token, f"{PASSWORD} {n}") for n in range(6)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(result == "ana@example.com" for result in results) == 1
    assert sum(isinstance(result, NotFound) for result in results) == 5


async def test_links_end(db: None) -> None:
    token = await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    await database.execute("UPDATE password_link SET expires_at = now() - interval '1 second'")
    with pytest.raises(NotFound):
        await users.get_link(token)
    second = await users.reset_password("ana@example.com", SYSTEM)
    third = await users.reset_password("ANA@example.com", SYSTEM)
    with pytest.raises(NotFound):
        await users.get_link(second)
    assert (await users.get_link(third)).email == "ana@example.com"


@pytest.mark.parametrize(
    ("email", "role", "name", "field"),
    [
        ("ana", "viewer", "Ana", "email"),
        ("a@b@c", "viewer", "Ana", "email"),
        ("a\u202e@b.c", "viewer", "Ana", "email"),
        ("a" * 251 + "@b.c", "viewer", "Ana", "email"),
        ("a" * 192 + "@b.c", "viewer", "Ana", "email"),
        ("a\0@b.c", "viewer", "Ana", "email"),
        ("ana@example.com", "owner", "Ana", "role"),
        ("ana@example.com", "viewer", "A\nB", "name"),
        ("ana@example.com", "viewer", "A" * 101, "name"),
    ],
)
async def test_odd_users_are_refused(db: None, email: str, role: str, name: str, field: str) -> None:
    with pytest.raises(FormError) as caught:
        await users.create_user(email, role, name, SYSTEM)
    assert list(caught.value.errors) == [field]


async def test_an_address_belongs_to_one_account(db: None) -> None:
    await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    with pytest.raises(Conflict):
        await users.create_user("ANA@EXAMPLE.COM", "admin", "Ana", SYSTEM)


async def test_disabling_and_resetting_end_everything_at_once(db: None) -> None:
    await person()
    cookie, _ = await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    await users.disable_user("ana@example.com", SYSTEM)
    assert await service.find_session(cookie) is None
    with pytest.raises(FormError):
        await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    token = await users.reset_password("ana@example.com", SYSTEM)
    with pytest.raises(FormError):
        await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    await users.set_password_by_link(token, PASSWORD)
    await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")


async def test_the_last_admin_stays(db: None) -> None:
    await person("ana@example.com", "admin")
    await person("bo@example.com", "admin")
    results = await asyncio.gather(
        users.disable_user("ana@example.com", SYSTEM),
        users.disable_user("bo@example.com", SYSTEM),
        return_exceptions=True,
    )
    admins = [user for user in await users.list_users() if not user.disabled]
    assert len(admins) == 1, results
    await users.create_user("eva@example.com", "admin", "Eva", SYSTEM)  # invited: nobody knows whether she ever comes
    with pytest.raises(Conflict):
        await users.disable_user(admins[0].email, SYSTEM)
    with pytest.raises(Conflict):
        await users.change_role(admins[0].email, "viewer", SYSTEM)
    await users.disable_user("eva@example.com", SYSTEM)


async def test_an_unknown_account_costs_the_same_time(db: None) -> None:
    await person()

    async def seconds(email: str) -> float:
        started = time.process_time()  # of all threads; what else the machine has to do does not count
        with pytest.raises(FormError):
            await service.sign_in(email, "not the password", "1.2.3.4", "")
        return time.process_time() - started

    pairs = [(await seconds("ana@example.com"), await seconds("nobody@example.com")) for _ in range(5)]
    known, unknown = [statistics.median(each) for each in zip(*pairs, strict=True)]
    assert 0.4 < unknown / known < 2.5


async def test_one_address_cannot_try_many_accounts(db: None) -> None:
    for _ in range(throttle.ADDRESS.attempts):
        await throttle.count_attempt(throttle.ADDRESS, "2001:db8::1")
    with pytest.raises(RateLimited):
        await service.sign_in("ana@example.com", PASSWORD, "2001:db8::ffff", "")
    with pytest.raises(FormError):
        await service.sign_in("ana@example.com", PASSWORD, "2001:db8:0:1::1", "")


async def test_a_success_forgives_the_account_but_not_the_address(db: None) -> None:
    await person()
    for _ in range(3):
        with pytest.raises(FormError):
            await service.sign_in("ana@example.com", "not the password", "1.2.3.4", "")
    await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    rows = {
        row["key"].partition(":")[0]: row["failures"]
        for row in await database.fetch("SELECT key, failures FROM throttle")
    }
    assert rows == {"address": 3}


async def test_what_people_type_is_not_kept_by_the_throttle(db: None) -> None:
    with pytest.raises(FormError):
        await service.sign_in("my secret passphrase\0\ud800", "x", "1.2.3.4", "")
    keys = [row["key"] for row in await database.fetch("SELECT key FROM throttle")]
    assert len(keys) == 2
    assert not any("secret" in key or "1.2.3.4" in key for key in keys)


async def test_nothing_secret_is_stored_as_it_is(db: None) -> None:
    link = await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    await users.set_password_by_link(link, PASSWORD)
    cookie, session = await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    token = await tokens.create_token("nightly", "viewer", None, SYSTEM)
    stored = ""
    for table in (
        "account",
        "session",
        "api_token",
        "password_link",
        "audit",
        "audit_change",
        "throttle",
        "portal_state",
    ):
        rows = await database.fetch(f"SELECT t::text AS line FROM {table} t")
        stored += " ".join(row["line"] for row in rows)
    for secret in (link, cookie, token, PASSWORD, session.csrf):
        assert secret not in stored
        assert secret.encode().hex() not in stored
    assert "$argon2id$" in stored


async def test_tokens_expire_are_revoked_and_note_their_use(db: None) -> None:
    token = await tokens.create_token("nightly", "viewer", datetime.now(UTC) + timedelta(hours=1), SYSTEM)
    assert token.startswith("pt_")
    assert len(token) == 46
    found = await tokens.authenticate_token(token)
    assert found
    assert found.actor == Actor("token:nightly", "viewer")
    (view,) = await tokens.list_tokens()
    assert token.startswith(view.prefix)
    used = view.used_at
    assert used
    await tokens.authenticate_token(token)
    assert (await tokens.list_tokens())[0].used_at == used
    await database.execute("UPDATE api_token SET expires_at = now()")
    assert await tokens.authenticate_token(token) is None
    second = await tokens.create_token("other", "viewer", None, SYSTEM)
    await tokens.revoke_token((await tokens.list_tokens())[0].id, SYSTEM)
    assert await tokens.authenticate_token(second) is None
    for wrong in ("", "pt_", token + "A", token[:-1], "pt_" + "é" * 43, "pt_" + "\0" * 43):
        assert await tokens.authenticate_token(wrong) is None


async def test_only_an_admin_gives_out_tokens(db: None) -> None:
    with pytest.raises(Forbidden):
        await tokens.create_token("x", "viewer", None, Actor("user:ana", "editor"))
    with pytest.raises(FormError):
        await tokens.create_token("x", "viewer", datetime(2020, 1, 1, tzinfo=UTC), SYSTEM)
    with pytest.raises(FormError):
        await tokens.create_token("x", "root", None, SYSTEM)


async def test_the_first_admin_can_come_from_the_settings_once(db: None, config: Settings) -> None:
    weak = config.replace(admin_email="ana@example.com", admin_password="password1234")
    with pytest.raises(FormError):
        await setup.make_admin_from_settings(weak)
    strong = weak.replace(admin_password=PASSWORD)
    assert sorted(await asyncio.gather(*(setup.make_admin_from_settings(strong) for _ in range(4)))) == [False] * 3 + [
        True
    ]
    await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    await database.execute("DELETE FROM account")
    assert not await setup.make_admin_from_settings(strong)
    assert await setup.setup_link(strong) is None


async def test_an_admin_made_on_the_command_line_closes_the_setup(db: None, config: Settings) -> None:
    link = await setup.setup_link(config)
    assert link
    await users.create_user("ana@example.com", "admin", "Ana", SYSTEM)
    with pytest.raises(NotFound):
        await setup.set_up(link.partition("token=")[2], "eve@example.com", "Eve", PASSWORD)


async def test_old_sessions_links_and_counts_are_swept(db: None) -> None:
    await person()
    cookie, _ = await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    await service.forget_expired()
    assert await service.find_session(cookie)
    await database.execute("UPDATE session SET seen_at = now() - interval '2 hours'")
    await throttle.count_attempt(throttle.SETUP, "1.2.3.4")
    await database.execute("UPDATE throttle SET since = now() - interval '2 days'")
    assert await service.forget_expired() >= 2
    assert await database.fetch_value("SELECT count(*) FROM session") == 0
    assert await database.fetch_value("SELECT count(*) FROM throttle") == 0


async def test_seen_at_is_written_at_most_once_a_minute(db: None) -> None:
    await person()
    cookie, _ = await service.sign_in("ana@example.com", PASSWORD, "1.2.3.4", "")
    before = await database.fetch_value("SELECT seen_at FROM session")
    await service.find_session(cookie)
    assert await database.fetch_value("SELECT seen_at FROM session") == before
    await database.execute("UPDATE session SET seen_at = now() - interval '2 minutes'")
    await service.find_session(cookie)
    assert await database.fetch_value("SELECT seen_at FROM session") > before
