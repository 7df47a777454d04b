"""The audit's page, API and CSV: found by who, what and when, said in words, and nothing in it that a browser or sheet runs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.accounts import users
from portal.audit.actors import SYSTEM, Actor
from portal.audit.queries import history_of
from portal.audit.sealing import seal_lines
from portal.audit.service import record, request_id
from portal.audit.verification import last_verdict
from portal.gallery.disposal import delete_image, trash_image
from portal.maintenance import audit_jobs
from tests.auditing import tamper
from tests.factories import Studio, make_entity
from tests.web.small_portal import PASSWORD, csrf_of, sign_in
from tests.web.whole_app import caller, working_app

PAGE, API = "/maintenance/audit", "/api/audit"
ANA = Actor("user:ana@example.com", "editor")


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def person(db: None, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """An admin at a browser."""
    await users.set_password_by_link(await users.create_user("bo@example.com", "admin", "Bo Lind", SYSTEM), PASSWORD)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await sign_in(client, "bo@example.com")
        yield client


@pytest.fixture
def studio(app: Litestar, db: None) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


async def write(action: str = "image.describe", subject: tuple[str, str] = ("image", "1"), **line: Any) -> None:
    actor, request = line.pop("actor", ANA), line.pop("request", None)
    mark = request_id.set(request)
    try:
        async with database.transaction():
            await record(actor, action, *subject, **line)
    finally:
        request_id.reset(mark)


async def lines(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await client.get(API, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["lines"]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_the_audit_is_for_admins(app: Litestar, db: None, role: str) -> None:
    client = await caller(app, role)
    assert [(await client.get(path)).status_code for path in (PAGE, f"{PAGE}/chain", API)] == [403, 403, 403]
    assert 'href="/maintenance/audit"' not in (await client.get("/", headers={"accept": "text/html"})).text


async def test_a_line_is_said_in_words_with_before_and_after(admin: httpx.AsyncClient, studio: Studio) -> None:
    await users.create_user("ana@example.com", "editor", "Ana Berg", SYSTEM)
    await make_entity(id="LMP-7", name="Dome lamp")
    id = await studio.add(await make_entity(id="LMP-8"), filename="dome-lamp.jpg", actor=ANA)
    await trash_image(id, actor=ANA, deletes_per_hour=500)
    await write(
        subject=("image", str(id)), before={"alt_text": None}, after={"alt_text": "<b>A lamp</b>"}, request="r-77"
    )
    await write("entity.change", ("entity", "inventory_items/LMP-7"))
    page = (await admin.get(PAGE)).text
    said = text_of(page)
    assert "Ana Berg moved dome-lamp.jpg of LMP-8 to the trash" in said
    assert "Ana Berg changed Dome lamp (LMP-7)" in said
    assert f'href="/images/{id}"' in page
    assert 'href="/entities/inventory_items/LMP-7"' in page
    assert "alt textnothing<b>A lamp</b>" in said.replace("> <", "><").replace("alt text nothing", "alt textnothing")
    assert "<b>A lamp</b>" not in page
    assert "r-77" in page


async def test_lines_are_found_by_who_what_subject_request_and_refusal(admin: httpx.AsyncClient, app: Litestar) -> None:
    await users.create_user("bo@example.com", "editor", "Bo Lind", SYSTEM)
    await write(request="r-1")
    await write("image.trash", ("image", "2"), actor=Actor("user:bo@example.com", "editor"))
    await write("entity.add", ("entity", "invoices/A-1"), actor=Actor("token:nightly", "editor"))
    await write("denied", ("route", "/api/images/{id}"), after={"status": 403, "code": "forbidden", "method": "GET"})
    found = {
        "ana": {"who": "ANA@"},
        "name": {"who": "lind"},
        "script": {"who": "nightly"},
        "nobody": {"who": "zoe"},
        "what": {"what": "image.trash"},
        "entity": {"subject": "invoices/A-1"},
        "typed": {"subject": "image/2"},
        "id": {"subject": "2"},
        "both": {"subject": "2", "who": "ana"},
        "route": {"subject": "/api/images/{id}"},
        "request": {"request": "r-1"},
        "denied": {"denied": "1"},
    }
    actual = {name: [line["action"] for line in await lines(admin, **query)] for name, query in found.items()}
    assert actual == {
        "ana": ["denied", "image.describe"],
        "name": ["image.trash"],
        "script": ["entity.add"],
        "nobody": [],
        "what": ["image.trash"],
        "entity": ["entity.add"],
        "typed": ["image.trash"],
        "id": ["image.trash"],
        "both": [],
        "route": ["denied"],
        "request": ["image.describe"],
        "denied": ["denied"],
    }


async def write_days_ago(*days: int) -> None:
    for each in days:
        await write(subject=("image", str(each)))
        ago = f"date_trunc('day', now(), 'UTC') - interval '{each} days'"
        await tamper(f"UPDATE audit SET at = {ago} WHERE subject_id = '{each}'")


async def found_on(client: httpx.AsyncClient, **query: str) -> list[str]:
    return [line["subject_id"] for line in await lines(client, what="image.describe", **query)]


async def test_days_count_from_their_first_moment_to_their_last(admin: httpx.AsyncClient) -> None:
    await write_days_ago(400, 2, 1, 0)
    today = datetime.now(UTC).date()
    yesterday, before = str(today - timedelta(days=1)), str(today - timedelta(days=2))
    assert await found_on(admin, **{"from": yesterday}) == ["0", "1"]
    assert await found_on(admin, to=yesterday) == ["1", "2", "400"]
    assert await found_on(admin, **{"from": before, "to": yesterday}) == ["1", "2"]
    assert await found_on(admin, to=f"{before}T00:00:00+00:00") == ["400"]


async def test_a_clock_that_was_wrong_for_a_while_hides_no_line(admin: httpx.AsyncClient) -> None:
    await write_days_ago(9, 8, -900, 7, 900, 6, 5)
    today = datetime.now(UTC).date()
    week = {"from": str(today - timedelta(days=8)), "to": str(today - timedelta(days=5))}
    assert await found_on(admin, **week) == ["5", "6", "7", "8"]
    assert await found_on(admin, **{"from": str(today)}) == ["-900"]
    assert await found_on(admin, to=str(today - timedelta(days=100))) == ["900"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"who": "a\0b"}, "who"),
        ({"subject": "x" * 201}, "subject"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_named(
    admin: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    answer = await admin.get(API, params=query)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field])
    page = await admin.get(PAGE, params=query)
    assert (page.status_code, "aria-invalid" in page.text) == (422, True)


async def test_pages_follow_each_other_without_gap_or_repetition(admin: httpx.AsyncClient) -> None:
    for number in range(7):
        await write(subject=("image", str(number)), actor=Actor(f"user:{number % 2}@example.com", "editor"))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = (await admin.get(API, params={"limit": "3", "cursor": cursor, "who": "@example.com"})).json()
        assert answer["total"] == 7
        seen += [line["subject_id"] for line in answer["lines"]]
        cursor = answer["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert (await admin.get(API, params={"cursor": "nonsense"})).status_code == 422


async def test_an_image_that_is_deleted_keeps_its_history(admin: httpx.AsyncClient, studio: Studio) -> None:
    id = await studio.add(await make_entity(id="LMP-9"), filename="dome-lamp.jpg", actor=ANA)
    await delete_image(id, actor=ANA, deletes_per_hour=500)
    assert [each.action for each in await history_of("image", str(id))] == ["image.delete", "image.add"]
    page = await admin.get(PAGE, params={"subject": f"image/{id}"})
    said = text_of(page.text)
    assert "History of dome-lamp.jpg of LMP-9" in said
    assert "ana@example.com deleted dome-lamp.jpg of LMP-9" in said
    assert f'href="/images/{id}"' not in page.text


async def test_the_history_of_a_picture_stands_on_its_page_in_the_same_words(app: Litestar, studio: Studio) -> None:
    viewer = await caller(app, "viewer")
    id = await studio.add(await make_entity(), actor=ANA)
    await write(subject=("image", str(id)), after={"alt_text": "x"})
    await trash_image(id, actor=ANA, deletes_per_hour=500)
    said = text_of((await viewer.get(f"/images/{id}", headers={"accept": "text/html"})).text)
    for words in (
        "ana@example.com added it",
        "ana@example.com changed: alt text",
        "ana@example.com moved it to the trash",
    ):
        assert words in said


async def test_csv_has_every_line_that_fits_and_no_formula(person: httpx.AsyncClient) -> None:
    for start in ("=1+1", "+1", "-1", "@x", "\t=x", "\r=x"):
        await write(after={"caption": "x"}, subject=("image", start), actor=Actor(f"token:{start}", "editor"))
    await write("image.trash")
    csrf = await csrf_of(person)
    answer = await person.post(f"{PAGE}/export", data={"csrf_token": csrf, "what": "image.describe"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [row["action"] for row in rows] == ["image.describe"] * 6
    assert not [cell for row in rows for cell in row.values() if re.match(r"[=+\-@\t\r]", cell)]
    assert rows[-1]["after"] == '{"caption": "x"}'
    (line,) = await history_of("audit", "lines")
    assert (line.actor, line.action) == ("user:bo@example.com", "audit.export")
    assert line.after == {"filters": {"what": "image.describe"}}


async def test_verify_now_is_a_job_and_its_verdict_stands_on_the_page(admin: httpx.AsyncClient, app: Litestar) -> None:
    settings = app.state.settings
    await write()
    assert "Not verified yet" in (await admin.get(PAGE)).text
    answer = await admin.post(f"{PAGE}/verify", headers={"hx-request": "true"})
    assert "Verifying" in answer.text
    await admin.post(f"{PAGE}/verify")
    assert await database.fetch_value("SELECT count(*) FROM job WHERE kind = 'audit_verify'") == 1
    await run_jobs(app)
    chain = await admin.get(f"{PAGE}/chain")
    assert "Verified" in chain.text
    assert (await seal_lines(settings.secret_keys)).head in chain.text
    pk = await database.fetch_value("SELECT min(pk) FROM audit")
    await tamper(f"UPDATE audit SET action = 'image.add' WHERE pk = {pk}")
    await audit_jobs.verify(settings)
    verdict = await last_verdict()
    assert verdict is not None
    assert (verdict["is_whole"], verdict["breaches"], verdict["first"][0]["line"]) == (False, 1, pk)
    said = text_of((await admin.get(f"{PAGE}/chain")).text)
    assert "Broken" in said
    assert f"Line {pk}: its time, action, subject or request id was changed." in said


async def run_jobs(app: Litestar) -> None:
    """What the worker would do."""
    tasks = app.state.parts.tasks()
    for row in await database.fetch("SELECT id, kind FROM job WHERE state = 'queued'"):
        await tasks[row["kind"]].run({"job": str(row["id"])})
        state = await database.fetch_value("SELECT state FROM job WHERE id = $1", UUID(str(row["id"])))
        assert state == "succeeded"


async def test_an_erasure_wants_the_password_and_somebody_else(person: httpx.AsyncClient) -> None:
    await write(after={"by": "ana@example.com"})
    csrf = await csrf_of(person)

    async def erase(**fields: str) -> httpx.Response:
        return await person.post(f"{PAGE}/erase", data={"csrf_token": csrf} | fields)

    wrong = await erase(person="ana@example.com", current="guess")
    assert (wrong.status_code, "This is not your password." in wrong.text) == (422, True)
    assert 'value="ana@example.com"' in wrong.text
    assert "guess" not in wrong.text
    own = await erase(person="bo@example.com", current=PASSWORD)
    assert (own.status_code, "Somebody else has to do this" in own.text) == (422, True)
    assert (await erase(person="zoe@example.com", current=PASSWORD)).status_code == 404
    assert (await erase(person="ana@example.com", current=PASSWORD)).status_code == 303
    assert not await database.fetch_value("SELECT count(*) FROM audit WHERE actor = 'user:ana@example.com'")
    assert (await audit_jobs.verify(person._transport.app.state.settings))[0].is_whole  # type: ignore[attr-defined]


async def test_a_script_erases_nobody(admin: httpx.AsyncClient) -> None:
    assert (await admin.post(f"{PAGE}/erase", data={"person": "ana@example.com"})).status_code == 401
