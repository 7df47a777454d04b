"""The gallery's bar: one form for many pictures, with and without script, and its undo."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

MUG = "/entities/inventory_items/MUG"
BATCH = f"{MUG}/batch"
HTMX = {"hx-request": "true"}
PLAIN = {"accept": "text/html"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_FREE_SPACE_MB="0") as app:
        yield app


@pytest.fixture
async def three(app: Litestar, editor: httpx.AsyncClient) -> list[str]:
    ref, studio = await make_entity(id="MUG"), Studio(app.state.parts.store, app.state.parts.pool)
    return [str(await studio.add(ref, filename=f"{name}.jpg", ready=False)) for name in ("one", "two", "three")]


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] = PLAIN, /, **fields: Any
) -> httpx.Response:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await client.post(path, content=urlencode(fields, doseq=True).encode(), headers=kind | headers)


def cards(text: str) -> list[str]:
    return re.findall(r'id="card-([0-9a-f-]{36})"', text)


def undo_of(text: str) -> str:
    found = re.search(r'action="(/batches/[0-9a-f]+/undo)"', text)
    assert found, text
    return found[1]


async def test_trash_of_some_answers_with_the_grid_and_its_undo_with_all(editor: httpx.AsyncClient, three: list[str]):
    answer = await post(editor, BATCH, HTMX, ids=three[:2], action="trash")
    assert (answer.status_code, cards(answer.text)) == (200, three[2:])
    assert "2 pictures moved to the trash" in answer.text
    undone = await post(editor, undo_of(answer.text), HTMX)
    assert cards(undone.text) == three
    assert "Undone" in undone.text


async def test_without_script_the_next_page_says_it_and_undoes_it(editor: httpx.AsyncClient, three: list[str]):
    answer = await post(editor, BATCH, ids=",".join(three[1:]), action="tag", tags="front, blue")
    assert (answer.status_code, answer.headers["location"]) == (303, MUG)
    shown = (await editor.get(MUG, headers=PLAIN)).text
    assert "2 pictures tagged “front, blue”" in shown
    assert (await post(editor, undo_of(shown))).headers["location"] == MUG
    assert await database.fetch_value("SELECT count(*) FROM image WHERE tags <> '{}'") == 0


async def test_all_means_every_picture_of_this_gallery(editor: httpx.AsyncClient, three: list[str]):
    await make_entity("categories", "CUPS", "Cups & more")
    answer = await post(editor, BATCH, HTMX, all="1", action="move", to="categories/CUPS")
    assert "3 pictures moved to Cups &amp; more" in answer.text
    assert cards(answer.text) == []
    there = (await editor.get("/entities/categories/CUPS", headers=PLAIN)).text
    assert cards(there) == three
    assert cards((await post(editor, undo_of(answer.text), HTMX)).text) == three
    empty = await post(editor, "/entities/categories/CUPS/batch", HTMX, all="1", action="trash")
    assert (empty.status_code, "This gallery has no pictures" in empty.text) == (422, True)


async def test_each_picture_gets_its_own_alt_text(editor: httpx.AsyncClient, three: list[str]):
    fields = {f"alt_text.{three[0]}": "A mug", f"alt_text.{three[1]}": "Two mugs"}
    answer = await post(editor, BATCH, HTMX, ids=three[:2], action="describe", **fields)
    assert "Texts of 2 pictures saved" in answer.text
    await post(editor, BATCH, HTMX, all="1", action="describe", decorative="true", only_missing="1")
    rows = await database.fetch("SELECT alt_text, decorative FROM image ORDER BY sort_order")
    assert [tuple(row) for row in rows] == [("A mug", False), ("Two mugs", False), (None, True)]


async def test_what_some_refuse_is_said_and_the_others_are_done(editor: httpx.AsyncClient, three: list[str]):
    answer = await post(editor, BATCH, HTMX, ids=[three[0], str(uuid4())], action="rerender")
    assert "1 picture will be rendered again; 1 was not: There is no picture with this id." in answer.text
    assert "/undo" not in answer.text
    none = await post(editor, BATCH, HTMX, ids=[str(uuid4())], action="trash")
    assert (none.status_code, "There is no picture with this id" in none.text) == (404, True)


@pytest.mark.parametrize(
    ("fields", "said", "typed"),
    [
        ({"action": "tag", "tags": "x" * 61}, "Use at most 60 characters", "x" * 61),
        ({"action": "tag", "tags": " , "}, "Type at least one tag", " , "),
        ({"action": "move", "to": "mugs/1"}, "There is no type of this name", "mugs/1"),
        ({"action": "copy", "to": ""}, "Choose where to", ""),
        ({"action": "describe", "alt_text": "y" * 501}, "Use at most 500 characters", "y" * 501),
        ({"action": "describe"}, "Write an alt text", ""),
        ({"action": "delete"}, "Choose what to do", ""),
    ],
)
async def test_a_wrong_field_comes_back_with_what_was_typed(
    editor: httpx.AsyncClient, three: list[str], fields: dict[str, str], said: str, typed: str
):
    answer = await post(editor, BATCH, ids=three, **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert typed in answer.text
    assert answer.text.count(f'name="ids" value="{three[0]}"') == 1
    assert (await post(editor, BATCH, HTMX, ids=three, **fields)).status_code == 422
    nothing_chosen = await post(editor, BATCH, **fields | {"action": "trash"})
    assert (nothing_chosen.status_code, "Choose some pictures first" in nothing_chosen.text) == (422, True)


async def test_galleries_to_go_to_are_found_while_typing(editor: httpx.AsyncClient, three: list[str]):
    await make_entity("customers", "ANA", '<b onmouseover="x">Ana</b>')
    some = (await editor.get("/targets")).text
    assert 'value="inventory_items/MUG"' in some
    found = (await editor.get("/targets?q=ana&to=customers/ANA")).text
    assert re.findall(r'value="([^"]+)"( checked)?', found) == [("customers/ANA", " checked")]
    only = (await editor.get("/targets?q=ana")).text  # no other can be meant
    assert re.findall(r'value="([^"]+)"( checked)?', only) == [("customers/ANA", " checked")]
    assert "<b onmouseover" not in found
    assert "Nothing is called that" in (await editor.get("/targets?q=zzz")).text


async def test_the_chosen_ones_come_as_one_zip(editor: httpx.AsyncClient, three: list[str], app: Litestar):
    viewer = await caller(app, "viewer")
    for fields, names in (
        ({"ids": three[1:]}, ["01-two.jpg", "02-three.jpg"]),
        ({"all": "1"}, ["01-one.jpg", "02-two.jpg", "03-three.jpg"]),
    ):
        answer = await post(viewer, f"{MUG}/zip", **fields)
        assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == names
    assert zipfile.ZipFile(io.BytesIO((await viewer.get(f"{MUG}/zip")).content)).testzip() is None
    assert (await post(viewer, f"{MUG}/zip")).status_code == 422
    assert (await post(viewer, BATCH, ids=three, action="trash")).status_code == 403


async def test_nobody_undoes_what_somebody_else_did(editor: httpx.AsyncClient, three: list[str], app: Litestar):
    answer = await post(editor, BATCH, HTMX, ids=three, action="trash")
    admin = await caller(app, "admin")
    refused = await post(admin, undo_of(answer.text), HTMX)
    assert (refused.status_code, "nothing to undo" in refused.text) == (404, True)
