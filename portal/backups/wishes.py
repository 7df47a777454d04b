"""What somebody wants of backups, as sent: read strictly into the arguments of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from portal.backups.layout import folder_of
from portal.entities.kinds import parse_ref
from portal.errors import FormError, NoSuchEntity
from portal.settings import ENTITY_TYPES

ON_CONFLICT: Final = ("skip", "replace")
RESTORE_FIELDS: Final = {"backup_id", "entity_types", "entity", "image_id", "dry_run", "on_conflict"}
_PARTS: Final = ("entity_types", "entity", "image_id")


def read_flag(sent: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = sent.get(name, default)
    if not isinstance(value, bool):
        raise FormError({name: "Use true or false."})
    return value


def read_types(value: Any) -> list[str]:
    """In the order in which the portal names them; None means all."""
    if value is None:
        return list(ENTITY_TYPES)
    wrong = FormError({"entity_types": f"Send a list of entity types: {', '.join(ENTITY_TYPES)}."})
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise wrong
    if not set(value) <= set(ENTITY_TYPES):
        raise wrong
    return [each for each in ENTITY_TYPES if each in value]


def read_backup_id(value: Any) -> str:
    """Raises NotFound for a text that is no backup's id."""
    if not isinstance(value, str):
        raise FormError({"backup_id": "Name a backup by its id."})
    folder_of(value)
    return value


def read_restore(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the job. Raises FormError, NotFound for an id that cannot be a backup's."""
    arguments = {
        "backup_id": read_backup_id(sent.get("backup_id")),
        "dry_run": read_flag(sent, "dry_run", default=False),
        "on_conflict": sent.get("on_conflict", "skip"),
    }
    if arguments["on_conflict"] not in ON_CONFLICT:
        raise FormError({"on_conflict": "Use skip or replace."})
    named = [name for name in _PARTS if sent.get(name) is not None]
    if len(named) > 1:
        raise FormError({named[1]: f"Choose {' or '.join(named)}, not both."})
    return arguments | {name: _READ[name](sent[name]) for name in named}


def _read_entity(value: Any) -> dict[str, str]:
    wrong = FormError({"entity": 'Name it as {"type": "inventory_items", "id": "MUG-1"}.'})
    if not isinstance(value, dict) or set(value) != {"type", "id"}:
        raise wrong
    if not all(isinstance(each, str) for each in value.values()):
        raise wrong
    try:
        ref = parse_ref(value["type"], value["id"])
    except NoSuchEntity as error:
        raise FormError({"entity": error.message}) from error
    return {"type": ref.type, "id": ref.id}


def _read_image_id(value: Any) -> str:
    try:
        return str(UUID(value))
    except (ValueError, TypeError, AttributeError) as error:
        raise FormError({"image_id": "This is no picture's id: it stands at the end of its page's address."}) from error


_READ: Final = {"entity_types": read_types, "entity": _read_entity, "image_id": _read_image_id}
