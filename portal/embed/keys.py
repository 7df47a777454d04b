"""Embed keys: what lets somebody without an account see one gallery, or one type's, in a frame."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.entities.kinds import KINDS, EntityRef, is_entity_id
from portal.errors import FormError, Gone, NoSuchEntity, NotFound
from portal.imaging.presets import READY
from portal.notices import FreshCache, listen
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor

MOST_PARENTS: Final = 20
LONGEST_PARENT: Final = 200
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # 128 bits in base64url
# A wildcard stands before at least two names: https://*.com would be half the world.
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PARENT: Final = re.compile(rf"https?://(?:\*\.(?=[^.]+\.))?(?:{_LABEL}\.)*{_LABEL}(?::([0-9]{{1,5}}))?", re.ASCII)
_COLUMNS: Final = "id, scope_type, scope_id, presets, parents, captions, created_by, created_at, expires_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Scope:
    """One entity, or with `id` None all of a type."""

    type: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class EmbedGrant:
    """What a key allows. `presets` None: all. `parents`: the origins that may frame it, as CSP writes them."""

    id: UUID
    scope: Scope
    presets: tuple[str, ...] | None
    parents: tuple[str, ...]
    captions: bool
    expires_at: datetime | None

    def entity(self, asked: str | None) -> EntityRef:
        """The entity to show: the key's own, or of a whole type the one asked for. Raises NotFound for any other."""
        type, own = self.scope.type, self.scope.id
        id = asked.removeprefix(f"{type}/") if asked else own
        if id is None or (own is not None and id != own) or not is_entity_id(id):
            raise unknown_key()
        return EntityRef(type, id)


@dataclass(frozen=True, slots=True)
class EmbedView:
    """A key as it is listed: everything but the key itself, of which only the hash is kept."""

    id: UUID
    scope: Scope
    presets: list[str] | None
    parents: list[str]
    captions: bool
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def issue_key(
    scope: Scope,
    *,
    presets: Collection[str] | None,
    parents: Sequence[str],
    expires_at: datetime | None,
    captions: bool,
    private_types: Collection[str],
    actor: Actor,
    make_key: Callable[[UUID], str] | None = None,
) -> tuple[UUID, str]:
    """The key's id and the key, which is shown this once. Raises FormError, NoSuchEntity.

    `make_key` makes the key of an id, 128 bits in base64url; else it is random.
    """
    chosen, framing = check_key(scope, presets, parents, expires_at, private_types)
    id = uuid7()
    key = make_key(id) if make_key else random_key()
    async with database.transaction():
        if scope.id is not None and not await _exists(scope.type, scope.id):
            raise NoSuchEntity(f"There is no {scope.type}/{scope.id}.")
        await database.execute(
            """INSERT INTO embed_key (id, key_hash, scope_type, scope_id, presets, parents, captions, created_by, created_at,
               expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9)""",
            id,
            _hash(key),
            scope.type,
            scope.id,
            chosen,
            framing,
            captions,
            actor.name[:200],
            expires_at,
        )
        after = {"scope": _spelled(scope), "presets": chosen, "parents": framing, "expires_at": expires_at}
        await record(actor, "embed.add", "embed", str(id), after=after)
    return id, key


def random_key() -> str:
    return secrets.token_urlsafe(16)


def repeatable_key(secret: bytes, request_key: str, id: UUID) -> str:
    """The key that a POST with an Idempotency-Key makes, so that its repetition can say it again though nobody kept it.

    Unknown to whoever lacks the portal's secret, and gone for ever when the request's own key is forgotten.
    """
    made = hmac.digest(secret, b"embed key\0" + id.bytes + request_key.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made[:16]).decode().rstrip("=")


async def is_key_of(id: UUID, key: str) -> bool:
    """Does this key, not revoked, have this id?"""
    hash = await database.fetch_value("SELECT key_hash FROM embed_key WHERE id = $1 AND revoked_at IS NULL", id)
    return hash == _hash(key)


async def _exists(type: str, id: str) -> bool:
    """Until the transaction ends."""
    return bool(await database.fetch_value("SELECT 1 FROM entity WHERE type = $1 AND id = $2 FOR KEY SHARE", type, id))


def _spelled(scope: Scope) -> str:
    return scope.type if scope.id is None else f"{scope.type}/{scope.id}"


def check_key(
    scope: Scope,
    presets: Collection[str] | None,
    parents: Sequence[str],
    expires_at: datetime | None,
    private_types: Collection[str],
) -> tuple[list[str] | None, list[str]]:
    """Presets and parents as they are stored. Raises FormError that names every bad field."""
    errors: dict[str, str] = {}
    if scope.type not in KINDS or (scope.id is not None and not is_entity_id(scope.id)):
        errors["scope"] = f"Name a type ({', '.join(sorted(KINDS))}), and an id of it or none for the whole type."
    if presets is not None and (not presets or not set(presets) <= set(READY)):
        errors["presets"] = f"Use some of {', '.join(READY)}, or leave it out for all."
    framing = list(dict.fromkeys(parent if parent == "*" else parent.lower().removesuffix("/") for parent in parents))
    if said := _wrong_with(framing, is_private=scope.type in private_types):
        errors["parents"] = said
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= datetime.now(UTC)):
        errors["expires"] = "Use a time that is yet to come, with its zone, or null for a key without an end."
    if errors:
        raise FormError(errors)
    return (None if presets is None else [name for name in READY if name in presets]), framing


