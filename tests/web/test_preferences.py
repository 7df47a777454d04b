"""What people choose for themselves: kept with the account, in force on every page from the next request on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from portal import database
from tests.web.small_portal import csrf_of, sign_in

Invite = Callable[..., Any]


@pytest.fixture
async def person(browser: httpx.AsyncClient, invite: Invite) -> httpx.AsyncClient:
    await sign_in(browser, await invite())
    return browser


async def choose(person: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await person.post("/account/preferences", data={"csrf_token": await csrf_of(person), **fields})


async def test_single_keys_are_switched_off_and_on(person: httpx.AsyncClient) -> None:
    assert 'data-shortcuts="off"' not in (await person.get("/account")).text
    assert (await choose(person, dates="words")).status_code == 303
    assert 'data-shortcuts="off"' in (await person.get("/account")).text
    await choose(person, dates="words", shortcuts="on")
    assert 'data-shortcuts="off"' not in (await person.get("/account")).text
    assert await database.fetch_value("SELECT preferences FROM account") == "{}"  # only what is not as usual


async def test_times_are_told_as_their_reader_wants_in_the_readers_zone(person: httpx.AsyncClient) -> None:
    await database.execute("UPDATE session SET created_at = date_trunc('hour', now() - interval '2 hours')")
    at = await database.fetch_value("SELECT created_at FROM session")
    assert "signed in Today" in (said := (await person.get("/account")).text) or "signed in Yesterday" in said
    await choose(person, dates="iso", zone="Asia/Tokyo", shortcuts="on")
    local = await database.fetch_value(
        "SELECT to_char($1::timestamptz AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI')", at
    )
    assert f"signed in {local}" in (await person.get("/account")).text


async def test_who_reads_next_is_told_times_as_usual(person: httpx.AsyncClient, invite: Invite) -> None:
    await choose(person, dates="iso", shortcuts="on")
    await person.post("/logout", data={"csrf_token": await csrf_of(person)})
    await sign_in(person, await invite(email="bo@example.com"))
    assert not re.search(r"signed in \d{4}-", (await person.get("/account")).text)


async def test_what_is_no_zone_comes_back_with_the_reason(person: httpx.AsyncClient) -> None:
    answer = await choose(person, zone="Atlantis/Capital", dates="iso")
    assert answer.status_code == 422
    assert 'value="Atlantis/Capital"' in answer.text
    assert "Use the name of a zone" in answer.text
    assert (await choose(person, dates="runes")).status_code == 422


async def test_what_others_keep_among_the_preferences_stays(person: httpx.AsyncClient) -> None:
    await database.execute("""UPDATE account SET preferences = '{"view": "list"}'""")
    await choose(person, dates="iso", shortcuts="on")
    assert await database.fetch_value("SELECT preferences ->> 'view' FROM account") == "list"


async def test_all_other_sessions_end_at_once(person: httpx.AsyncClient) -> None:
    mine = person.cookies["portal"]
    person.cookies.clear()
    await sign_in(person, "ana@example.com")
    theirs = person.cookies["portal"]
    person.cookies.clear()
    person.cookies.set("portal", mine)
    await person.post("/account/sessions/end-others", data={"csrf_token": await csrf_of(person)})
    assert await database.fetch_value("SELECT count(*) FROM session") == 1
    assert (await person.get("/account")).status_code == 200
    person.cookies.clear()
    person.cookies.set("portal", theirs)
    assert (await person.get("/account", headers={"accept": "text/html"})).status_code == 303
