"""The first admin of a new portal: by a link printed at the start, or by the settings. Afterwards never again."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from portal import database
from portal.accounts import throttle
from portal.accounts.passwords import check_password, hash_password
from portal.accounts.tokens import clean_name, hash_secret
from portal.accounts.users import clean_email, close_set_up, insert_account
from portal.audit.actors import SYSTEM
from portal.errors import FormError, NotFound
from portal.settings import Settings

LINK_MINUTES: Final = 30
_MISSING: Final = "There is nothing at this address."


async def is_set_up() -> bool:
    """Remembered, not counted: a portal whose accounts were all removed does not open itself again."""
    return await database.fetch_value("SELECT true FROM portal_state WHERE name = 'set_up'") is True


async def setup_link(settings: Settings) -> str | None:
    """The link for this start, good for 30 minutes; earlier ones end. None when the portal is set up.

    Its hash lies in the database, so that every process of a start knows the one link.
    """
    token = secrets.token_urlsafe(16)
    value = {
        "hash": hash_secret(token).hex(),
        "expires_at": (datetime.now(UTC) + timedelta(minutes=LINK_MINUTES)).isoformat(),
    }
    async with database.transaction():
        if await is_set_up():
            return None
        await database.execute(
            """INSERT INTO portal_state (name, value) VALUES ('setup_link', $1::jsonb)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
            json.dumps(value),
        )
    return f"{settings.base_url}/setup?token={token}"


async def check_setup_token(token: str, address: str) -> None:
    """Raises NotFound as for any address where nothing is, RateLimited after too many wrong ones."""
    stored = await database.fetch_value("SELECT value FROM portal_state WHERE name = 'setup_link'")
    if stored is None or await is_set_up():
        raise NotFound(_MISSING)
    await throttle.count_attempt(throttle.SETUP, address)
    value = json.loads(stored)
    right = secrets.compare_digest(bytes.fromhex(value["hash"]), hash_secret(token))
    if not right or datetime.fromisoformat(value["expires_at"]) <= datetime.now(UTC):
        raise NotFound(_MISSING).as_denial()
    await throttle.forgive_attempt(throttle.SETUP, address)


async def set_up(token: str, email: str, name: str, password: str, *, address: str = "") -> UUID:
    """Make the one first admin. Raises NotFound for a wrong or late token, FormError, RateLimited."""
    await check_setup_token(token, address)
    return await _make_first_admin(email, name, password)


async def make_admin_from_settings(settings: Settings) -> bool:
    """PORTAL_ADMIN_EMAIL and PORTAL_ADMIN_PASSWORD, on the first start alone. Raises FormError for a weak password."""
    if not settings.admin_email or not settings.admin_password or await is_set_up():
        return False
    try:
        await _make_first_admin(settings.admin_email, "", settings.admin_password)
    except NotFound:
        return False  # another process was first
    return True


async def _make_first_admin(email: str, name: str, password: str) -> UUID:
    errors: dict[str, str] = {}
    try:
        email = clean_email(email)
        name = clean_name(name or email.partition("@")[0][:100])
    except FormError as error:
        errors |= error.errors
    try:
        check_password(password, email=email, name=name)
    except FormError as error:
        errors |= error.errors
    if errors:
        raise FormError(errors)
    hashed = await hash_password(password)
    async with database.transaction():
        if not await close_set_up():
            raise NotFound(_MISSING)
        await database.execute("DELETE FROM portal_state WHERE name = 'setup_link'")
        return await insert_account(email, "admin", name, hashed, SYSTEM)
