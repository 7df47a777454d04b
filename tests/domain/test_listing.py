"""Lists by what galleries lack and have: filters, orders, pages, the way from one to the next, coverage."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from portal import database
from portal.entities import listing
from portal.entities.coverage import coverage
from portal.entities.kinds import EntityRef
from portal.entities.listing import Wish, count_gaps, list_entities, next_entity
from portal.errors import FormError
from portal.gallery.forms import PictureFields
from portal.paging import encode_cursor
from tests import samples
from tests.factories import Studio, make_entity

pytestmark = pytest.mark.usefixtures("db")


async def ids(limit: int = 50, **query: Any) -> list[str]:
    """Of all pages, one after the other."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await list_entities(cursor=cursor, limit=limit, **query)
        found += [row["id"] for row in page.items]
        if page.next is None:
            return found
        cursor = page.next


async def many(count: int, images: str = "0", unsaid: str = "0") -> None:
    """Customers c0000 and on, their tallies as these expressions of `n` say."""
    await database.execute(
        """INSERT INTO entity (type, id, name) SELECT 'customers', 'c' || lpad(n::text, 4, '0'), 'Ana ' || lpad(n::text, 4, '0')
           FROM generate_series(1, $1::int) AS n""",
        count,
    )
    await database.execute(
        f"""UPDATE entity_tally SET images = {images}, unsaid = {unsaid}
            FROM (SELECT pk, substr(id, 2)::int AS n FROM entity) AS e WHERE e.pk = entity"""
    )


@pytest.fixture
async def shop(studio: Studio) -> None:
    """One item without a picture, one too small for print, one that is high enough, one without alt text."""
    await make_entity(id="BARE", name="Apron")
    for id, name, size in [
        ("SMALL", "Bowl", (900, 700)),
        ("HIGH", "Carafe", (500, 803)),
        ("PLAIN", "Dish", (1063, 20)),
    ]:
        fields = PictureFields(alt_text=None if id == "PLAIN" else "Said")
        await studio.add(await make_entity(id=id, name=name), samples.jpeg(*size), fields=fields, ready=False)


@pytest.mark.usefixtures("shop")
async def test_each_filter_finds_who_lacks_it() -> None:
    query = {"type": "inventory_items"}
    assert await ids(**query) == ["BARE", "SMALL", "HIGH", "PLAIN"]
    assert await ids(**query, missing="image") == await ids(missing="image") == ["BARE"]
    assert await ids(**query, missing="primary") == ["BARE"]
    assert await ids(**query, missing="alt") == ["PLAIN"]
    assert await ids(**query, missing="low_resolution") == ["SMALL"]
    assert await ids(**query, missing="low_resolution", box=(2000, 1500)) == ["SMALL", "HIGH", "PLAIN"]
    assert await ids(**query, missing="low_resolution", q="carafe", box=(2000, 1500)) == ["HIGH"]
    assert await count_gaps("inventory_items") == {"": 4, "image": 1, "primary": 1, "alt": 1, "low_resolution": 1}
    assert set((await count_gaps("customers")).values()) == {0}


@pytest.mark.usefixtures("shop")
async def test_coverage_says_of_each_type_what_share_has_it() -> None:
    found = {each.type: each for each in await coverage((2000, 1500))}
    items = found["inventory_items"]
    assert {name: (share.total, share.lacking) for name, share in items.shares.items()} == {
        "image": (4, 1),
        "primary": (4, 1),
        "alt": (3, 1),
        "low_resolution": (3, 3),
    }
    assert (items.shares["image"].percent, items.shares["low_resolution"].percent) == (75, 0)
    assert found["companies"].shares["image"].percent == 0


@pytest.mark.parametrize("sort", ["most", "fewest"])
@pytest.mark.parametrize("type", ["customers", None])
async def test_orders_by_pictures_lose_none_and_repeat_none(sort: str, type: str | None) -> None:
    await many(23, "n % 4")
    found = await ids(3, type=type, sort=sort)
    assert len(set(found)) == len(found) == 23
    images = [int(id[1:]) % 4 for id in found]
    assert images == sorted(images, reverse=sort == "most")


@pytest.mark.parametrize("sort", ["name", "updated", "most", "fewest"])
@pytest.mark.parametrize(("lacking", "walked"), [(40, 3000), (1100, 3000), (1100, 250)])
async def test_a_filter_is_paged_in_every_order(
    lacking: int, walked: int, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rare ones are looked up, common ones met on the way, as far as it goes."""
    monkeypatch.setattr(listing, "WALKED", walked)
    await many(1200, "n % 3", f"CASE WHEN n <= {lacking} THEN 1 ELSE 0 END")
    found = await ids(200, type="customers", missing="alt", sort=sort)
    assert len(set(found)) == len(found) == lacking
    page = await list_entities(type="customers", missing="alt", sort=sort, limit=5)
    assert (page.total, len(page.items)) == (min(lacking, 1001), 5)
    assert len(await ids(200, type="customers", missing="alt", q="ana", sort=sort)) == lacking
    assert await ids(type="customers", missing="alt", q="0007", sort=sort) == ["c0007"]


async def test_the_way_leads_through_all_and_begins_again() -> None:
    await many(4, unsaid="n % 2")
    wish = Wish("customers", missing="alt")
    first = await next_entity(wish, sort="name", after=None)
    assert first == EntityRef("customers", "c0001")
    second = await next_entity(wish, sort="name", after=first)
    assert second == EntityRef("customers", "c0003")
    assert await next_entity(wish, sort="name", after=second) == first
    assert await next_entity(wish, sort="name", after=EntityRef("customers", "c0002")) == second
    assert await next_entity(wish, sort="name", after=EntityRef("customers", "gone")) == first
    await database.execute(
        "UPDATE entity_tally SET unsaid = 0 WHERE entity <> (SELECT pk FROM entity WHERE id = 'c0003')"
    )
    assert await next_entity(wish, sort="name", after=second) is None
    assert await next_entity(wish, sort="most", after=first) == second


@pytest.mark.parametrize("sort", ["most", "fewest", "updated"])
async def test_cursors_with_numbers_past_every_bound_are_harmless(sort: str) -> None:
    await many(2)
    for number in (10**30, -(10**30), 2**40):
        with suppress(FormError):
            await list_entities(type="customers", sort=sort, cursor=encode_cursor([number, number]))
