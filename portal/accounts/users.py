"""People and how they come in: accounts, one-time password links, and the first admin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from portal import database
from portal.accounts import throttle
from portal.accounts.passwords import check_password, hash_password
from portal.accounts.tokens import check_role, clean_name, hash_secret, new_secret
from portal.audit import service as audit
from portal.audit.actors import Actor, Role
from portal.errors import Conflict, FormError, NotFound

LINK_HOURS: Final = 72
LONGEST_EMAIL: Final = 195  # what is done is kept under `user:<address>`, in columns of 200 characters
_EMAIL: Final = re.compile(r"[^\s@<>()\[\]\\,;:\"]+@[^\s@<>()\[\]\\,;:\"]+")


@dataclass(frozen=True, slots=True)
class UserView:
    """`invited`: has not set a password yet."""

    id: UUID
    email: str
    name: str
    role: str
    disabled: bool
    invited: bool
    created_at: datetime
    signed_in_at: datetime | None


def clean_email(text: str) -> str:
    """Lower case: one person, one account. Raises FormError."""
    email = text.strip().lower()
    if len(email) > LONGEST_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise FormError({"email": "Use an e-mail address such as ana@example.com."})
    return email


async def create_user(email: str, role: str, name: str, actor: Actor) -> str:
    """Invite somebody; the token of their one-time link. Raises FormError, Conflict when the address is taken."""
    email, checked = clean_email(email), check_role(role)
    name = clean_name(name or email.partition("@")[0][:100])
    async with database.transaction():
        account = await insert_account(email, checked, name, None, actor)
        return await _new_link(account)


async def insert_account(email: str, role: Role, name: str, password_hash: str | None, actor: Actor) -> UUID:
    """Needs an open transaction. Raises Conflict when the address is taken."""
    id = uuid7()
    try:
        await database.execute(
            "INSERT INTO account (id, email, name, role, password_hash) VALUES ($1, $2, $3, $4, $5)",
            id,
            email,
            name,
            role,
            password_hash,
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("There is an account with this address already.") from error
    if role == "admin":
        await close_set_up()
    await audit.record(actor, "user.add", "user", str(id), after={"email": email, "name": name, "role": role})
    return id


async def close_set_up() -> bool:
    """Needs an open transaction. True for the one caller who is first; the others wait for it and then get False."""
    return bool(
        await database.execute(
            "INSERT INTO portal_state (name, value) VALUES ('set_up', 'true') ON CONFLICT DO NOTHING"
        )
    )


async def _new_link(account: UUID) -> str:
    """A link of its account's: the only one that counts."""
    token = new_secret()
    await database.execute("DELETE FROM password_link WHERE account = $1", account)
    await database.execute(
        "INSERT INTO password_link (token_hash, account, expires_at) VALUES ($1, $2, now() + $3 * interval '1 hour')",
        hash_secret(token),
        account,
        float(LINK_HOURS),
    )
    return token


async def get_link(token: str) -> UserView:
    """Whose password a one-time link may set. Raises NotFound: unknown, used or older than 72 hours."""
    row = await database.fetch_row(
        f"""SELECT {_COLUMNS} FROM account WHERE NOT disabled AND id =
            (SELECT account FROM password_link WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now())""",  # noqa: S608 - constant columns and clauses
        hash_secret(token),
    )
    if row is None:
        raise NotFound("This link was used already or is too old. Ask for a new one.").as_denial()
    return UserView(**dict(row))


async def set_password_by_link(token: str, password: str) -> str:
    """Works once and ends the account's sessions; the account's address. Raises NotFound, FormError."""
    user = await get_link(token)
    check_password(password, email=user.email, name=user.name)
    hashed = await hash_password(password)
    async with database.transaction():
        used = await database.execute(
            "UPDATE password_link SET used_at = now() WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now()",
            hash_secret(token),
        )
        if not used:
            raise NotFound("This link was used already or is too old. Ask for a new one.")
        await database.execute("UPDATE account SET password_hash = $2 WHERE id = $1", user.id, hashed)
        await end_all_sessions(user.id)
        await throttle.clear(throttle.ACCOUNT, user.email)
        await audit.record(Actor(f"user:{user.email}", "viewer"), "user.set_password", "user", str(user.id))
    return user.email


