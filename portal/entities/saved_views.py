"""Lists that people keep: a name for what stands behind the `?` of a list's address; shared ones are everybody's to open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.audit import service as audit
from portal.audit.actors import Actor
from portal.entities.listing import Wish, check_wish
from portal.errors import Forbidden, FormError, NotFound

LONGEST_NAME: Final = 80
LONGEST_QUERY: Final = 1000  # as it stands in an address, %F0%9F and all
MOST_VIEWS: Final = 50  # of one person in one list


@dataclass(frozen=True, slots=True)
class SavedView:
    """`owner`: whose it is, by name."""

    id: UUID
    name: str
    query: str
    shared: bool
    is_mine: bool
    owner: str


def list_query(q: str, missing: str, sort: str) -> str:
    """What stands behind the `?`; "" for the list as it opens."""
    chosen = {"q": q, "missing": missing, "sort": "" if sort == "name" else sort}
    return urlencode({name: value for name, value in chosen.items() if value})


async def views_of(type: str, account: UUID | None) -> list[SavedView]:
    """Somebody's own and those that others share, by name; a script (None) has none of its own."""
    rows = await database.fetch(
        """SELECT v.id, v.name, v.query, v.shared, v.account IS NOT DISTINCT FROM $2 AS is_mine, account.name AS owner
           FROM saved_view v JOIN account ON account.id = v.account
           WHERE v.entity_type = $1 AND (v.account = $2 OR v.shared) ORDER BY is_mine DESC, lower(v.name), v.id LIMIT 200""",
        type,
        account,
    )
    return [SavedView(*row.values()) for row in rows]


async def save_view(account: UUID, wish: Wish, sort: str, name: str, *, shared: bool, actor: Actor) -> UUID:
    """Raises FormError, Forbidden for what only editors share."""
    check_wish(wish, sort)
    name, id = _checked(name, shared, actor), uuid7()
    query = list_query(wish.q, wish.missing, sort)
    if len(query) > LONGEST_QUERY:
        raise FormError({"name": "This search is too long to be kept. Search for fewer words."})
    async with database.transaction():
        await _refuse_twin(account, wish.type or "", name)
        await database.execute(
            "INSERT INTO saved_view (id, account, entity_type, name, query, shared) VALUES ($1, $2, $3, $4, $5, $6)",
            id,
            account,
            wish.type,
            name,
            query,
            shared,
        )
        said = {"name": name, "type": wish.type, "query": query, "shared": shared}
        await audit.record(actor, "view.add", "view", str(id), after=said)
    return id


async def change_view(id: UUID, account: UUID, name: str, *, shared: bool, actor: Actor) -> str:
    """Its owner alone renames it; the type of its list. Raises FormError, Forbidden, NotFound."""
    name = _checked(name, shared, actor)
    async with database.transaction():
        type, before = await _held(id, account, actor, is_owner_asked=True)
        await _refuse_twin(account, type, name, besides=id)
        await database.execute("UPDATE saved_view SET name = $2, shared = $3 WHERE id = $1", id, name, shared)
        await audit.record(actor, "view.change", "view", str(id), before=before, after={"name": name, "shared": shared})
    return type


async def delete_view(id: UUID, account: UUID, actor: Actor) -> str:
    """By its owner; one that is shared by an admin too. The type of its list. Raises NotFound."""
    async with database.transaction():
        type, before = await _held(id, account, actor)
        await database.execute("DELETE FROM saved_view WHERE id = $1", id)
        await audit.record(actor, "view.delete", "view", str(id), before=before)
    return type


def _checked(name: str, shared: bool, actor: Actor) -> str:
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise FormError({"name": "Give it a name."})
    if len(name) > LONGEST_NAME:
        raise FormError({"name": f"Use at most {LONGEST_NAME} characters."})
    if shared and not actor.may("editor"):
        raise Forbidden("Editors share views. Keep this one for yourself.")
    return name


async def _refuse_twin(account: UUID, type: str, name: str, *, besides: UUID | None = None) -> None:
    """One person's views are written one after the other, so that none gets a name that is taken meanwhile."""
    await database.fetch("SELECT FROM account WHERE id = $1 FOR NO KEY UPDATE", account)
    rows = await database.fetch(
        "SELECT name FROM saved_view WHERE account = $1 AND entity_type = $2 AND id IS DISTINCT FROM $3",
        account,
        type,
        besides,
    )
    if name in {row["name"] for row in rows}:
        raise FormError({"name": "You have a view of this name already."})
    if len(rows) >= MOST_VIEWS:
        raise FormError({"name": f"You keep {MOST_VIEWS} views of this list, as many as fit. Delete one first."})


async def _held(
    id: UUID, account: UUID, actor: Actor, *, is_owner_asked: bool = False
) -> tuple[str, dict[str, str | bool]]:
    """Its type and what is said of it, its row locked. One that somebody else does not share is not there."""
    row = await database.fetch_row(
        "SELECT account, entity_type, name, shared FROM saved_view WHERE id = $1 FOR UPDATE", id
    )
    is_mine = row is not None and row["account"] == account
    if row is None or not (is_mine or row["shared"]):
        raise NotFound("There is no saved view with this id.")
    if not is_mine and (is_owner_asked or not actor.may("admin")):
        raise Forbidden("This view is somebody else's.")
    return row["entity_type"], {"name": row["name"], "shared": row["shared"]}
