"""Who is still let in: asked for many at once, by what stays open for long."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from portal import database
from portal.accounts.service import HOURS, IDLE_MINUTES

_STILL: Final = f"""
    SELECT session.id FROM session JOIN account ON account.id = session.account
    WHERE session.id = ANY($1::uuid[]) AND NOT account.disabled
      AND session.seen_at > now() - interval '{IDLE_MINUTES} minutes'
      AND session.created_at > now() - interval '{HOURS} hours'
    UNION ALL
    SELECT id FROM api_token
    WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""  # noqa: S608 - joined from constants


async def still_let_in(ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these sessions and tokens would be let in now. Nobody's time is prolonged by it."""
    rows = await database.fetch(_STILL, list(ids)) if ids else []
    return frozenset(row["id"] for row in rows)
