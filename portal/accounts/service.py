"""Signing in and out, the sessions of a person, and the password they have."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from portal import database
from portal.accounts import throttle
from portal.accounts.passwords import check_password, hash_password, needs_rehash, verify_password
from portal.accounts.tokens import hash_secret, new_secret
from portal.accounts.users import end_all_sessions
from portal.audit import service as audit
from portal.audit.actors import Actor, Role
from portal.errors import FormError, NotFound

log = structlog.get_logger()

IDLE_MINUTES: Final = 60
HOURS: Final = 12
CONFIRMED_MINUTES: Final = 15
ALIVE: Final = f"""session.seen_at > now() - interval '{IDLE_MINUTES} minutes'
    AND session.created_at > now() - interval '{HOURS} hours'"""


@dataclass(frozen=True, slots=True)
class Session:
    """A request's credentials when a person makes it. `csrf` belongs to this session alone; `shortcuts`: may single keys act?

    `dates`, `zone`: how and where this person reads times (preferences)."""

    id: UUID
    account: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    confirmed_at: datetime
    csrf: str
    shortcuts: bool = True
    dates: str = "words"
    zone: str = ""

    @property
    def actor(self) -> Actor:
        return Actor(f"user:{self.email}", self.role)

    def is_confirmed(self) -> bool:
        """Was the password given in the last 15 minutes?"""
        return datetime.now(UTC) - self.confirmed_at < timedelta(minutes=CONFIRMED_MINUTES)


@dataclass(frozen=True, slots=True)
class SessionView:
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    address: str
    browser: str
    is_current: bool


async def sign_in(
    email: str, password: str, address: str, browser: str, *, replaces: UUID | None = None
) -> tuple[str, Session]:
    """A new session and the secret of its cookie; the session `replaces`, which the browser had, ends.

    Raises FormError, the same for an unknown address as for a wrong password and after the same time; RateLimited.
    """
    email = email.strip().lower()
    await throttle.count_attempt(throttle.ADDRESS, address)
    await throttle.count_attempt(throttle.ACCOUNT, email)
    account = await database.fetch_row(
        "SELECT id, email, name, role, password_hash, disabled FROM account WHERE lower(email) = $1", _storable(email)
    )
    right = await verify_password(account["password_hash"] if account else None, password)
    if account is None or account["disabled"] or not right:
        await _note_refusal(account, address)
        raise FormError({"form": "This e-mail address and password do not belong together."}).as_denial()
    better = await hash_password(password) if needs_rehash(account["password_hash"]) else None
    async with database.transaction():
        # Read again under a lock: a reset or disabling that came in between wins.
        current = await database.fetch_row(
            "SELECT password_hash, disabled, role FROM account WHERE id = $1 FOR UPDATE", account["id"]
        )
        if current is None or current["disabled"] or current["password_hash"] != account["password_hash"]:
            raise FormError({"form": "This account was changed just now. Try again."})
        await database.execute(
            "UPDATE account SET signed_in_at = now(), password_hash = coalesce($2, password_hash) WHERE id = $1",
            account["id"],
            better,
        )
        await database.execute(
            f"DELETE FROM session WHERE id = $2 OR (account = $1 AND NOT ({ALIVE}))",  # noqa: S608 - joined from constants
            account["id"],
            replaces,
        )
        token = new_secret()
        session = await _insert_session(token, account, address, browser)
        await audit.record(session.actor, "session.start", "user", str(account["id"]), after={"address": address})
        await throttle.clear(throttle.ACCOUNT, email)
        await throttle.forgive_attempt(throttle.ADDRESS, address)
    return token, session


async def _insert_session(token: str, account: Any, address: str, browser: str) -> Session:
    id = uuid7()
    times = await database.fetch_row(
        """INSERT INTO session (id, token_hash, account, address, browser, created_at, seen_at, confirmed_at)
           VALUES ($1, $2, $3, $4, $5, now(), now(), now()) RETURNING created_at""",
        id,
        hash_secret(token),
        account["id"],
        address[:60],
        "".join(letter for letter in browser if letter.isprintable())[:300],
    )
    assert times is not None
    now = times["created_at"]
    return Session(
        id, account["id"], account["email"], account["name"], account["role"], now, now, csrf_token_of(token)
    )


async def _note_refusal(account: Any, address: str) -> None:
    log.warning("sign-in refused", address=address, known=account is not None)
    if account is None:
        return
    async with database.transaction():
        actor = Actor(f"user:{account['email']}", account["role"])
        await audit.record(actor, "session.refuse", "user", str(account["id"]), after={"address": address})


async def find_session(token: str) -> Session | None:
    """Who has this cookie; None when it is unknown, idle for an hour or twelve hours old. The role is today's."""
    row = await database.fetch_row(
        f"""SELECT session.id, session.account, account.email, account.name, account.role,
                   session.created_at, session.confirmed_at,
                   coalesce((account.preferences ->> 'shortcuts')::boolean, true) AS shortcuts,
                   coalesce(account.preferences ->> 'dates', 'words') AS dates,
                   coalesce(account.preferences ->> 'zone', '') AS zone,
                   session.seen_at < now() - interval '1 minute' AS stale
            FROM session JOIN account ON account.id = session.account
            WHERE session.token_hash = $1 AND NOT account.disabled AND {ALIVE}""",  # noqa: S608 - joined from constants
        hash_secret(token),
    )
    if row is None:
        return None
    if row["stale"]:
        await database.execute("UPDATE session SET seen_at = now() WHERE id = $1", row["id"])
    values = {name: value for name, value in row.items() if name != "stale"}
    return Session(**values, csrf=csrf_token_of(token))


