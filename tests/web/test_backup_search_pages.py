"""On a backup's page: looking for something in it, and what it does not hold."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.audit.actors import Actor
from portal.maintenance import backup_contents
from portal.maintenance.backup_contents import sought_in
from tests.backing_up import forge, some_bytes
from tests.factories import make_entity
from tests.web.deeds import World
from tests.web.test_backup_pages import PAGES, app, folder, world

__all__ = ["app", "folder", "world"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"what": "entity", "entity_type": "inventory_items", "entity_id": "MUG-2"}, "entity_id"),
        ({"what": "image", "image_id": "019e0b5c-0000-7000-8000-000000000000"}, "image_id"),
        ({"what": "types", "type": "customers"}, "types"),
    ],
)
async def test_a_typo_is_told_beside_its_field_and_is_no_job_that_failed(
    world: World, folder: Path, fields: dict[str, str], name: str
) -> None:
    answer = await world.form(f"{PAGES}/{forge(folder, some_bytes(1)).id}/plan", **fields)
    assert (answer.status_code, "Look for it above." in answer.text) == (422, True)
    assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', answer.text) or name == "types"
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_what_is_found_in_a_backup_fills_the_form_that_restores_it(
    admin: httpx.AsyncClient, folder: Path
) -> None:
    backup = forge(folder, some_bytes(1, 2))
    page, part = f"{PAGES}/{backup.id}", f"{PAGES}/{backup.id}/contents"
    assert 'role="search"' in (await admin.get(page)).text
    for path in (page, part):
        shown = (await admin.get(path, params={"q": "mug"})).text
        for words in ("<b>Mug</b>", "2 pictures", "Not here any more", "1 found."):
            assert words in shown, words
    (wish,) = re.findall(rf'href="{page}\?([^"#]+)#restore"', (await admin.get(part, params={"q": "mug"})).text)
    filled = (await admin.get(f"{page}?{unescape(wish)}")).text
    assert re.search(r'value="entity" checked', filled)
    assert re.search(r'name="entity_id"', filled)
    assert re.search(r'value="MUG-1"', filled)
    assert 'value="mug"' in filled, "what was found stays there"
    await make_entity(id="MUG-1")
    assert "Not here any more" not in (await admin.get(part, params={"q": "mug"})).text
    nothing = (await admin.get(part, params={"q": "<b>lamp"})).text
    assert ("Nothing in it matches “&lt;b&gt;lamp”" in nothing, "<b>lamp" in nothing) == (True, False)
    assert (await admin.get(part)).text.count("<p") == 0
    assert "Nothing in it matches" in (await admin.get(part, params={"q": "-"})).text


async def test_a_search_in_a_damaged_backup_says_why(admin: httpx.AsyncClient, folder: Path) -> None:
    backup = forge(folder, some_bytes(1))
    place = folder / "backups" / backup.id / "inventory_items" / "entities.jsonl"
    place.write_bytes(place.read_bytes().replace(b"Mug", b"Cup"))
    for path in ("", "/contents"):
        answer = await admin.get(f"{PAGES}/{backup.id}{path}", params={"q": "lamp"})
        assert (answer.status_code, "entities.jsonl is damaged" in answer.text) == (200, True), path


async def test_who_types_on_waits_for_no_search_of_before(app: Litestar, folder: Path) -> None:
    backup, settings = forge(folder, some_bytes(1)), app.state.settings
    actor = Actor("user:ana@example.com", "admin")
    first, second = await asyncio.gather(*(sought_in(settings, backup.id, q, actor) for q in ("mu", "mug")))
    assert (first.is_whole, second.is_whole) == (False, True)
    assert second.hits
    assert backup_contents._newest == {}
