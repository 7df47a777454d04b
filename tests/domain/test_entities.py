"""Writing, listing and searching entities."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import Actor
from portal.audit.queries import history_of
from portal.entities import lasting
from portal.entities.coverage import coverage
from portal.entities.forms import EntityInput, LineInput, parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.listing import list_entities
from portal.entities.queries import count_invoices_listing, counts_by_type, forget_counts
from portal.entities.service import find_entity, put_entity
from portal.errors import FormError, Stale
from portal.paging import Page, encode_cursor
from portal.tables import Entity, Image, InvoiceLine

pytestmark = pytest.mark.usefixtures("db")
ANA = Actor("user:ana@example.com", "editor")


async def put(type: str, id: str, name: str = "", **data: Any) -> EntityRef:
    ref = EntityRef(type, id)
    await put_entity(ref, parse_entity(ref, {"name": name or id, **data}), ANA)
    return ref


async def add_picture(ref: EntityRef, **values: Any) -> None:
    """A row as an upload leaves it; the bytes do not matter here."""
    pk = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    row: dict[str, Any] = {
        "id": uuid7(), "entity": pk, "filename": "a.jpg", "media_type": "image/jpeg", "extension": "jpg", "bytes": 1,
        "width": 1, "height": 1, "sha256": "0" * 64, "status": "ready", "sort_order": 0, **values,
    }  # fmt: skip
    await Image.insert(Image(**row))


def ids(page: Page[Mapping[str, Any]]) -> list[str]:
    return [row["id"] for row in page.items]


async def every_page(limit: int, **query: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await list_entities(cursor=cursor, limit=limit, **query)
        found += ids(page)
        cursor = page.next
        if cursor is None:
            return found


async def test_put_says_whether_the_entity_is_new_and_replaces_the_whole() -> None:
    ref = EntityRef("inventory_items", "MUG-1")
    assert await put_entity(ref, EntityInput("Mug", reference="A", attributes={"colour": "blue"}), ANA)
    assert not await put_entity(ref, EntityInput("Blue mug"), ANA)
    row = await Entity.select(Entity.name, Entity.reference, Entity.attributes).first()
    assert row == {"name": "Blue mug", "reference": None, "attributes": "{}"}


async def test_change_stands_in_the_audit_with_before_and_after() -> None:
    ref = await put("inventory_items", "MUG-1", "Mug", reference="A")
    await put("inventory_items", "MUG-1", "Blue mug", reference="A")
    change, addition = await history_of("entity", str(ref))
    assert (addition.action, addition.actor, addition.after) == (
        "entity.add",
        ANA.name,
        {"name": "Mug", "reference": "A"},
    )
    assert (change.action, change.before, change.after) == ("entity.change", {"name": "Mug"}, {"name": "Blue mug"})


async def test_equal_put_leaves_no_trace() -> None:
    ref = await put("categories", "C", attributes={"a": 1})
    before = await Entity.select(Entity.updated_at).first()
    await put("categories", "C", attributes={"a": 1})
    assert await Entity.select(Entity.updated_at).first() == before
    assert len(await history_of("entity", str(ref))) == 1
    await put("categories", "C", attributes={"a": True})  # equal in Python, not in JSON
    assert len(await history_of("entity", str(ref))) == 2


async def test_invoice_keeps_its_lines_in_order_and_replaces_them() -> None:
    lines = (LineInput("Mug", Decimal(2), "MUG-1", Decimal("14.50")), LineInput("Post", Decimal(1)))
    invoice = EntityInput("Invoice 1", date=datetime.date(2026, 11, 3), currency="EUR", total=Decimal(29), lines=lines)
    ref = EntityRef("invoices", "1")
    await put_entity(ref, invoice, ANA)
    async with database.transaction():
        found = await find_entity(ref)
    assert found is not None
    assert found[1] == invoice
    await put_entity(ref, EntityInput("Invoice 1", lines=lines[1:]), ANA)
    kept = await InvoiceLine.select(InvoiceLine.position, InvoiceLine.description)
    assert kept == [{"position": 0, "description": "Post"}]


async def test_stale_put_is_refused() -> None:
    ref = await put("customers", "C", "Ana")
    row = await Entity.select(Entity.updated_at).first()
    assert row is not None
    await put_entity(ref, EntityInput("Ana B."), ANA, unless_changed_since=row["updated_at"])
    with pytest.raises(Stale):
        await put_entity(ref, EntityInput("Ana C."), ANA, unless_changed_since=row["updated_at"])
    assert await Entity.select(Entity.name).first() == {"name": "Ana B."}


async def test_twenty_equal_puts_at_once_create_one_entity() -> None:
    ref = EntityRef("customers", "C")
    created = await asyncio.gather(*(put_entity(ref, EntityInput(f"Ana {n}"), ANA) for n in range(20)))
    assert sum(created) == 1
    assert await Entity.count() == 1


async def test_list_is_paged_by_name_and_equal_names_are_not_lost() -> None:
    for number in range(25):
        await put("customers", f"c{number:02}", "Same name" if number % 2 else f"Name {number:02}")
    everybody = await every_page(4, type="customers")
    assert len(everybody) == 25
    assert sorted(everybody) == [f"c{number:02}" for number in range(25)]
    names = [row["name"] for row in (await list_entities(type="customers")).items]
    assert names == sorted(names)


@pytest.mark.parametrize("sort", ["name", "updated"])
async def test_paging_is_steady_while_entities_are_added(sort: str) -> None:
    for number in range(0, 40, 2):
        await put("customers", f"c{number:02}")
    found: list[str] = []
    cursor: str | None = None
    for step in range(1, 41, 2):
        page = await list_entities(type="customers", sort=sort, cursor=cursor, limit=3)
        found += ids(page)
        await put("customers", f"c{step:02}")  # falls before, into and behind what was read
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == len(set(found))
    assert {f"c{number:02}" for number in range(0, 40, 2)} <= set(found)


async def test_all_types_are_listed_type_by_type() -> None:
    for type in ("invoices", "categories", "customers"):
        for id in ("b", "a"):
            await put(type, id)
    assert await every_page(2, type=None) == ["a", "b"] * 3


async def test_last_changed_comes_first_where_asked() -> None:
    for id in "abc":
        await put("customers", id)
    await put("customers", "a", "changed")
    assert await every_page(2, type="customers", sort="updated") == ["a", "c", "b"]


async def test_total_stops_at_1001() -> None:
    await database.execute(
        "INSERT INTO entity (type, id, name, attributes) SELECT 'customers', n, n, '{}' FROM generate_series(1, 1200) n"
    )
    assert (await list_entities(type="customers", limit=2)).total == 1001
    page = await list_entities(type="customers", q="119", limit=2)
    assert (page.total, len(page.items)) == (11, 2)  # 119 and 1190 to 1199


@pytest.mark.parametrize("matches", [40, 1100])
async def test_a_search_is_paged_like_a_list(matches: int) -> None:
    await database.execute(
        """INSERT INTO entity (type, id, name, attributes)
           SELECT 'customers', n, CASE WHEN n <= $1 THEN 'Mug ' ELSE 'Bowl ' END || n, '{}' FROM generate_series(1, 1200) n""",
        matches,
    )
    found = await every_page(200, type="customers", q="mug")
    assert len(found) == len(set(found)) == matches
    assert (await list_entities(type="customers", q="mug", limit=5)).total == min(matches, 1001)


@pytest.mark.parametrize(
    ("words", "hits"),
    [
        ("mug", True), ("MU fjo", True), ("fjord-bl", True), ("MUG-FJORD", True), ("stoneware bl", True), ("café", True),
        ("RE/2026", True), ("INV-2026", True), ("2026-001", True), ("“mug”", True), ("mug & blue", True), ("ug", False),
        ("mug green", False), ("' OR 1=1", False), ("mug | nothing", False), ("!mug", True), ("", True), ("  ", True),
    ],
)  # fmt: skip
async def test_search_finds_beginnings_of_words(words: str, hits: bool) -> None:
    await put("inventory_items", "MUG-FJORD-BL", "Blue stoneware mug, Café series", reference="RE/2026-001")
    await put("invoices", "x", "Other", number="INV-2026-001")
    found = ids(await list_entities(q=words))
    assert bool(found) is hits


@pytest.mark.parametrize(
    "text",
    ["'", "&", "|", "!", ":", "*", "(", ")", "\\", "\0", "'''", "a:*", "a & ", "((", "\\'", "<->", "a <-> b", "!!", "a\0b",
     "\ud800", "'a' | 'b'", "%", "_", "a" * 5000, "﷽ " * 300, "\u202e", "{}", "$1", "a\\", ":*ABCD", "''", "a''b", "-1", "- -"],
    ids=lambda text: ascii(text)[:16],
)  # fmt: skip
async def test_search_survives(text: str) -> None:
    await put("inventory_items", "MUG", "Mug")
    await list_entities(q=text)
    await list_entities(q=f"mug {text} {text}mug{text}")


async def test_missing_finds_what_lacks_a_picture_a_primary_or_an_alt_text() -> None:
    await put("categories", "bare")
    good, unsaid, plain, trash = [await put("categories", id) for id in ("good", "unsaid", "plain", "trash")]
    await add_picture(good, is_primary=True, alt_text="A mug")
    await add_picture(unsaid, is_primary=True)
    await add_picture(plain, decorative=True)
    await add_picture(trash, sort_order=None, trashed_at=datetime.datetime.now(datetime.UTC))
    found = {missing: set(await every_page(10, missing=missing)) for missing in ("image", "primary", "alt")}
    assert found == {"image": {"bare", "trash"}, "primary": {"bare", "plain", "trash"}, "alt": {"unsaid"}}


async def test_a_shops_first_entity_counts_at_once_however_long_counting_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "QUICK", -1.0)
    assert not any(each.total for each in await coverage())
    await put("companies", "us")
    assert sum(each.total for each in await coverage()) == 1


async def test_coverage_counts_pictures_outside_the_trash() -> None:
    first, second = await put("customers", "a"), await put("customers", "b")
    await put("customers", "c")
    await add_picture(first)
    await add_picture(second, sort_order=None, trashed_at=datetime.datetime.now(datetime.UTC))
    found = {row.type: (row.total, row.with_pictures, row.shares["image"].percent) for row in await coverage()}
    assert found["customers"] == (3, 1, 33)
    assert found["companies"] == (0, 0, 0)


async def test_counts_are_remembered_until_this_process_changes_them() -> None:
    forget_counts()
    assert (await counts_by_type())["customers"] == 0
    await put("customers", "a")
    assert (await counts_by_type())["customers"] == 1
    await database.execute("DELETE FROM entity")
    assert (await counts_by_type())["customers"] == 1
    forget_counts()


async def test_an_item_is_counted_once_for_each_invoice_that_lists_it() -> None:
    line = {"item": "MUG-1", "description": "Mug", "quantity": 1}
    await put("invoices", "1", lines=[line, line])
    await put("invoices", "2", lines=[line])
    assert await count_invoices_listing("MUG-1") == 2
    assert await count_invoices_listing("MUG-2") == 0


async def test_foreign_choices_and_cursors_are_refused() -> None:
    for query in ({"type": "items"}, {"missing": "all"}, {"sort": "price"}, {"cursor": "!"}, {"cursor": "WzFd"}):
        with pytest.raises(FormError):
            await list_entities(**query)
    for id in "abc":
        await put("customers", id)
    cursor = (await list_entities(type="customers", limit=1)).next
    with pytest.raises(FormError):
        await list_entities(type="customers", sort="updated", cursor=cursor)


async def test_cursor_with_numbers_past_every_bound_is_harmless() -> None:
    await list_entities(type="customers", cursor=encode_cursor(["a", 10**30]))
    with pytest.raises(FormError):
        await list_entities(type="customers", sort="updated", cursor=encode_cursor([10**30, 1]))
