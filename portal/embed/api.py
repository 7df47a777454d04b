"""Embed keys over the API."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.params import JSONBody

from portal.accounts.guards import permit
from portal.embed.keys import Scope, get_key, issue_key, list_keys, revoke_key
from portal.errors import FormError, NotFound
from portal.paging import read_limit
from portal.web.answers import json_response
from portal.web.parameters import Cursor, Limit, PathText, TheActor, TheSettings

FIELDS = ("scope", "presets", "parents", "expires", "captions")


@get("/", name="embed:list", summary="Embed keys, newest first", **permit("editor"))
async def show_keys(limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    page = await list_keys(cursor=cursor, limit=read_limit(limit))
    return json_response(200, {"embeds": page.items, "total": page.total, "next": page.next})


@post("/", name="embed:issue", summary="Make a key; it is shown this once", **permit("editor", secret=True))
async def issue(data: JSONBody[dict[str, Any]], settings: TheSettings, actor: TheActor) -> Response[bytes]:
    """`scope {type, id?}`, and optionally `presets`, `parents` (required for private types), `expires`, `captions`."""
    asked = read_key(data)
    id, key = await issue_key(**asked, private_types=settings.private_types, actor=actor)
    made = await get_key(id)
    url = f"{settings.base_url}/embed/k/{key}"
    fields = {
        name: getattr(made, name) for name in ("scope", "presets", "parents", "captions", "created_at", "expires_at")
    }
    answer = {"id": id, "key": key, "url": url, "snippet": snippet(url, made.scope, settings.base_url), **fields}
    return json_response(201, answer)


@delete("/{embed_id:str}", name="embed:revoke", summary="Revoke a key at once", **permit("editor"))
async def revoke(embed_id: PathText, actor: TheActor) -> None:
    try:
        id = UUID(embed_id)
    except ValueError as error:
        raise NotFound("There is no such embed key.") from error
    await revoke_key(id, actor)


def snippet(url: str, scope: Scope, base_url: str) -> str:
    """What is pasted into the host's page. Of a whole type, the host puts the entity's id where ID stands."""
    source = url if scope.id is not None else f"{url}?id=ID"
    return (
        f'<iframe src="{escape(source)}" sandbox="allow-scripts" title="Pictures" loading="lazy" '
        f'referrerpolicy="no-referrer" width="100%" height="320" frameborder="0" data-portal-embed></iframe>\n'
        f'<script src="{escape(base_url)}/embed.js" async></script>'
    )


def read_key(data: dict[str, Any]) -> dict[str, Any]:
    """What issue_key takes. Raises FormError that names every field of a wrong kind."""
    errors = {name: "There is no such field." for name in data if name not in FIELDS}
    scope, presets, parents = data.get("scope"), data.get("presets"), data.get("parents") or []
    expires, captions = data.get("expires"), data.get("captions", True)
    if not _is_scope(scope):
        errors["scope"] = "Name it as {type, id}, or {type} for the whole type."
    if presets is not None and not _is_words(presets):
        errors["presets"] = "Use a list of names."
    if not _is_words(parents):
        errors["parents"] = "Use a list of origins such as https://shop.example.com."
    if not isinstance(captions, bool):
        errors["captions"] = "Use true or false."
    moment = _moment(expires)
    if expires is not None and moment is None:
        errors["expires"] = "Use a time such as 2027-01-31T12:00:00Z, or null."
    if errors or not isinstance(scope, dict):
        raise FormError(errors)
    return {
        "scope": Scope(scope["type"], scope.get("id")),
        "presets": presets,
        "parents": parents,
        "expires_at": moment,
        "captions": captions,
    }


def _is_scope(scope: Any) -> bool:
    if not isinstance(scope, dict) or not set(scope) <= {"type", "id"} or not isinstance(scope.get("type"), str):
        return False
    return scope.get("id") is None or isinstance(scope["id"], str)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _moment(text: Any) -> datetime | None:
    """A time with its zone; None for what is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


router = Router(path="/api/embeds", route_handlers=[show_keys, issue, revoke], tags=["embeds"])
