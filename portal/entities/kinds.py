"""The five types of things that own pictures, and how one of them is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from portal.errors import NoSuchEntity
from portal.settings import ENTITY_TYPES

_ID = re.compile(r"[A-Za-z0-9._~:\-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EntityType:
    """`label` is the plural for headings, `singular` goes into sentences, `icon` is a name of the icon table."""

    name: str
    label: str
    singular: str
    icon: str


KINDS: Final[dict[str, EntityType]] = {
    kind.name: kind
    for kind in (
        EntityType("inventory_items", "Inventory items", "item", "package"),
        EntityType("categories", "Categories", "category", "folder-tree"),
        EntityType("invoices", "Invoices", "invoice", "receipt-text"),
        EntityType("customers", "Customers", "customer", "users"),
        EntityType("companies", "Companies", "company", "building-2"),
    )
}
if set(KINDS) != set(ENTITY_TYPES):
    raise RuntimeError("the settings and the kinds name different entity types")


@dataclass(frozen=True, slots=True)
class EntityRef:
    """An entity by its type and the host system's own id."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def is_entity_id(text: str) -> bool:
    """1 to 64 of letters, digits, `. _ - ~ :`, not `.` or `..`."""
    return bool(_ID.fullmatch(text)) and text not in {".", ".."}


def parse_ref(type: str, id: str) -> EntityRef:
    """Raises NoSuchEntity for a type or id that cannot exist."""
    if type not in KINDS:
        raise NoSuchEntity(f"There is no type of this name. The types are {', '.join(sorted(KINDS))}.")
    if not is_entity_id(id):
        raise NoSuchEntity("There is nothing with this id: ids are 1 to 64 letters, digits or . _ - ~ :")
    return EntityRef(type, id)
