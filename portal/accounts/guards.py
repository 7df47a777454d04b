"""Who may call a route. Every route declares it: `@get("/trash", **permit("viewer"))`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from portal.accounts.service import Session, confirm_password
from portal.audit.actors import Actor, Role
from portal.errors import Forbidden, FormError, Unauthenticated

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers.base import BaseRouteHandler

Permission = Literal["public", "scoped", "viewer", "editor", "admin"]
Guard = Callable[[Any, Any], None]


def permit(permission: Permission, **opt: Any) -> dict[str, Any]:
    """What a route decorator takes: its guards, and the permission as an option that tests and the middleware read.

    `public` is for everybody; `scoped` decides by the entity's type, with may_see().
    """
    guards: dict[str, list[Guard]] = {
        "public": [],
        "scoped": [],
        "viewer": [viewer],
        "editor": [editor],
        "admin": [admin],
    }
    return {"guards": guards[permission], "opt": {"permission": permission, **opt}}


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor | None:
    return connection.scope.get("user")


def session_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Session:
    """Raises Unauthenticated: only a person at a browser has one."""
    found = connection.scope.get("auth")
    if isinstance(found, Session):
        return found
    raise Unauthenticated("Sign in with your own account for this.")


def viewer(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    _require(connection, "viewer")


def editor(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    _require(connection, "editor")


def admin(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    _require(connection, "admin")


def refuse_unconfirmed(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """For what cannot be undone: a person has given the password in the last 15 minutes. Raises Forbidden."""
    if needs_password(connection):
        raise Forbidden("Give your password again for this.", confirm=True)


def needs_password(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """A token is asked for none."""
    found = connection.scope.get("auth")
    return isinstance(found, Session) and not found.is_confirmed()


async def confirm_with(connection: ASGIConnection[Any, Any, Any, Any], password: str) -> None:
    """Where it must be given again, this is what a form has brought. Raises FormError for `current`, RateLimited."""
    if needs_password(connection):
        if not password:  # the form was made while it was fresh: nobody has guessed
            raise FormError({"current": "Write your password once more: the last time is over 15 minutes ago."})
        session = session_of(connection)
        await confirm_password(session, password)
        state: Any = connection.scope
        state["auth"] = replace(session, confirmed_at=datetime.now(UTC))  # what this answer shows need not ask again


def _require(connection: ASGIConnection[Any, Any, Any, Any], role: Role) -> None:
    actor = actor_of(connection)
    if actor is None:
        raise Unauthenticated("Sign in first.")
    if not actor.may(role):
        raise Forbidden(f"This needs the role {role}; yours is {actor.role}.")


def may_see(actor: Actor | None, entity_type: str, private_types: Collection[str]) -> bool:
    """Everybody sees public types; private ones need the role viewer."""
    return entity_type not in private_types or (actor is not None and actor.may("viewer"))