async def reset_password(email: str, actor: Actor) -> str:
    """The old password and every session end now; the token of a new one-time link. Raises NotFound."""
    async with database.transaction():
        user = await _get_user(email)
        await database.execute("UPDATE account SET password_hash = NULL, disabled = false WHERE id = $1", user.id)
        await end_all_sessions(user.id)
        await audit.record(actor, "user.reset", "user", str(user.id), before={"disabled": user.disabled})
        return await _new_link(user.id)


async def disable_user(email: str, actor: Actor) -> None:
    """Out at once, and for good until a reset. Raises NotFound, Conflict for the last admin."""
    async with database.transaction():
        user = await _get_user(email)
        await _keep_an_admin(user)
        await database.execute("UPDATE account SET disabled = true WHERE id = $1", user.id)
        await end_all_sessions(user.id)
        await database.execute("DELETE FROM password_link WHERE account = $1", user.id)
        await audit.record(actor, "user.disable", "user", str(user.id), before={"disabled": user.disabled})


async def enable_user(email: str, actor: Actor) -> None:
    """With the password as it was. Raises NotFound; twice is fine."""
    async with database.transaction():
        user = await _get_user(email)
        if user.disabled:
            await database.execute("UPDATE account SET disabled = false WHERE id = $1", user.id)
            await audit.record(actor, "user.enable", "user", str(user.id), before={"disabled": True})


async def sign_out_everywhere(email: str, actor: Actor, *, but: UUID | None = None) -> int:
    """How many sessions ended; the one with the id `but` stays. Raises NotFound."""
    async with database.transaction():
        user = await _get_user(email)
        ended = await end_all_sessions(user.id, but=but)
        if ended:
            await audit.record(actor, "user.end_sessions", "user", str(user.id), after={"ended": ended})
        return ended


async def change_role(email: str, role: str, actor: Actor) -> None:
    """Counts from the next request, which needs a new session. Raises FormError, NotFound, Conflict for the last admin."""
    checked = check_role(role)
    async with database.transaction():
        user = await _get_user(email)
        if user.role == checked:
            return
        await _keep_an_admin(user)
        await database.execute("UPDATE account SET role = $2 WHERE id = $1", user.id, checked)
        await end_all_sessions(user.id)
        if checked == "admin":
            await close_set_up()
        await audit.record(
            actor, "user.change_role", "user", str(user.id), before={"role": user.role}, after={"role": checked}
        )


async def list_users() -> list[UserView]:
    return [UserView(**dict(row)) for row in await database.fetch(f"SELECT {_COLUMNS} FROM account ORDER BY email")]  # noqa: S608 - constant columns and clauses


async def end_all_sessions(account: UUID, *, but: UUID | None = None) -> int:
    """Of one account, save the one with the id `but`."""
    return await database.execute("DELETE FROM session WHERE account = $1 AND id IS DISTINCT FROM $2", account, but)


async def _get_user(email: str) -> UserView:
    row: Any = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM account WHERE lower(email) = lower($1) FOR UPDATE",  # noqa: S608 - constant columns and clauses
        email.strip(),
    )
    if row is None:
        raise NotFound("There is no account with this address.")
    return UserView(**dict(row))


async def _keep_an_admin(user: UserView) -> None:
    """Raises Conflict; who is only invited cannot come in yet, so counts for nobody who can. The locks, in one order, keep two
    admins from disabling each other at the same moment."""
    if user.role != "admin" or user.disabled:
        return
    rows = await database.fetch(
        """SELECT id FROM account WHERE role = 'admin' AND NOT disabled AND (password_hash IS NOT NULL OR $1)
           ORDER BY id FOR UPDATE""",
        user.invited,
    )
    if not {row["id"] for row in rows} - {user.id}:
        raise Conflict("This is the last admin who can sign in. Make somebody else an admin first.")


_COLUMNS: Final = "id, email, name, role, disabled, password_hash IS NULL AS invited, created_at, signed_in_at"
