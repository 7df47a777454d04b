"""What scripts and browsers show to be known: random, long, and kept as hashes only. API tokens are issued here."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.audit import service as audit
from portal.audit.actors import ROLES, Actor, Role
from portal.errors import Forbidden, FormError, NotFound
from portal.paging import EXACT_UP_TO, Page, encode_cursor, id_behind

_FORM: Final = re.compile(r"pt_[A-Za-z0-9_-]{43}", re.ASCII)
_COLUMNS: Final = "id, name, prefix, role, created_by, created_at, expires_at, used_at, revoked_at"
_SHOWN: Final = 9  # characters of a token that tell it apart: 36 of its 256 bits


@dataclass(frozen=True, slots=True)
class Token:
    """A request's credentials when a script makes it."""

    id: UUID
    name: str
    role: Role

    @property
    def actor(self) -> Actor:
        return Actor(f"token:{self.name}", self.role)


@dataclass(frozen=True, slots=True)
class TokenView:
    id: UUID
    name: str
    prefix: str
    role: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def new_secret() -> str:
    """256 random bits, base64url."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256 is enough for what is random; a slow hash is for what people choose."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def check_role(role: str) -> Role:
    """Raises FormError."""
    if role not in ROLES:
        raise FormError({"role": f"Use one of {', '.join(ROLES)}."})
    return cast(Role, role)


def clean_name(text: str, field: str = "name") -> str:
    """1 to 100 printable characters, NFC. Raises FormError."""
    name = unicodedata.normalize("NFC", text.strip()[:400])  # of a longer text too many are left
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise FormError({field: "Use 1 to 100 printable characters."})
    return name


async def create_token(name: str, role: str, expires_at: datetime | None, actor: Actor) -> str:
    """The token, shown this once. Raises FormError, and Forbidden for a role above the actor's own."""
    name, checked = clean_name(name), check_role(role)
    if not actor.may("admin"):
        raise Forbidden("Only an admin gives out tokens.")
    if expires_at is not None and expires_at.astimezone(UTC) <= datetime.now(UTC):
        raise FormError({"expires_at": "Use a time that is yet to come."})
    token, id = f"pt_{new_secret()}", uuid7()
    async with database.transaction():
        await database.execute(
            """INSERT INTO api_token (id, name, prefix, token_hash, role, created_by, created_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, now(), $7)""",
            id,
            name,
            token[:_SHOWN],
            hash_secret(token),
            checked,
            actor.name[:200],
            expires_at,
        )
        await audit.record(
            actor, "token.add", "token", str(id), after={"name": name, "role": checked, "expires_at": expires_at}
        )
    return token


async def list_tokens() -> list[TokenView]:
    """Newest first, revoked ones too."""
    rows = await database.fetch(f"SELECT {_COLUMNS} FROM api_token ORDER BY created_at DESC, id DESC")  # noqa: S608 - constant columns
    return [TokenView(**dict(row)) for row in rows]


async def page_of_tokens(cursor: str | None, limit: int = 50) -> Page[TokenView]:
    """Newest first, without the revoked ones. Raises FormError for a foreign cursor."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM api_token WHERE revoked_at IS NULL AND id < $1 ORDER BY id DESC LIMIT $2",  # noqa: S608 - constant columns
        id_behind(cursor),
        limit + 1,
    )
    total = await database.fetch_value(
        "SELECT count(*) FROM (SELECT FROM api_token WHERE revoked_at IS NULL LIMIT $1) AS counted", EXACT_UP_TO + 1
    )
    found = [TokenView(**dict(row)) for row in rows[:limit]]
    return Page(found, total, encode_cursor([str(found[-1].id)]) if len(rows) > limit else None)


async def get_token(id: UUID) -> TokenView:
    """Raises NotFound."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM api_token WHERE id = $1", id)  # noqa: S608 - constant columns
    if row is None:
        raise NotFound("There is no such token.")
    return TokenView(**dict(row))


async def revoke_token(id: UUID, actor: Actor) -> None:
    """From the next request on. Raises NotFound; twice is fine."""
    async with database.transaction():
        row = await database.fetch_row("SELECT name, revoked_at FROM api_token WHERE id = $1 FOR UPDATE", id)
        if row is None:
            raise NotFound("There is no such token.")
        if row["revoked_at"] is None:
            await database.execute("UPDATE api_token SET revoked_at = now() WHERE id = $1", id)
            await audit.record(actor, "token.revoke", "token", str(id), before={"name": row["name"]})


async def authenticate_token(token: str) -> Token | None:
    """Whom a bearer token stands for; None for one that is unknown, expired or revoked."""
    if not _FORM.fullmatch(token):
        return None
    row = await database.fetch_row(
        """SELECT id, name, role, used_at IS NULL OR used_at < now() - interval '1 minute' AS stale
           FROM api_token WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())""",
        hash_secret(token),
    )
    if row is None:
        return None
    if row["stale"]:
        await database.execute("UPDATE api_token SET used_at = now() WHERE id = $1", row["id"])
    return Token(row["id"], row["name"], row["role"])
