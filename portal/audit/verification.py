"""Verifying the audit's chain: each thing that is wrong by its number, in constant memory, in one moment's view of the tables."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from portal import database
from portal.audit import chain
from portal.audit.chain import GONE, HALF, Leaf, Seal
from portal.audit.sealing import LEAST, LINE_COLUMNS, Keys, what_is_wrong_with_signature

VERDICT: Final = "audit_verify"
SEALS_AT_ONCE: Final = 500
MOST_ADDED: Final = 1000
_LEAVES: Final = f"""
    SELECT leaf.audit, leaf.line_hash, leaf.actor_hash, leaf.change_hash, leaf.salt, leaf.erased_at, {LINE_COLUMNS}
    FROM audit_leaf AS leaf LEFT JOIN audit ON audit.pk = leaf.audit
    LEFT JOIN audit_change AS change ON change.audit = leaf.audit
    WHERE leaf.seal = $1 ORDER BY leaf.audit, change.pk
"""  # noqa: S608 - joined from constants
_UNSEALED: Final = """
    SELECT count(*) FROM audit WHERE NOT EXISTS (SELECT 1 FROM audit_leaf WHERE audit_leaf.audit = audit.pk)
"""
_ADDED: Final = """
    SELECT pk, at FROM audit WHERE pk < $1 AND at < $2 AND NOT EXISTS (SELECT 1 FROM audit_leaf WHERE audit_leaf.audit = audit.pk)
    ORDER BY pk LIMIT $3
"""
_SAID: Final = """
    SELECT audit.action, change.after FROM audit JOIN audit_change AS change ON change.audit = audit.pk
    WHERE audit.action IN ('audit.erase', 'audit.prune')
"""


@dataclass(frozen=True, slots=True)
class Breach:
    """`kind`: changed_line, missing_line, added_line, changed_seal, missing_seal, wrong_signature or unknown_anchor."""

    kind: str
    seal: int | None
    line: int | None
    detail: str


@dataclass(slots=True)
class Verdict:
    """`lines` that are as they were sealed; `unsealed` wait for the next sealing; `head`: the newest seal's hash."""

    lines: int = 0
    seals: int = 0
    pruned: int = 0
    unsealed: int = 0
    breaches: int = 0
    head: str | None = None
    sealed_at: datetime | None = None

    @property
    def is_whole(self) -> bool:
        return self.breaches == 0


@dataclass(slots=True)
class _Course:
    """What is known on the way from the first seal to the newest."""

    verdict: Verdict
    tell: Callable[[Breach], None]
    anchor: str | None
    before: Seal | None = None
    last: int = LEAST
    last_pruned: int = 0
    has_whole: bool = False
    erased_actors: Counter[str] = field(default_factory=Counter)
    erased_changes: int = 0

    def breach(self, kind: str, seal: int | None, line: int | None, detail: str) -> None:
        self.verdict.breaches += 1
        self.tell(Breach(kind, seal, line, detail))


async def verify_chain(
    keys: Keys | None, *, tell: Callable[[Breach], None], anchor: str | None = None, verdict: Verdict | None = None
) -> Verdict:
    """Every breach is told as it is found; `verdict` grows meanwhile, for who wants to follow. Not inside a transaction.

    Without `keys` the signature is not judged.
    """
    course = _Course(verdict or Verdict(), tell, anchor)
    async with database.transaction():
        await database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        async for seal in _seals():
            await _check_seal(course, seal)
        await _check_unsealed(course)
        await _check_what_was_said(course)
        wrong = await what_is_wrong_with_signature(course.before, keys) if keys else None
    if wrong is not None:
        course.breach("wrong_signature", course.before.pk if course.before else None, None, wrong)
    if course.anchor is not None:
        course.breach("unknown_anchor", None, None, f"no seal of this chain has the hash {course.anchor}")
    return course.verdict


async def _seals() -> AsyncIterator[Seal]:
    last = LEAST
    while rows := await database.fetch(
        "SELECT * FROM audit_seal WHERE pk > $1 ORDER BY pk LIMIT $2", last, SEALS_AT_ONCE
    ):
        for row in rows:
            yield Seal(**row)
        last = rows[-1]["pk"]


async def _check_seal(course: _Course, seal: Seal) -> None:
    before = course.before
    if seal.hash != chain.seal_hash(before.hash if before else None, seal):
        after = f"does not follow seal {before.pk}" if before else "is not the first"
        course.breach("missing_seal", seal.pk, None, f"{after}: one before it is gone or was changed, or it was itself")
    if seal.pruned_at is not None:
        _note_pruned(course, seal)
    else:
        course.has_whole = True
        rows = await database.fetch(_LEAVES, seal.pk)
        await asyncio.to_thread(_check_lines, course, seal, rows)
    if course.anchor is not None and seal.hash.hex() == course.anchor.strip().lower():
        course.anchor = None
    course.before, course.last = seal, max(course.last, seal.last)
    course.verdict.seals += 1
    course.verdict.head, course.verdict.sealed_at = seal.hash.hex(), seal.sealed_at


def _note_pruned(course: _Course, seal: Seal) -> None:
    course.verdict.pruned += 1
    course.last_pruned = seal.pk
    if course.has_whole:
        course.breach("changed_seal", seal.pk, None, "said to be past its days, though one before it is not")


