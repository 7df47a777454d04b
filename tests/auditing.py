"""Lines of the audit, sealed, and what somebody does to them behind its back."""

from __future__ import annotations

from typing import Any

from portal import database
from portal.audit.actors import Actor
from portal.audit.sealing import seal_lines
from portal.audit.service import record, request_id
from portal.audit.verification import Breach, Verdict, verify_chain

ANA = Actor("user:ana@example.com", "editor")
KEYS = (b"the portal's key, 32 bytes long..",)


async def write(count: int = 1, actor: Actor = ANA, subject: str = "1", **change: Any) -> None:
    mark = request_id.set("r-1")
    try:
        async with database.transaction():
            for _ in range(count):
                await record(actor, "image.describe", "image", subject, **change)
    finally:
        request_id.reset(mark)


async def three_seals() -> list[int]:
    """Two lines with a change and one without in each; the lines' ids."""
    for number in range(3):
        await write(2, before={"alt_text": None}, after={"alt_text": f"A chair {number}"})
        await write()
        await seal_lines(KEYS)
    return [row["pk"] for row in await database.fetch("SELECT pk FROM audit ORDER BY pk")]


async def verified(**options: Any) -> tuple[Verdict, list[Breach]]:
    breaches: list[Breach] = []
    return await verify_chain(options.pop("keys", KEYS), tell=breaches.append, **options), breaches


async def kinds() -> set[tuple[str, int | None]]:
    return {(each.kind, each.line) for each in (await verified())[1]}


async def tamper(*statements: str, arguments: tuple[Any, ...] = ()) -> None:
    async with database.transaction():
        await database.execute("SET LOCAL portal.audit_maintenance = on")
        for statement in statements:
            await database.execute(statement, *arguments)


async def seals() -> list[int]:
    return [row["pk"] for row in await database.fetch("SELECT pk FROM audit_seal ORDER BY pk")]
