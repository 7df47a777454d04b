"""The trash's page: choosing some or all, restoring, and deleting for good once it has asked; with htmx and without."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery import trash, trash_pages
from portal.gallery.disposal import trash_image
from portal.gallery.pins import pin_invoice
from portal.gallery.trash import EMPTY_TRASH, RESTORE_TRASH
from tests.factories import Studio, make_entity
from tests.web.deeds import World, world_of
from tests.web.small_portal import PASSWORD
from tests.web.test_gallery_pages import HTMX, PLAIN, page, said_after
from tests.web.whole_app import caller, working_app


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: a test runs the job that was started itself."""
    monkeypatch.setattr(trash_pages, "PATIENCE", 0)


@pytest.fixture
async def world(db: None, app: Litestar) -> World:
    return await world_of(app)


@pytest.fixture
async def thrown(studio: Studio) -> list[str]:
    """Three pictures in the trash, the last thrown away first."""
    ref = await make_entity(id="MUG")
    made = [await studio.add(ref, filename=f"{name}.jpg", ready=False) for name in ("one", "two", "three")]
    for image_id in made:
        await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    return [str(image_id) for image_id in reversed(made)]


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] = PLAIN, /, **fields: Any
) -> httpx.Response:
    body = urlencode(fields, doseq=True).encode()
    return await client.post(
        path, content=body, headers={"content-type": "application/x-www-form-urlencoded", **headers}
    )


def rows(text: str) -> list[str]:
    return re.findall(r'<li id="trash-([0-9a-f-]{36})"', text)


def days(text: str) -> list[str]:
    return re.findall(r"([^<>]+)</span></label></h3>", text)


def onward(text: str) -> str:
    return html.unescape(re.findall(r'hx-get="(/trash/rows\?cursor=[^"]+)"', text)[0])


def as_of(text: str) -> str:
    return html.unescape(re.findall(r'name="as_of" value="([^"]+)"', text)[0])


async def work(app: Litestar) -> list[str]:
    """Runs the jobs that wait; which they were."""
    waiting = await database.fetch("SELECT id, kind FROM job WHERE state = 'queued' ORDER BY id")
    for row in waiting:
        await app.state.parts.tasks()[row["kind"]].run({"job": str(row["id"])})
    return [row["kind"] for row in waiting]


async def test_the_trash_says_what_lies_there_and_how_long_it_stays(
    app: Litestar, editor: httpx.AsyncClient, thrown: list[str]
) -> None:
    await database.execute("UPDATE image SET trashed_at = now() - interval '28 days 1 hour' WHERE id = $1", thrown[2])
    text = await page(editor, "/trash")
    assert rows(text) == thrown
    assert "3 pictures" in text
    assert "The first is deleted for good in 2 days." in text
    assert "30 days left" in text
    assert "Empty now" not in text  # an admin's
    viewer = await page(await caller(app, "viewer"), "/trash")
    assert rows(viewer) == thrown
    assert 'action="/trash' not in viewer


async def test_the_end_of_the_list_brings_the_next_ones(
    editor: httpx.AsyncClient, thrown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_pages, "PAGE", 2)
    text = await page(editor, "/trash")
    assert rows(text) == thrown[:2]
    for path in (
        onward(text),
        html.unescape(re.findall(r'href="(/trash\?cursor=[^"]+)"', text)[0]),
    ):
        rest = await page(editor, path)
        assert rows(rest) == thrown[2:]
        assert ("<html" in rest) == path.startswith("/trash?")