def _check_lines(course: _Course, seal: Seal, rows: Sequence[Any]) -> None:
    leaves: list[Leaf] = []
    for pk, group in itertools.groupby(rows, lambda row: row["audit"]):
        same = list(group)
        row = same[0]
        leaves.append(Leaf(pk, row["line_hash"], row["actor_hash"], row["change_hash"]))
        if row["pk"] is None:
            course.breach("missing_line", seal.pk, pk, "the line is gone")
            continue
        wrong = list(_wrong_with(course, row, len(same)))
        for detail in wrong:
            course.breach("changed_line", seal.pk, pk, detail)
        before = course.before
        if before is not None and chain.is_late(pk, row["at"], course.last, before.sealed_at):
            detail = "it says that it is far older than what was sealed before it"
            course.breach("added_line", seal.pk, pk, detail)
        course.verdict.lines += not wrong
    _check_leaves(course, seal, leaves)


def _check_leaves(course: _Course, seal: Seal, leaves: Sequence[Leaf]) -> None:
    if len(leaves) != seal.lines:
        course.breach("changed_seal", seal.pk, None, f"it has {len(leaves)} lines and was made of {seal.lines}")
    elif chain.lines_hash_of(leaves) != seal.lines_hash:
        course.breach("changed_seal", seal.pk, None, "the hashes of its lines are not those that were sealed")
    elif leaves and (leaves[0].pk, leaves[-1].pk) != (seal.first, seal.last):
        course.breach("changed_seal", seal.pk, None, f"its lines are not {seal.first} to {seal.last}")


def _wrong_with(course: _Course, row: Any, changes: int) -> Iterator[str]:
    if chain.line_hash(row) != row["line_hash"]:
        yield "its time, action, subject or request id was changed"
    salt: bytes = row["salt"] or GONE + GONE
    is_erased = GONE in (salt[:HALF], salt[HALF:])
    if is_erased != (row["erased_at"] is not None):
        yield "the mark of an erasure was changed"
    if salt[:HALF] == GONE:
        if chain.is_pseudonym(row["actor"]):
            course.erased_actors[row["actor"]] += 1
        else:
            yield "who did it was changed after it was erased"
    elif chain.actor_hash(row, salt) != row["actor_hash"]:
        yield "who did it was changed"
    if detail := _wrong_with_change(course, row, salt, changes):
        yield detail


def _wrong_with_change(course: _Course, row: Any, salt: bytes, changes: int) -> str | None:
    if row["change_hash"] is None:
        return None if row["change"] is None else "before and after were added"
    if row["change"] is None:
        return "before and after are gone"
    if changes > 1:
        return "there is more than one before and after"
    if salt[HALF:] == GONE:
        course.erased_changes += 1
        was_blanked = row["before"] is None and row["after"] is None
        return None if was_blanked else "before or after was changed after it was erased"
    return None if chain.change_hash(row, salt) == row["change_hash"] else "before or after was changed"


async def _check_unsealed(course: _Course) -> None:
    course.verdict.unsealed = await database.fetch_value(_UNSEALED)
    if course.before is None or not course.verdict.unsealed:
        return
    for row in await database.fetch(_ADDED, course.last, course.before.sealed_at - chain.LATE, MOST_ADDED):
        course.verdict.unsealed -= 1
        course.breach(
            "added_line", None, row["pk"], f"it says {row['at']:%Y-%m-%d %H:%M}, and was not there when that was sealed"
        )


async def _check_what_was_said(course: _Course) -> None:
    """Nothing is erased or past its days but what a line of the audit says."""
    actors: Counter[str] = Counter()
    changes = through = 0
    for row in await database.fetch(_SAID):
        said = json.loads(row["after"] or "{}")
        if row["action"] == "audit.prune":
            through = max(through, said.get("through", 0))
        else:
            actors[said.get("pseudonym", "")] += said.get("actors", 0)
            changes += said.get("changes", 0)
    for name, count in course.erased_actors.items():
        if count > actors[name]:
            course.breach("changed_line", None, None, f"{count} lines are by {name}, and {actors[name]} were erased")
    if course.erased_changes > changes:
        detail = f"before and after of {course.erased_changes} lines are blank, and {changes} were erased"
        course.breach("changed_line", None, None, detail)
    if course.last_pruned > through:
        course.breach("changed_seal", course.last_pruned, None, "its lines were removed, and no clean-up says so")


async def remember_verdict(verdict: Verdict, first: Sequence[Breach]) -> None:
    """For the page and for health: `{at, is_whole, lines, seals, unsealed, breaches, head, first: [some of the breaches]}`."""
    await database.execute(
        """INSERT INTO portal_state (name, value)
           VALUES ($1, $2::jsonb || jsonb_build_object('at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
           ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
        VERDICT,
        json.dumps(verdict_as_json(verdict, first), default=str),
    )


def verdict_as_json(verdict: Verdict, first: Sequence[Breach]) -> dict[str, Any]:
    said = asdict(verdict) | {"sealed_at": verdict.sealed_at and chain.moment(verdict.sealed_at)}
    return said | {"is_whole": verdict.is_whole, "first": [asdict(each) for each in first]}


async def last_verdict() -> dict[str, Any] | None:
    value = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", VERDICT)
    return None if value is None else json.loads(value)
