"""Sealing: lines that are committed get their leaves, a batch of leaves its seal, the newest seal a signature.

No writer ever waits for this. Ids are not the order of commits: what a long transaction writes is sealed by a later batch.
Who calls it holds the one turn for it (`jobs.alone`, SEALING). Lines that claim to be far older than what is sealed are left
to a thorough run, which looks at all of them; a verification names them whether sealed or not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from portal import database
from portal.audit.chain import HALF, Leaf, Seal, fields, leaf_of, lines_hash_of, seal_hash

log = structlog.get_logger()

BATCH: Final = 500
LEAST: Final = -(2**63)  # of a bigint
ANCHOR: Final = "audit_anchor"

LINE_COLUMNS: Final = """audit.pk, audit.at, audit.actor, audit.action, audit.subject_type, audit.subject_id, audit.request_id,
    change.pk AS change, change.before::text AS before, change.after::text AS after"""
_UNSEALED: Final = f"""
    SELECT {LINE_COLUMNS} FROM (
        SELECT * FROM audit AS line WHERE pk > $1  -- said of leaves too: else each batch reads all leaves before it
        AND NOT EXISTS (SELECT 1 FROM audit_leaf AS leaf WHERE leaf.audit = line.pk AND leaf.audit > $1)
        ORDER BY pk LIMIT $2
    ) AS audit
    LEFT JOIN LATERAL (SELECT * FROM audit_change WHERE audit_change.audit = audit.pk ORDER BY pk LIMIT 1) AS change ON true
    ORDER BY audit.pk
"""  # noqa: S608 - joined from constants
# Nothing that is still to be committed has a place below it: no transaction is open for an hour (LATE).
_FLOOR: Final = """
    SELECT last FROM audit_seal WHERE sealed_at < (SELECT max(sealed_at) FROM audit_seal) - interval '1 hour'
    ORDER BY pk DESC LIMIT 1
"""
_INSERT_SEAL: Final = """
    INSERT INTO audit_seal (lines, first, last, lines_hash, hash, sealed_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING pk
"""
_INSERT_LEAVES: Final = """
    INSERT INTO audit_leaf (audit, seal, line_hash, actor_hash, change_hash, salt)
    SELECT audit, $1, line_hash, actor_hash, change_hash, salt
    FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
        AS new (audit, line_hash, actor_hash, change_hash, salt)
"""
_KEEP_ANCHOR: Final = """
    INSERT INTO portal_state (name, value) VALUES ($1, $2::jsonb) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

Keys = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Sealing:
    lines: int
    seals: int
    head: str | None


async def seal_lines(keys: Keys, *, thorough: bool = False) -> Sealing:
    """Seal what has no leaf. `keys`: the first one signs, the others are still believed. Safe to run twice."""
    after = LEAST if thorough else await database.fetch_value(_FLOOR) or LEAST
    lines = seals = 0
    while (done := await _seal_batch(after, keys)) is not None:
        after, lines, seals = done.last, lines + done.lines, seals + 1
    await _renew_signature(keys)
    head = await newest_seal()
    if seals and head is not None:
        log.info("audit sealed", lines=lines, seal=head.pk, hash=head.hash.hex())
    return Sealing(lines, seals, head.hash.hex() if head else None)


async def _seal_batch(after: int, keys: Keys) -> Seal | None:
    async with database.transaction():
        rows = await database.fetch(_UNSEALED, after, BATCH)
        if not rows:
            return None
        before = await newest_seal()
        salts = [secrets.token_bytes(2 * HALF) for _ in rows]
        leaves = [leaf_of(row, salt) for row, salt in zip(rows, salts, strict=True)]
        seal = await _insert_seal(before, leaves)
        columns = zip(*((each.pk, each.line_hash, each.actor_hash, each.change_hash) for each in leaves), strict=True)
        await database.execute(_INSERT_LEAVES, seal.pk, *(list(column) for column in columns), salts)
        if _is_signed(await _kept_anchor(), before, keys):
            await _sign(seal, keys)
        return seal


async def _insert_seal(before: Seal | None, leaves: Sequence[Leaf]) -> Seal:
    now = await database.fetch_value("SELECT clock_timestamp()")
    seal = Seal(0, len(leaves), leaves[0].pk, leaves[-1].pk, lines_hash_of(leaves), b"", now)
    seal = replace(seal, hash=seal_hash(before.hash if before else None, seal))
    pk = await database.fetch_value(
        _INSERT_SEAL, seal.lines, seal.first, seal.last, seal.lines_hash, seal.hash, seal.sealed_at
    )
    return replace(seal, pk=pk)


async def newest_seal() -> Seal | None:
    row = await database.fetch_row("SELECT * FROM audit_seal ORDER BY pk DESC LIMIT 1")
    return None if row is None else Seal(**row)


async def _kept_anchor() -> Mapping[str, Any] | None:
    value = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", ANCHOR)
    return None if value is None else json.loads(value)


def _is_signed(anchor: Mapping[str, Any] | None, head: Seal | None, keys: Keys) -> bool:
    """May the next seal be signed? Never after one whose signature is wrong: that would bless what somebody made anew."""
    return (anchor is None and head is None) or wrong_with(anchor, head, keys) is None


async def what_is_wrong_with_signature(head: Seal | None, keys: Keys) -> str | None:
    return wrong_with(await _kept_anchor(), head, keys)


def wrong_with(anchor: Mapping[str, Any] | None, head: Seal | None, keys: Keys) -> str | None:
    """What is wrong with the signature of the newest seal, in words; None when nothing is."""
    if anchor is None:
        return None if head is None else "the signature of the newest seal is gone"
    if head is None:
        return f"seal {anchor.get('seal')} was signed, and there are no seals"
    if (anchor.get("seal"), anchor.get("hash")) != (head.pk, head.hash.hex()):
        return f"seal {anchor.get('seal')} was signed as the newest, and the newest is seal {head.pk}"
    if not any(hmac.compare_digest(str(anchor.get("mac")), _mac(head, key)) for key in keys):
        return f"the signature of seal {head.pk} was not made with PORTAL_SECRET_KEYS"
    return None


async def _renew_signature(keys: Keys) -> None:
    """With the key that signs now, so that the one before it can be taken out of the settings."""
    anchor, head = await _kept_anchor(), await newest_seal()
    if head is not None and wrong_with(anchor, head, keys) is None and wrong_with(anchor, head, keys[:1]) is not None:
        await _sign(head, keys)


async def sign_anew(keys: Keys) -> Seal | None:
    """Whatever was signed before: somebody has decided that the chain is right, as after all keys were replaced at once."""
    head = await newest_seal()
    if head is not None:
        await _sign(head, keys)
    return head


async def _sign(seal: Seal, keys: Keys) -> None:
    value = {"seal": seal.pk, "hash": seal.hash.hex(), "mac": _mac(seal, keys[0])}
    await database.execute(_KEEP_ANCHOR, ANCHOR, json.dumps(value))


def _mac(seal: Seal, key: bytes) -> str:
    return hmac.digest(key, b"portal audit anchor\0" + fields(seal.pk, seal.hash), hashlib.sha256).hex()