def csrf_token_of(token: str) -> str:
    """Made from the session's secret: nothing to store, and nobody without the cookie can make it."""
    digest = hmac.digest(token.encode("utf-8", "surrogatepass"), b"portal csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def sign_out(session: Session) -> None:
    await end_session(session.account, session.id, session.actor)


async def end_session(account: UUID, id: UUID, actor: Actor) -> None:
    """One session of this account, from the next request on. Raises NotFound for somebody else's."""
    async with database.transaction():
        if not await database.execute("DELETE FROM session WHERE id = $1 AND account = $2", id, account):
            raise NotFound("This session has ended already.")
        await audit.record(actor, "session.end", "user", str(account))


async def list_sessions(account: UUID, current: UUID) -> list[SessionView]:
    """Those that are alive, the current one first."""
    rows = await database.fetch(
        f"""SELECT id, created_at, seen_at, address, browser FROM session
            WHERE account = $1 AND {ALIVE} ORDER BY id = $2 DESC, seen_at DESC""",  # noqa: S608 - joined from constants
        account,
        current,
    )
    return [
        SessionView(
            row["id"],
            row["created_at"],
            row["seen_at"],
            row["address"],
            browser_name(row["browser"]),
            row["id"] == current,
        )
        for row in rows
    ]


async def confirm_password(session: Session, password: str) -> None:
    """Opens what asks for the password again, for 15 minutes. Raises FormError for `current`, RateLimited."""
    await _check_current(session, password)
    async with database.transaction():
        await database.execute("UPDATE session SET confirmed_at = now() WHERE id = $1", session.id)
        await audit.record(session.actor, "session.confirm", "user", str(session.account))


async def change_password(session: Session, current: str, password: str) -> None:
    """Ends the account's other sessions. Raises FormError for `current` or `password`, RateLimited."""
    await _check_current(session, current)
    check_password(password, email=session.email, name=session.name)
    hashed = await hash_password(password)
    async with database.transaction():
        await database.execute("UPDATE account SET password_hash = $2 WHERE id = $1", session.account, hashed)
        await database.execute("UPDATE session SET confirmed_at = now() WHERE id = $1", session.id)
        await database.execute("DELETE FROM password_link WHERE account = $1", session.account)
        await end_all_sessions(session.account, but=session.id)
        await audit.record(session.actor, "user.set_password", "user", str(session.account))


async def _check_current(session: Session, password: str) -> None:
    """Throttled as signing in is: a borrowed browser must not become a place to guess."""
    await throttle.count_attempt(throttle.ACCOUNT, session.email)
    stored = await database.fetch_value("SELECT password_hash FROM account WHERE id = $1", session.account)
    if not await verify_password(stored, password):
        raise FormError({"current": "This is not your password."}).as_denial()
    await throttle.clear(throttle.ACCOUNT, session.email)


async def forget_expired() -> int:
    """For the daily sweep: sessions, links and counts that no longer mean anything."""
    sessions = await database.execute(f"DELETE FROM session WHERE NOT ({ALIVE})")  # noqa: S608 - joined from constants
    links = await database.execute("DELETE FROM password_link WHERE used_at IS NOT NULL OR expires_at < now()")
    return sessions + links + await throttle.forget_old_attempts()


def browser_name(agent: str) -> str:
    """ "Firefox on Linux" for a User-Agent header; its beginning where it is none we know."""
    browsers = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS", "Firefox"), ("Chrom", "Chrome"))
    systems = (
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
    )
    browser = next(
        (name for mark, name in (*browsers, ("CriOS", "Chrome"), ("Safari/", "Safari")) if mark in agent), None
    )
    system = next((name for mark, name in (*systems, ("Linux", "Linux")) if mark in agent), None)
    return f"{browser} on {system}" if browser and system else browser or agent[:60]


def _storable(text: str) -> str:
    """What PostgreSQL cannot hold (NUL, lone surrogates) is nobody's address, not a reason to fail."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
