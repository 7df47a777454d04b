"""A POST that may be repeated safely: the same actor, route and key within a day give the first answer.

A claim belongs to a process, and a process proves that it lives by an advisory lock that its connection holds. When
the process is killed the lock falls, and the retry goes through; what the killed one had already stored is remembered in
the claim, in the same transaction as the stored thing, so the retry does not store it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from portal import database
from portal.errors import FormError, KeyReused, PortalError, Running

log = structlog.get_logger()

PROCESS_LOCK: Final = 7_310_002
KEEP_HOURS: Final = 24
DOUBT_SECONDS: Final = 60.0  # after a request lost the database: so long may a commit of its claim still come through


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer, to be given again."""

    status: int
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run the request now. `stored` maps a part's name (`0`, `1`, …) to the id that it became before."""

    pk: int
    stored: dict[str, str] = field(default_factory=dict)


class Presence:
    """This process's advisory lock, held as long as it lives; `number` names the process."""

    def __init__(self) -> None:
        self.number = secrets.randbelow(2**31 - 1) + 1
        self._running: list[str] = []
        self._in_doubt_until = 0.0

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Presence]:
        connection = await self._lock()
        task = asyncio.create_task(self._keep(connection))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _lock(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(**database.DB.config)
        try:
            await connection.execute("SELECT pg_advisory_lock($1, $2)", PROCESS_LOCK, self.number)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _keep(self, connection: asyncpg.Connection) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                with contextlib.suppress(*database.AWAY, OSError, asyncpg.PostgresError):
                    if connection.is_closed():
                        connection = await self._lock()
                    if time.monotonic() < self._in_doubt_until:
                        await self._free_abandoned()
        finally:
            connection.terminate()

    @contextlib.asynccontextmanager
    async def running(self, actor: str, route: str, key: str) -> AsyncIterator[None]:
        """The request of this key runs here. A claim that it could not end, as the database was away, is freed soon after."""
        name = f"{actor}\n{route}\n{key}"
        self._running.append(name)
        try:
            yield
        except PortalError:
            raise
        except BaseException:
            self._in_doubt_until = time.monotonic() + DOUBT_SECONDS
            raise
        finally:
            self._running.remove(name)

    async def _free_abandoned(self) -> None:
        """This process lives, so its lock alone would keep them until it ends."""
        await database.execute(
            """UPDATE idempotency SET process = 0 WHERE process = $1 AND status IS NULL
               AND NOT actor || E'\\n' || route || E'\\n' || key = ANY($2::text[])""",
            self.number,
            list(self._running),
        )


def check_key(key: str) -> str:
    """Raises FormError for a key that is no 1 to 200 visible ASCII characters."""
    if 1 <= len(key) <= 200 and all("!" <= character <= "~" for character in key):
        return key
    raise FormError({"Idempotency-Key": "Use 1 to 200 visible ASCII characters, such as a UUID."})


async def claim(actor: str, route: str, key: str, body_hash: str, process: int) -> Claim | Answer:
    """Take the key, or get the first answer. Raises KeyReused for another body, Running while somebody is at it."""
    async with database.transaction():
        await database.execute(
            "DELETE FROM idempotency WHERE created_at < now() - make_interval(hours => $1)", KEEP_HOURS
        )
        pk = await database.fetch_value(
            """INSERT INTO idempotency (actor, route, key, body_hash, process, stored)
               VALUES ($1, $2, $3, $4, $5, '{}') ON CONFLICT (actor, route, key) DO NOTHING RETURNING pk""",
            actor,
            route,
            check_key(key),
            body_hash,
            process,
        )
        if pk is not None:
            return Claim(pk)
        return await _claim_of_earlier(actor, route, key, body_hash, process)


async def _claim_of_earlier(actor: str, route: str, key: str, body_hash: str, process: int) -> Claim | Answer:
    row = await database.fetch_row(
        "SELECT * FROM idempotency WHERE actor = $1 AND route = $2 AND key = $3 FOR UPDATE", actor, route, key
    )
    if row is None:
        raise Running("The first request with this key has just ended. Send it again.", retry_after=1)
    if row["body_hash"] != body_hash:
        raise KeyReused("This Idempotency-Key was used with another body. Use a new key for a new request.")
    if row["status"] is not None:
        return Answer(row["status"], row["media_type"], row["body"])
    if await _is_alive(row["process"]):
        raise Running("The first request with this key is still running.", retry_after=1)
    await database.execute("UPDATE idempotency SET process = $2 WHERE pk = $1", row["pk"], process)
    return Claim(row["pk"], json.loads(row["stored"]))


async def _is_alive(process: int) -> bool:
    return await database.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
           AND classid = $1::bigint AND objid = $2::bigint
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))""",
        PROCESS_LOCK,
        process,
    )


async def remember(claim: Claim | None, part: str, stored: str) -> None:
    """Note, in the transaction that stores it, what a part of the request became.

    Raises Running when another run of the same request was first: its transaction stands, this one must not.
    """
    if claim is None:
        return
    database.connection_of_transaction()
    noted = await database.execute(
        """UPDATE idempotency SET stored = stored || jsonb_build_object($2::text, $3::text)
           WHERE pk = $1 AND NOT stored ? $2""",
        claim.pk,
        part,
        stored,
    )
    if not noted:
        raise Running("The same request was stored by another try. Send it again to get its answer.", retry_after=1)


async def keep_answer(claim: Claim, answer: Answer) -> None:
    await database.execute(
        "UPDATE idempotency SET status = $2, media_type = $3, body = $4 WHERE pk = $1",
        claim.pk,
        answer.status,
        answer.media_type,
        answer.body,
    )


async def release(claim: Claim) -> None:
    """Give the key back after a failure that a retry may cure. What was stored stays remembered."""
    if not await database.execute("DELETE FROM idempotency WHERE pk = $1 AND stored = '{}'", claim.pk):
        await database.execute("UPDATE idempotency SET process = 0 WHERE pk = $1", claim.pk)
