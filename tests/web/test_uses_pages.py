"""Before a picture or a gallery goes, its pages say where it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from tests.domain.test_uses import make_invoice, make_key
from tests.factories import Studio, make_entity
from tests.web.test_gallery_pages import HTMX, MUG, page, post
from tests.web.whole_app import caller, working_app


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def mug(studio: Studio) -> list[str]:
    """The pictures of an item that stands on two invoices, and has a key."""
    ref = await make_entity(id="MUG", name="Fjord mug")
    made = [str(await studio.add(ref, filename=f"{name}.jpg")) for name in ("one", "two")]
    for number in "12":
        await make_invoice(number, "MUG")
    await make_key("inventory_items", "MUG")
    return made


async def test_a_pictures_page_and_menu_say_where_it_is_used(editor: httpx.AsyncClient, mug: list[str]) -> None:
    text = await page(editor, f"/images/{mug[0]}")
    assert "Used in 4 places" in text
    assert 'href="/entities/invoices/1">Invoice N-1</a>' in text
    assert "Embed of Fjord mug on shop.example.com" in text
    assert 'href="/cards/inventory_items/MUG">Card of Fjord mug</a>' in text
    assert f'href="/images/{mug[0]}#uses"' in await page(editor, f"/images/{mug[0]}/uses")
    assert "Used in 1 place" in await page(editor, f"/images/{mug[1]}/uses")


async def test_the_dialog_that_deletes_an_item_names_what_shows_it(
    app: Litestar, editor: httpx.AsyncClient, mug: list[str]
) -> None:
    asked = (await page(editor, MUG)).split('id="delete-entity"')[1].split("</dialog>")[0]
    assert "Used in 3 places" in asked
    assert 'href="/entities/invoices/2">Invoice N-2</a>' in asked
    await make_entity(id="BARE")
    assert "Used in" not in await page(editor, "/entities/inventory_items/BARE")
    assert "Used in" not in await page(await caller(app, "viewer"), MUG)  # who deletes nothing


async def test_chosen_pictures_are_asked_about_together(editor: httpx.AsyncClient, mug: list[str]) -> None:
    both = await post(editor, f"{MUG}/uses", HTMX, ids=mug)
    assert "Used in 4 places" in both.text
    every = await post(editor, f"{MUG}/uses", HTMX, all="1")
    assert "Used in 3 places" in every.text
    none = await post(editor, f"{MUG}/uses", HTMX)
    assert (none.status_code, "Used" in none.text) == (200, False)
    assert (await post(editor, f"{MUG}/uses", HTMX, ids="x")).status_code == 404
