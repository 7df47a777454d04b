"""Embed keys over the API."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.embed.handout import NewEmbed, hand_out
from portal.embed.keys import (
    EmbedView,
    Scope,
    get_key,
    is_key_of,
    issue_key,
    list_keys,
    random_key,
    repeatable_key,
    revoke_key,
)
from portal.errors import FormError, Gone, NotFound
from portal.idempotency import Claim
from portal.paging import read_limit
from portal.settings import Settings
from portal.web.answers import encode, json_response, read_object
from portal.web.once import key_of, once
from portal.web.openapi import json_operation
from portal.web.parameters import Cursor, Http, Limit, PathText, TheActor, TheSettings

FIELDS = ("scope", "presets", "parents", "expires", "captions")

_BODY: Final = {
    "scope": {"type": "inventory_items", "id": "MUG-FJORD-BL"},
    "presets": ["card", "large"],
    "parents": ["https://shop.example.com"],
    "expires": "2027-01-31T12:00:00Z",
    "captions": True,
}


@dataclass(frozen=True, slots=True)
class EmbedList:
    embeds: list[EmbedView]
    total: int
    next: str | None


@get(
    "/",
    name="embed:list",
    summary="Embed keys, newest first",
    responses={200: ResponseSpec(EmbedList, description="One page")},
    **permit("editor"),
)
async def show_keys(limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    page = await list_keys(cursor=cursor, limit=read_limit(limit))
    return json_response(200, EmbedList(page.items, page.total, page.next))


@post(
    "/",
    name="embed:issue",
    summary="Make a key; it is shown this once",
    operation_class=json_operation(_BODY, required=["scope"]),
    responses={201: ResponseSpec(NewEmbed, description="Made")},
    **permit("editor", secret=True, problems=(404, 409)),
)
async def issue(request: Http, settings: TheSettings, actor: TheActor) -> Response[bytes]:
    """`scope {type, id?}`, and optionally `presets`, `parents` (required for private types), `expires`, `captions`."""
    sent = await read_object(request, FIELDS)
    asked, request_key = read_key(sent), key_of(request.scope)
    keys: list[str] = []

    def make_key(id: UUID) -> str:
        key = random_key() if request_key is None else repeatable_key(settings.secret_keys[0], request_key, id)
        keys.append(key)
        return key

    async def run(_: Claim | None) -> tuple[int, Any]:
        issued = await issue_key(**asked, private_types=settings.private_types, actor=actor, make_key=make_key)
        return 201, {"id": issued[0]}

    body_hash = hashlib.sha256(encode(sent)).hexdigest()
    answer = await once(request, actor=actor, body_hash=body_hash, run=run)  # keeps the answer without the key
    id = UUID(json.loads(answer.content)["id"])
    key = keys[0] if keys else await _key_again(id, request_key or "", settings)
    return json_response(201, hand_out(await get_key(id), key, settings.base_url), dict(answer.headers))


async def _key_again(id: UUID, request_key: str, settings: Settings) -> str:
    """The key that the first request made. Raises Gone when it is revoked or the portal's secret is another by now."""
    for secret in settings.secret_keys:
        key = repeatable_key(secret, request_key, id)
        if await is_key_of(id, key):
            return key
    raise Gone("This key was made before and cannot be shown again. Make a new one.")


@delete("/{embed_id:str}", name="embed:revoke", summary="Revoke a key at once", **permit("editor"))
async def revoke(embed_id: PathText, actor: TheActor) -> None:
    try:
        id = UUID(embed_id)
    except ValueError as error:
        raise NotFound("There is no such embed key.") from error
    await revoke_key(id, actor)


def read_key(data: dict[str, Any]) -> dict[str, Any]:
    """What issue_key takes. Raises FormError that names every field of a wrong kind."""
    errors: dict[str, str] = {}
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
