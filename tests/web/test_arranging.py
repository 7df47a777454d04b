"""A picture's place in its gallery and the way back, and how a gallery is looked at."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from tests.factories import Studio, make_entity
from tests.web.whole_app import working_app

MUG = "/entities/inventory_items/MUG"
HTMX = {"hx-request": "true"}
NOBODY = "019394c4-7d1e-7000-8000-000000000000"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def four(studio: Studio) -> list[str]:
    ref = await make_entity(id="MUG")
    return [str(await studio.add(ref, ready=False)) for _ in range(4)]


async def post(client: httpx.AsyncClient, path: str, /, quick: bool = True, **fields: str) -> httpx.Response:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
    return await client.post(path, content=urlencode(fields).encode(), headers=headers | (HTMX if quick else {}))


def cards(text: str) -> list[str]:
    return re.findall(r'id="card-([0-9a-f-]{36})"', text)


def way_back(text: str) -> str:
    return re.findall(r'action="([^"]+/place\?[^"]+)"', text)[0].replace("&amp;", "&")


async def order() -> list[str]:
    rows = await database.fetch("SELECT id FROM image WHERE trashed_at IS NULL ORDER BY sort_order")
    return [str(row["id"]) for row in rows]


async def test_a_picture_goes_before_or_after_another_or_to_the_end_and_back(
    editor: httpx.AsyncClient, four: list[str]
) -> None:
    a, b, c, d = four
    for beside, expected in (
        ({"before": b}, [d, a, b, c]),
        ({"after": b}, [a, b, d, c]),
        ({}, four),
        ({"before": a}, [d, a, b, c]),
    ):
        start = await order()
        wanted = [each for each in expected if each != d]
        target = wanted.index(beside["before"]) if "before" in beside else len(wanted)
        target = wanted.index(beside["after"]) + 1 if "after" in beside else target
        wanted.insert(target, d)
        answer = await post(editor, f"{MUG}/place", image=d, **beside)
        assert answer.status_code == 200, answer.text
        assert cards(answer.text) == wanted == await order()
        if start != wanted:
            undone = await post(editor, way_back(answer.text))
            assert cards(undone.text) == start
            assert "Back in its place" in undone.text
            await post(editor, f"{MUG}/place", image=d, **beside)


async def test_what_is_dropped_where_it_was_says_nothing(editor: httpx.AsyncClient, four: list[str]) -> None:
    answer = await post(editor, f"{MUG}/place", image=four[1], before=four[2])
    assert cards(answer.text) == four
    assert "Order saved" not in answer.text
    assert not await database.fetch_value("SELECT EXISTS (SELECT 1 FROM audit WHERE action = 'image.reorder')")


async def test_a_move_is_undone_whatever_else_has_left_meanwhile(editor: httpx.AsyncClient, four: list[str]) -> None:
    a, b, c, d = four
    moved = await post(editor, f"/images/{b}/move", direction="last")
    assert "now picture 4" in moved.text
    await post(editor, f"/images/{a}/trash")
    assert cards((await post(editor, way_back(moved.text))).text) == [b, c, d]


async def test_a_neighbour_that_has_left_and_ids_of_nobody_are_said(editor: httpx.AsyncClient, four: list[str]) -> None:
    await post(editor, f"/images/{four[3]}/trash")
    gone = await post(editor, f"{MUG}/place", image=four[0], before=four[3])
    assert gone.status_code == 409
    assert "has left the gallery" in gone.text
    assert (await post(editor, f"{MUG}/place", image=four[3], before=four[0])).status_code == 409
    for fields in ({}, {"image": "x"}, {"image": NOBODY}, {"image": four[0], "before": "x"}):
        assert (await post(editor, f"{MUG}/place", **fields)).status_code == 404
    assert (await post(editor, f"/images/{four[0]}/move", direction="sideways")).status_code == 409
    assert await order() == four[:3]


async def test_the_view_is_remembered_by_the_browser(editor: httpx.AsyncClient, four: list[str]) -> None:
    whole = (await editor.get(MUG)).text
    assert 'class="gallery"' in whole
    answer = await post(editor, f"{MUG}/view", view="list")
    assert 'class="gallery list"' in answer.text
    assert cards(answer.text) == four
    assert 'class="gallery list"' in (await editor.get(MUG)).text
    assert 'class="gallery list"' in (await editor.get(f"{MUG}/grid")).text
    plain = await post(editor, f"{MUG}/view", quick=False, view="grid")
    assert (plain.status_code, plain.headers["location"]) == (303, MUG)
    assert 'class="gallery"' in (await editor.get(MUG)).text
    assert (await post(editor, f"{MUG}/view", view="tiles")).status_code == 422
    editor.cookies.set("portal_gallery", "<b>")
    assert 'class="gallery"' in (await editor.get(MUG)).text


async def test_what_is_done_on_a_later_part_is_answered_with_that_part(
    editor: httpx.AsyncClient, four: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.gallery.pages.PAGE", 2)
    first = (await editor.get(MUG)).text
    assert cards(first) == four[:2]
    later = re.findall(r'href="[^"]*\?cursor=([^"]+)"', first)[0]
    here = {"hx-current-url": f"http://localhost{MUG}?cursor={later}"}

    async def there(path: str, **headers: str) -> list[str]:
        return cards((await editor.post(path, headers=HTMX | here | headers)).text)

    assert await there(f"/images/{four[0]}/move?") == []  # refused: no direction
    assert await there(f"/images/{four[2]}/trash") == [four[3]]
    assert await there(f"/images/{four[3]}/trash") == four[:2]  # nothing is left there
    for odd in ("x", "http://[", f"{MUG}?cursor=x", f"{MUG}?cursor=WyJhIl0"):
        assert await there(f"/images/{four[3]}/restore", **{"hx-current-url": odd}) == four[:2]