def _wrong_with(parents: Sequence[str], *, is_private: bool) -> str | None:
    """What to do about the sites that may frame, if anything."""
    if is_private and not parents:
        return "Name the sites that may show these pictures, as https://shop.example.com."
    if len(parents) > MOST_PARENTS:
        return f"Name at most {MOST_PARENTS} sites; these are {len(parents)}."
    for parent in parents:
        if parent == "*" and is_private:
            return "Private pictures need sites by name; * would let every site show them."
        if parent != "*" and not _is_origin(parent):
            return (
                f"{parent[:60]!r} is not a site's origin. Write scheme and name alone, as https://shop.example.com or "
                "https://*.example.com, and a name with other letters as browsers do (xn--…)."
            )
    return None


def _is_origin(parent: str) -> bool:
    """What frame-ancestors takes and cannot be misread."""
    match = _PARENT.fullmatch(parent) if len(parent) <= LONGEST_PARENT else None
    return match is not None and (match[1] is None or 1 <= int(match[1]) <= 65535)


async def revoke_key(id: UUID, actor: Actor) -> None:
    """At once, in every process. Raises NotFound, also the second time."""
    async with database.transaction():
        scope = await database.fetch_row(
            "UPDATE embed_key SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING scope_type, scope_id",
            id,
        )
        if scope is None:
            raise NotFound("There is no such embed key, or it is revoked already.")
        before = {"scope": _spelled(Scope(*scope))}
        await record(actor, "embed.revoke", "embed", str(id), before=before)


async def list_keys(*, cursor: str | None = None, limit: int = 50) -> Page[EmbedView]:
    """Newest first, without the revoked ones. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str])
    rows = await database.fetch(
        f"""SELECT {_COLUMNS} FROM embed_key WHERE revoked_at IS NULL AND ($1::uuid IS NULL OR id < $1)
            ORDER BY id DESC LIMIT $2""",  # noqa: S608 - a constant
        _uuid(after[0]) if after else None,
        limit + 1,
    )
    total = await database.fetch_value(
        "SELECT count(*) FROM (SELECT FROM embed_key WHERE revoked_at IS NULL LIMIT $1) AS found", EXACT_UP_TO + 1
    )
    views = [_view(row) for row in rows[:limit]]
    return Page(views, total, encode_cursor([str(views[-1].id)]) if len(rows) > limit else None)


async def get_key(id: UUID) -> EmbedView:
    """Raises NotFound."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM embed_key WHERE id = $1", id)  # noqa: S608 - a constant
    if row is None:
        raise NotFound("There is no such embed key.")
    return _view(row)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."}) from error


def _view(row: Any) -> EmbedView:
    values = dict(row)
    return EmbedView(scope=Scope(values.pop("scope_type"), values.pop("scope_id")), **values)


def unknown_key() -> NotFound:
    return NotFound("There is nothing to see under this link. It may have been withdrawn.").as_denial()


class Grants:
    """Grants by key, in memory; a revocation in any process is heard of within a moment, as long as `run` runs."""

    def __init__(self, entries: int = 5_000) -> None:
        self._cache: FreshCache[bytes, EmbedGrant] = FreshCache(_load, entries)

    async def find_key(self, key: str) -> EmbedGrant:
        """Raises NotFound for a key that is unknown or revoked, Gone for one that has expired."""
        grant = await self._cache.find(_hash(key)) if _FORM.fullmatch(key) else None
        if grant is None:
            raise unknown_key()
        if grant.expires_at is not None and grant.expires_at <= datetime.now(UTC):
            raise Gone("This link has expired. Ask for a new one where you found it.")
        return grant

    @property
    def is_trusted(self) -> bool:
        return self._cache.is_trusted

    async def run(self) -> NoReturn:
        await listen("portal_embed", self._cache, lambda _: self._cache.forget_all())  # rare, and soon filled again


async def _load(key_hash: bytes) -> EmbedGrant | None:
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM embed_key WHERE key_hash = $1 AND revoked_at IS NULL",  # noqa: S608 - a constant
        key_hash,
    )
    if row is None:
        return None
    presets = tuple(row["presets"]) if row["presets"] is not None else None
    scope = Scope(row["scope_type"], row["scope_id"])
    return EmbedGrant(row["id"], scope, presets, tuple(row["parents"]), row["captions"], row["expires_at"])


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
