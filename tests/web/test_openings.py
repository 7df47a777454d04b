"""Who opens an invoice by its key and pins it: a customer; nobody who looks ahead, and no staff. With the invoice its keys go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key
from portal.entities.kinds import EntityRef
from portal.gallery.disposal import delete_entity
from portal.gallery.pins import find_pin_line
from portal.settings import Settings
from tests.factories import EDITOR, Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal

INVOICE = EntityRef("invoices", "R-1")


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


async def key_of_invoice(studio: Studio) -> str:
    await studio.add(await make_entity(INVOICE.type, INVOICE.id))
    scope = Scope(INVOICE.type, INVOICE.id)
    asked: dict[str, Any] = {
        "presets": None,
        "parents": ["https://shop.example.com"],
        "expires_at": None,
        "captions": True,
    }
    return (await issue_key(scope, private_types=("invoices",), actor=SYSTEM, **asked))[1]


async def test_only_a_customers_opening_pins(portal: SmallPortal, visitor: httpx.AsyncClient):
    key = await key_of_invoice(portal.studio)
    for path in (f"/cards/k/{key}", f"/embed/k/{key}", f"/embed/k/{key}/sheet.jpg"):
        for name, value in (
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ):
            assert (await visitor.get(path, headers={name: value})).status_code == 200
        bad = await visitor.get(path, headers={"authorization": "Bearer pt_nobody"})
        assert bad.status_code == 303  # to the sign-in
        async with await portal.caller("viewer") as staff:
            assert (await staff.get(path)).status_code == 200
            await database.execute("DELETE FROM api_token")
        assert await find_pin_line(INVOICE) is None
    await visitor.get(f"/cards/k/{key}")
    assert await find_pin_line(INVOICE) is not None


async def test_what_gets_a_deleted_entitys_id_is_not_shown_by_its_keys(portal: SmallPortal, visitor: httpx.AsyncClient):
    key = await key_of_invoice(portal.studio)
    await delete_entity(INVOICE, actor=EDITOR, deletes_per_hour=500)
    await make_entity(INVOICE.type, INVOICE.id, name="Somebody else's")
    for path in (f"/cards/k/{key}", f"/embed/k/{key}", f"/qr/k/{key}.svg"):
        assert (await visitor.get(path)).status_code == 404
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'embed.revoke'") == 1
