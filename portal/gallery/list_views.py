"""A list as its page shows it: rows with what they want, filters, orders, saved views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal.audit.actors import Actor
from portal.entities.listing import MISSING, Box, Wish, count_gaps, is_low, list_wished
from portal.entities.saved_views import SavedView, list_query, views_of
from portal.gallery.queries import entity_views
from portal.gallery.views import EntityView
from portal.paging import EXACT_UP_TO
from portal.storage.links import Links

FILTERS: Final = {
    "": "All",
    "image": "Without a picture",
    "primary": "Without a primary picture",
    "alt": "Without alt text",
    "low_resolution": "Too small for print",
}
SORTS: Final = {"name": "Name", "updated": "Last change", "most": "Most pictures", "fewest": "Fewest pictures"}


@dataclass(frozen=True, slots=True)
class Want:
    """What an entity lacks, in a word; `tone` of its badge."""

    words: str
    tone: str = "warn"


@dataclass(frozen=True, slots=True)
class RowView:
    entity: EntityView
    wants: list[Want]


@dataclass(frozen=True, slots=True)
class FilterView:
    """`count` is None where it goes past 1000, or was not asked for."""

    key: str
    label: str
    count: int | None
    active: bool
    query: str


@dataclass(frozen=True, slots=True)
class ViewLink:
    """`active`: the list shows just this now."""

    view: SavedView
    active: bool
    may_change: bool
    may_delete: bool


@dataclass(frozen=True, slots=True)
class ListView:
    """`query` is what stands behind the `?` of its address; `next` the cursor of what follows."""

    wish: Wish
    sort: str
    query: str
    rows: list[RowView]
    total: int
    next: str | None
    filters: list[FilterView]
    views: list[ViewLink]

    @property
    def total_label(self) -> str:
        return f"{self.total:,}" if self.total <= EXACT_UP_TO else f"more than {EXACT_UP_TO:,}"

    @property
    def filter(self) -> FilterView | None:
        """The one that is on, if any is."""
        return next((each for each in self.filters if each.active and each.key), None)

    @property
    def lacking(self) -> int:
        """How many have no picture; 1001 for more than 1000."""
        counts = {each.key: each.count for each in self.filters}
        return EXACT_UP_TO + 1 if counts["image"] is None else counts["image"]


async def list_view(
    wish: Wish, *, sort: str, cursor: str | None, links: Links, actor: Actor, account: UUID | None
) -> ListView:
    """Raises FormError."""
    found = await list_wished(wish, sort=sort, cursor=cursor)
    entities = await entity_views(found.items, links)
    query = list_query(wish.q, wish.missing, sort)
    return ListView(
        wish,
        sort,
        query,
        [RowView(entity, _wants(row, wish.box)) for entity, row in zip(entities, found.items, strict=True)],
        found.total,
        found.next,
        await _filters(wish, sort),
        [_view_link(each, query, actor) for each in await views_of(wish.type or "", account)],
    )


def _wants(row: Mapping[str, Any], box: Box) -> list[Want]:
    if not row["images"]:
        return [Want("a picture", "bad")]
    wants = [Want("a primary")] if row["primary_width"] is None else []
    if row["unsaid"]:
        wants.append(Want("1 alt text" if row["unsaid"] == 1 else f"{row['unsaid']:,} alt texts"))
    if is_low(row, box):
        wants.append(Want("print size"))
    return wants


async def _filters(wish: Wish, sort: str) -> list[FilterView]:
    counts = await count_gaps(wish.type or "", wish.box)
    return [_filter(key, counts[key], wish, sort) for key in ("", *MISSING)]


def _filter(key: str, count: int, wish: Wish, sort: str) -> FilterView:
    shown = None if count > EXACT_UP_TO or wish.q else count  # while somebody types, numbers only mislead
    return FilterView(key, FILTERS[key], shown, key == wish.missing, list_query(wish.q, key, sort))


def _view_link(view: SavedView, query: str, actor: Actor) -> ViewLink:
    return ViewLink(view, view.query == query, view.is_mine, view.is_mine or actor.may("admin"))