async def test_each_day_is_told_once(
    editor: httpx.AsyncClient, thrown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = dt.datetime(2025, 6, 10, 0, 30, tzinfo=dt.UTC)
    for image_id, hours in zip(thrown, (0, 1, 25), strict=True):
        await database.execute(
            "UPDATE image SET trashed_at = $2 WHERE id = $1", image_id, late - dt.timedelta(hours=hours)
        )
    assert days(await page(editor, "/trash")) == ["10 Jun 2025", "9 Jun 2025", "8 Jun 2025"]
    monkeypatch.setattr(trash_pages, "PAGE", 1)
    assert days(await page(editor, onward(await page(editor, "/trash")))) == ["9 Jun 2025"]
    await database.execute("UPDATE image SET trashed_at = $1", late)
    first = await page(editor, "/trash")
    assert days(await page(editor, onward(first))) == []  # it stands above those that were there before
    whole = html.unescape(re.findall(r'href="(/trash\?cursor=[^"]+)"', first)[0])
    assert days(await page(editor, whole)) == ["10 Jun 2025"]


async def test_chosen_pictures_come_back_and_their_rows_go(editor: httpx.AsyncClient, thrown: list[str]) -> None:
    quick = await post(editor, "/trash/restore", HTMX, ids=thrown[:2])
    assert re.findall(r'hx-target="#trash-([0-9a-f-]+)" hx-swap="delete"', quick.text) == thrown[:2]
    assert "2 pictures are back in their places" in quick.text
    assert "1 picture," in quick.text  # the head
    assert rows(await page(editor, "/trash")) == thrown[2:]
    last = await post(editor, "/trash/restore", HTMX, ids=thrown[2:])
    assert '<trash-list class="stack" id="trash" hx-swap-oob="true">' in last.text
    assert "The trash is empty" in last.text
    plain = await post(editor, "/trash/restore", ids=thrown)
    assert "no longer in the trash" in await said_after(editor, plain, "/trash")


async def test_all_are_restored_as_a_job_that_the_page_follows(
    app: Litestar, editor: httpx.AsyncClient, thrown: list[str]
) -> None:
    moment = as_of(await page(editor, "/trash"))
    answer = await post(editor, "/trash/restore", HTMX, as_of=moment)
    assert "Restoring" in answer.text
    assert 'hx-get="/trash/work"' in answer.text
    assert await work(app) == [RESTORE_TRASH]
    done = await page(editor, "/trash/work")
    assert 'hx-get="/trash/list" hx-trigger="load"' in done
    assert "The trash is empty" in await page(editor, "/trash/list")


async def test_what_is_asked_for_wrongly_is_said(
    editor: httpx.AsyncClient, admin: httpx.AsyncClient, thrown: list[str]
) -> None:
    assert (await post(editor, "/trash/restore")).status_code == 422
    assert (await post(editor, "/trash/restore", ids=["x"])).status_code == 404
    for moment in ("", "yesterday", "2026-01-01T00:00", "9999-12-31T23:59:59-14:00"):
        assert (await post(editor, "/trash/restore", as_of=moment)).status_code == 422
        assert (await post(admin, "/trash/delete", as_of=moment, ids=thrown)).status_code == 422
    many = [f"00000000-0000-7000-8000-{number:012d}" for number in range(501)]
    assert "at most 500" in (await post(editor, "/trash/restore", ids=many)).text
    assert rows(await page(editor, "/trash")) == thrown


async def test_only_an_admin_deletes_many(editor: httpx.AsyncClient, thrown: list[str]) -> None:
    assert (await editor.get("/trash/empty", headers=PLAIN)).status_code == 403
    for path in ("/trash/ask", "/trash/delete"):
        assert (await post(editor, path, ids=thrown, as_of="2030-01-01T00:00:00+00:00")).status_code == 403


async def test_an_emptying_asks_with_the_number_and_leaves_what_is_pinned(
    app: Litestar, world: World, thrown: list[str]
) -> None:
    invoice = await world.invoice(pinned=False)
    (pinned,) = [row["id"] for row in await database.fetch("SELECT id FROM image WHERE trashed_at IS NULL")]
    await pin_invoice(invoice, actor=SYSTEM)
    await trash_image(pinned, actor=SYSTEM, deletes_per_hour=0)
    trash._pinned.forget()  # on a slow machine it is some seconds old
    asked = await page(world.person, "/trash/empty")
    assert "Delete 3 pictures for good?" in asked
    assert "1 of them stays" in asked
    answer = await world.form("/trash/delete", as_of=as_of(asked))
    assert (answer.status_code, answer.headers["location"]) == (303, "/trash")
    assert "Deleting for good" in await page(world.person, "/trash")
    assert await work(app) == [EMPTY_TRASH]
    text = await page(world.person, "/trash")
    assert rows(text) == [str(pinned)]
    assert "Nothing can be deleted" in await page(world.person, "/trash/empty")


async def test_the_password_is_asked_for_again_and_what_was_chosen_stays(
    app: Litestar, world: World, thrown: list[str]
) -> None:
    await database.execute("UPDATE session SET confirmed_at = now() - interval '16 minutes'")
    asked = await post(world.person, "/trash/ask", ids=thrown[:1], csrf_token=world.csrf)
    assert "Delete 1 picture for good?" in asked.text
    moment = as_of(asked.text)
    wrong = await world.form("/trash/delete", as_of=moment, ids=thrown[0], current="not it")
    assert wrong.status_code == 422
    assert f'name="ids" value="{thrown[0]}"' in wrong.text
    assert re.search(r'name="current"[^>]* aria-invalid="true"[^>]* autofocus', wrong.text)
    assert await work(app) == []
    assert (await world.form("/trash/delete", as_of=moment, ids=thrown[0], current=PASSWORD)).status_code == 303
    assert await work(app) == [EMPTY_TRASH]
    assert rows(await page(world.person, "/trash")) == thrown[1:]
