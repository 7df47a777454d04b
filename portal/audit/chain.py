"""The hash chain over the audit, so that nobody changes, removes or slips in a line unseen. Pure: how its hashes are made.

Written down so that somebody can verify it with the tables alone. H is SHA-256; `fields(a, b, …)` is one after the other,
each as the length of its UTF-8 bytes in decimal digits, a colon and the bytes, or `-` for NULL. Times are in UTC as
`2026-11-23T02:48:00.123456Z`, numbers in decimal, hashes and salts are bytes, `before` and `after` as PostgreSQL writes `jsonb`.

    line_hash    H(fields("portal audit line 1", audit.pk, at, action, subject_type, subject_id, request_id))
    actor_hash   H(fields("portal audit actor 1", the first 16 bytes of the leaf's salt, actor))
    change_hash  H(fields("portal audit change 1", the last 16 bytes, before, after)); NULL without a row in audit_change
    lines_hash   H(all leaves of the seal by ascending `audit`: fields(line_hash, actor_hash, change_hash))
    seal.hash    H(fields("portal audit seal 1", hash of the seal before or NULL, lines, first, last, sealed_at, lines_hash))

Seals follow each other by `pk`. The salts keep a name from being guessed by its hash. An erasure zeroes the half of the salt
that belongs to what it blanks (NULL when both are gone): the hash stays in the chain and says nothing any more. What is
blanked holds nothing by which it could lie: the actor is `erased-<number>`, before and after are NULL. How many lines an
erasure blanked stands in its own line.

The newest seal's hash stands for all before it: kept elsewhere (an anchor), it proves later that nothing sealed by then was
touched. We keep one ourselves, signed with PORTAL_SECRET_KEYS (see sealing): who can write the database but does not have the
keys cannot make the chain anew. It does not prove that a line was true when it was written, nor that one was not removed in
the minute before it was sealed; and who has the keys as well can only be caught by an anchor that somebody else keeps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

HALF: Final = 16  # bytes of a salt: first the actor's, then the change's
GONE: Final = bytes(HALF)
LATE: Final = timedelta(hours=1)  # no transaction of ours is open for so long
_ERASED: Final = re.compile(r"erased-[0-9]+")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A line's part in the chain; `pk` is the line's."""

    pk: int
    line_hash: bytes
    actor_hash: bytes
    change_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Seal:
    pk: int
    lines: int
    first: int
    last: int
    lines_hash: bytes
    hash: bytes
    sealed_at: datetime
    pruned_at: datetime | None = None


def fields(*values: bytes | str | int | datetime | None) -> bytes:
    """No two different lists of values give the same bytes."""
    return b"".join(_field(value) for value in values)


def _field(value: bytes | str | int | datetime | None) -> bytes:
    if value is None:
        return b"-"
    if isinstance(value, datetime):
        value = moment(value)
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"%d:%s" % (len(data), data)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hash_of(*values: bytes | str | int | datetime | None) -> bytes:
    return hashlib.sha256(fields(*values)).digest()


def line_hash(row: Mapping[str, Any]) -> bytes:
    named = (row["pk"], row["at"], row["action"], row["subject_type"], row["subject_id"], row["request_id"])
    return hash_of("portal audit line 1", *named)


def actor_hash(row: Mapping[str, Any], salt: bytes) -> bytes:
    return hash_of("portal audit actor 1", salt[:HALF], row["actor"])


def change_hash(row: Mapping[str, Any], salt: bytes) -> bytes | None:
    if row["change"] is None:
        return None
    return hash_of("portal audit change 1", salt[HALF:], row["before"], row["after"])


def leaf_of(row: Mapping[str, Any], salt: bytes) -> Leaf:
    """Of a row with the columns of `audit`, and `change` (the pk of its audit_change), `before` and `after` as text."""
    return Leaf(row["pk"], line_hash(row), actor_hash(row, salt), change_hash(row, salt))


def lines_hash_of(leaves: Iterable[Leaf]) -> bytes:
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(fields(leaf.line_hash, leaf.actor_hash, leaf.change_hash))
    return digest.digest()


def seal_hash(before: bytes | None, seal: Seal) -> bytes:
    """`before`: the hash of the seal before, None for the first."""
    said = (seal.lines, seal.first, seal.last, seal.sealed_at, seal.lines_hash)
    return hash_of("portal audit seal 1", before, *said)


def is_pseudonym(actor: str) -> bool:
    return _ERASED.fullmatch(actor) is not None


def is_late(pk: int, at: datetime, last: int, sealed_at: datetime) -> bool:
    """Was this line slipped in? It claims a place before lines that were sealed long after it: `last` is the highest of them."""
    return pk < last and at < sealed_at - LATE
