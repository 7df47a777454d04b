"""Where pictures are shown: what is said before they go."""

from __future__ import annotations

import dataclasses
from typing import Any

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key, revoke_key
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.gallery import uses
from portal.gallery.disposal import trash_image
from portal.gallery.pins import pin_invoice
from portal.gallery.uses import Uses, uses_of_entity, uses_of_images
from tests.factories import Studio, make_entity

NOWHERE = Uses([], 0)


async def make_invoice(id: str, *items: str) -> EntityRef:
    ref = EntityRef("invoices", id)
    lines = [{"item": item, "description": "Something", "quantity": 1} for item in items]
    await put_entity(ref, parse_entity(ref, {"name": "An invoice", "number": f"N-{id}", "lines": lines}), SYSTEM)
    return ref


async def make_key(type: str, id: str | None = None, *parents: str) -> Any:
    options: dict[str, Any] = {"presets": None, "expires_at": None, "captions": True, "private_types": ()}
    made, _ = await issue_key(Scope(type, id), parents=parents or ["https://shop.example.com"], actor=SYSTEM, **options)
    return made


def told(found: Uses) -> list[tuple[str, str]]:
    assert found.total >= len(found.places)
    return [(place.kind, place.name) for place in found.places]


async def test_a_primary_picture_is_on_invoices_in_embeds_and_on_a_card(studio: Studio) -> None:
    mug = await make_entity("inventory_items", "MUG", "Fjord mug")
    first, second = await studio.add(mug), await studio.add(mug)
    await make_invoice("1", "MUG", "MUG")
    await make_key("inventory_items", "MUG", "https://a.example", "https://b.example", "https://c.example")
    await make_key("inventory_items", None, "*")
    await make_key("categories")
    await revoke_key(await make_key("inventory_items", "MUG"), SYSTEM)
    keys = [("key", "Fjord mug on a.example, b.example and 1 more"), ("key", "all inventory items on any site")]
    assert told(await uses_of_images([first])) == [("invoice", "N-1"), *keys, ("card", "Fjord mug")]
    assert told(await uses_of_images([second])) == keys  # of the others neither lines nor cards show any
    assert (await uses_of_images([first, second])).total == 4


async def test_a_key_whose_time_is_over_shows_nothing(studio: Studio) -> None:
    category = await make_entity("categories", "CUPS")
    image_id = await studio.add(category, ready=False)
    made = await make_key("categories", "CUPS")
    assert (await uses_of_images([image_id])).total == 1
    await database.execute("UPDATE embed_key SET expires_at = now() - interval '1 minute' WHERE id = $1", made)
    assert await uses_of_images([image_id]) == NOWHERE


async def test_a_pinned_invoice_counts_once_and_also_for_the_trash(studio: Studio) -> None:
    mug = await make_entity("inventory_items", "MUG", "Fjord mug")
    image_id = await studio.add(mug)
    invoice = await make_invoice("7", "MUG")
    await pin_invoice(invoice, actor=SYSTEM)
    assert told(await uses_of_images([image_id])) == [("pin", "N-7"), ("card", "Fjord mug")]
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=1)
    found = await uses_of_images([image_id])
    assert (told(found), found.places[0].about) == ([("pin", "N-7")], invoice)


async def test_what_an_entity_takes_with_it_is_counted_beyond_what_is_named(studio: Studio) -> None:
    mug = await make_entity("inventory_items", "MUG", "Fjord mug")
    for number in range(uses.MOST_NAMED + 2):
        await make_invoice(str(number), "MUG")
    await make_key("inventory_items", "MUG")
    await make_key("inventory_items")
    found = await uses_of_entity(mug)
    assert (found.total, len(found.places), found.unnamed) == (8, 6, 2)
    assert told(found)[-1] == ("key", "Fjord mug on shop.example.com")
    assert await uses_of_entity(dataclasses.replace(mug, id="NONE")) == Uses((), 0)


async def test_an_invoice_is_no_use_of_itself(studio: Studio) -> None:
    invoice = await make_invoice("9")
    image_id = await studio.add(invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    assert await uses_of_entity(invoice) == NOWHERE
    assert told(await uses_of_images([image_id])) == [("pin", "N-9"), ("card", "An invoice")]
