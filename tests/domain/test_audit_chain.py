"""The audit's chain: whatever is done behind its back is named, and what may be done leaves it whole."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any

import asyncpg
import pytest

from portal import database
from portal.audit import sealing
from portal.audit.sealing import seal_lines, sign_anew
from tests.auditing import KEYS, kinds, seals, tamper, three_seals, verified, write

pytestmark = pytest.mark.usefixtures("db")


async def test_what_nobody_touched_is_whole() -> None:
    await three_seals()
    verdict, breaches = await verified()
    assert (breaches, verdict.is_whole, verdict.lines, verdict.seals, verdict.unsealed) == ([], True, 9, 3, 0)
    assert (await seal_lines(KEYS)).lines == 0


async def test_an_empty_audit_is_whole() -> None:
    assert (await seal_lines(KEYS)).head is None
    assert (await verified())[1] == []


async def test_lines_that_are_not_sealed_yet_are_counted_and_no_error() -> None:
    await three_seals()
    await write(2)
    verdict, breaches = await verified()
    assert (breaches, verdict.unsealed) == ([], 2)


async def test_many_lines_become_several_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 4)
    await write(10)
    assert (await seal_lines(KEYS)).seals == 3
    assert (await verified())[1] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "at + interval '1 microsecond'"),
        ("actor", "'user:bo@example.com'"),
        ("action", "'image.add'"),
        ("subject_type", "'entity'"),
        ("subject_id", "'2'"),
        ("request_id", "NULL"),
    ],
)
async def test_a_changed_line_is_named(column: str, value: str) -> None:
    lines = await three_seals()
    await tamper(f"UPDATE audit SET {column} = {value} WHERE pk = $1", arguments=(lines[4],))
    assert await kinds() == {("changed_line", lines[4])}


@pytest.mark.parametrize("change", ["before = '{}'", "after = NULL", "before = after, after = before"])
async def test_a_changed_before_or_after_is_named(change: str) -> None:
    lines = await three_seals()
    await tamper(f"UPDATE audit_change SET {change} WHERE audit = $1", arguments=(lines[3],))
    assert await kinds() == {("changed_line", lines[3])}


async def test_a_before_and_after_that_is_added_moved_or_gone_is_named() -> None:
    lines = await three_seals()
    added = "INSERT INTO audit_change (audit, before, after) VALUES ($1, NULL, '{}')"
    await tamper(added, arguments=(lines[2],))
    await tamper(added, arguments=(lines[3],))
    await tamper("DELETE FROM audit_change WHERE audit = $1", arguments=(lines[6],))
    assert await kinds() == {("changed_line", lines[2]), ("changed_line", lines[3]), ("changed_line", lines[6])}


@pytest.mark.parametrize("column", ["line_hash", "actor_hash", "change_hash", "salt", "erased_at", "seal"])
async def test_a_changed_leaf_is_named(column: str) -> None:
    lines, (first, *_) = await three_seals(), await seals()
    value = {"erased_at": "now()", "seal": str(first)}.get(column, f"sha256({column})")
    await tamper(f"UPDATE audit_leaf SET {column} = {value} WHERE audit = $1", arguments=(lines[4],))
    breaches = (await verified())[1]
    assert breaches
    assert {each.line for each in breaches} <= {lines[4], None}
    if column == "seal":
        assert {each.seal for each in breaches} == set((await seals())[:2])


@pytest.mark.parametrize(
    "change",
    [
        "lines = 2",
        "first = first - 1",
        "last = last + 1",
        "lines_hash = sha256(hash)",
        "hash = sha256(hash)",
        "sealed_at = now() + interval '1 second'",
        "pruned_at = now()",
    ],
)
async def test_a_changed_seal_is_named(change: str) -> None:
    await three_seals()
    (_, second, third) = await seals()
    await tamper(f"UPDATE audit_seal SET {change} WHERE pk = $1", arguments=(second,))
    breaches = (await verified())[1]
    assert breaches
    assert {each.seal for each in breaches} <= {second, third}
    assert second in {each.seal for each in breaches}


async def test_missing_lines_are_named() -> None:
    lines = await three_seals()
    await tamper("DELETE FROM audit WHERE pk = ANY($1::bigint[])", arguments=([lines[1], *lines[-2:]],))
    assert await kinds() == {("missing_line", pk) for pk in (lines[1], *lines[-2:])}


async def test_a_missing_leaf_is_a_seal_with_too_few_lines() -> None:
    lines = await three_seals()
    await tamper("DELETE FROM audit_leaf WHERE audit = $1", arguments=(lines[4],))
    assert {(each.kind, each.seal) for each in (await verified())[1]} == {("changed_seal", (await seals())[1])}


async def test_a_missing_seal_is_a_gap_before_the_next() -> None:
    await three_seals()
    (_, second, third) = await seals()
    await tamper("DELETE FROM audit_seal WHERE pk = $1", arguments=(second,))
    (breach,) = (await verified())[1]
    assert (breach.kind, breach.seal) == ("missing_seal", third)


async def test_the_end_of_the_chain_cannot_be_cut_off() -> None:
    lines = await three_seals()
    (*_, third) = await seals()
    await tamper(f"DELETE FROM audit WHERE pk >= {lines[6]}", f"DELETE FROM audit_seal WHERE pk = {third}")
    (breach,) = (await verified())[1]
    assert breach.kind == "wrong_signature"
    await write()
    await seal_lines(KEYS)  # a later seal is no cure
    assert [each.kind for each in (await verified())[1]] == ["wrong_signature"]


async def test_two_swapped_lines_are_both_named() -> None:
    lines = await three_seals()
    await tamper(
        f"""UPDATE audit SET actor = other.actor, at = other.at, subject_id = other.subject_id FROM
            (VALUES ({lines[0]}, {lines[5]}), ({lines[5]}, {lines[0]})) AS pair (one, two), audit AS other
            WHERE audit.pk = pair.one AND other.pk = pair.two"""
    )
    assert await kinds() == {("changed_line", lines[0]), ("changed_line", lines[5])}


async def test_an_old_line_that_is_slipped_in_is_named_before_it_is_sealed_and_for_ever_after() -> None:
    lines = await three_seals()
    old = lines[0] - 1000
    await tamper(
        f"""INSERT INTO audit (pk, at, actor, action, subject_type, subject_id)
            VALUES ({old}, now() - interval '3 days', 'user:bo@example.com', 'image.add', 'image', '1')"""
    )
    verdict, breaches = await verified()
    assert ([(each.kind, each.line) for each in breaches], verdict.unsealed) == ([("added_line", old)], 0)
    assert (await seal_lines(KEYS, thorough=True)).lines == 1
    assert await kinds() == {("added_line", old)}


async def test_a_long_transaction_is_sealed_when_it_has_ended_and_nobody_waits(
    database_arguments: dict[str, Any],
) -> None:
    other = await asyncpg.connect(**database_arguments)
    insert = """INSERT INTO audit (actor, action, subject_type, subject_id) VALUES ('system', 'image.add', 'image', '1')
                RETURNING pk"""
    try:
        long = other.transaction()
        await long.start()
        early = await other.fetchval(insert)
        await write(2)
        assert (await seal_lines(KEYS)).lines == 2
        await long.commit()
    finally:
        await other.close()
    verdict, breaches = await verified()
    assert (breaches, verdict.unsealed) == ([], 1)
    assert (await seal_lines(KEYS)).lines == 1
    assert (await verified())[1] == []
    assert await database.fetch_value("SELECT first FROM audit_seal ORDER BY pk DESC LIMIT 1") == early


async def test_who_has_the_database_but_not_the_keys_cannot_make_the_chain_anew() -> None:
    lines = await three_seals()
    await tamper(
        f"UPDATE audit SET actor = 'user:bo@example.com' WHERE pk = {lines[0]}",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_seal",
        "DELETE FROM portal_state WHERE name = 'audit_anchor'",
    )
    await seal_lines((b"another key, as long as the first",))
    (breach,) = (await verified())[1]
    assert breach.kind == "wrong_signature"


async def test_keys_are_replaced_without_a_gap() -> None:
    await three_seals()
    new = b"the next key, also 32 bytes long."
    assert (await verified(keys=(new, *KEYS)))[1] == []
    await seal_lines((new, *KEYS))
    assert (await verified(keys=(new,)))[1] == []


async def test_after_all_keys_were_replaced_at_once_somebody_has_to_say_that_the_chain_is_right() -> None:
    await three_seals()
    new = (b"the next key, also 32 bytes long.",)
    await write()
    await seal_lines(new)
    assert [each.kind for each in (await verified(keys=new))[1]] == ["wrong_signature"]
    await sign_anew(new)
    assert (await verified(keys=new))[1] == []


async def test_an_anchor_is_found_in_the_chain_or_missed() -> None:
    await three_seals()
    head = (await verified())[0].head
    await write()
    await seal_lines(KEYS)
    assert (await verified(anchor=head))[1] == []
    assert [each.kind for each in (await verified(anchor="0" * 64))[1]] == ["unknown_anchor"]


async def test_somebody_verifies_it_by_its_description_alone() -> None:
    """With none of our code, as the docstring of portal/audit/chain.py says."""

    def digest(*values: Any) -> bytes:
        return hashlib.sha256(fields(*values)).digest()

    def fields(*values: Any) -> bytes:
        parts = [v if isinstance(v, bytes) else None if v is None else str(v).encode() for v in values]
        return b"".join(b"-" if part is None else str(len(part)).encode() + b":" + part for part in parts)

    def time(at: Any) -> str:
        return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"

    await three_seals()
    before = None
    for seal in await database.fetch("SELECT * FROM audit_seal ORDER BY pk"):
        leaves = b""
        for row in await database.fetch(
            """SELECT a.*, c.pk AS change, c.before::text, c.after::text, l.salt FROM audit a JOIN audit_leaf l ON l.audit = a.pk
               LEFT JOIN audit_change c ON c.audit = a.pk WHERE l.seal = $1 ORDER BY a.pk""",
            seal["pk"],
        ):
            named = [row[name] for name in ("action", "subject_type", "subject_id", "request_id")]
            line = digest("portal audit line 1", row["pk"], time(row["at"]), *named)
            actor = digest("portal audit actor 1", row["salt"][:16], row["actor"])
            said = row["change"] and digest("portal audit change 1", row["salt"][16:], row["before"], row["after"])
            leaves += fields(line, actor, said)
        lines_hash = hashlib.sha256(leaves).digest()
        said = (seal["lines"], seal["first"], seal["last"], time(seal["sealed_at"]), lines_hash)
        before = digest("portal audit seal 1", before, *said)
        assert before == seal["hash"]


async def test_seals_and_leaves_are_not_changed_by_accident() -> None:
    await three_seals()
    for statement in ("UPDATE audit_seal SET lines = 1", "DELETE FROM audit_leaf", "DELETE FROM audit_seal"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(statement)
