"""What may be done to lines of the audit: a person's name goes, and what is past its days; the chain stays whole."""

from __future__ import annotations

from typing import Any

import pytest

from portal import database
from portal.audit import sealing
from portal.audit.actors import SYSTEM
from portal.audit.erasure import erase_person
from portal.audit.queries import history_of
from portal.audit.retention import prune_lines
from portal.audit.sealing import seal_lines
from portal.errors import FormError, NotFound
from tests.auditing import ANA, KEYS, kinds, seals, tamper, three_seals, verified, write

pytestmark = pytest.mark.usefixtures("db")


async def test_a_person_is_erased_and_the_chain_stays_whole() -> None:
    insert = "INSERT INTO account (id, email, name, role) VALUES (gen_random_uuid(), $1, $2, 'editor')"
    await database.execute(insert, "ana@example.com", "Ana Berg")
    await three_seals()
    await write(1, SYSTEM, "7", after={"uploaded_by": "user:ana@example.com", "note": "x"})
    await write(1, SYSTEM, "8", after={"credit": ["Ana Berg"]})
    await write(1, SYSTEM, "9", after={"alt_text": "A banana"})
    erased = await erase_person("Ana@example.com", actor=SYSTEM, keys=KEYS)
    assert (erased.actors, erased.changes) == (9, 2)
    everything = str(
        [
            dict(row)
            for row in await database.fetch("SELECT * FROM audit LEFT JOIN audit_change c ON c.audit = audit.pk")
        ]
    )
    assert "ana@example.com" not in everything
    assert "Ana Berg" not in everything
    assert "A banana" in everything
    assert {each.actor for each in await history_of("image", "1")} == {erased.pseudonym}
    (line,) = await history_of("audit", erased.pseudonym)
    assert line.after == {"pseudonym": erased.pseudonym, "actors": 9, "changes": 2}
    await seal_lines(KEYS)
    assert (await verified())[1] == []
    assert (
        await database.fetch_value("SELECT count(*) FROM audit_leaf WHERE salt IS NULL") == 3
    )  # lines without a change


async def test_an_erasure_is_no_door_for_other_changes() -> None:
    lines = await three_seals()
    await write(1, SYSTEM, "7", after={"by": "ana@example.com"})
    erased = await erase_person("ana@example.com", actor=SYSTEM, keys=KEYS)
    await seal_lines(KEYS)
    blanked = await database.fetch_value("SELECT pk FROM audit WHERE subject_id = '7'")
    await tamper(
        f"UPDATE audit SET actor = 'user:bo@example.com' WHERE pk = {lines[0]}",
        f"""UPDATE audit_change SET after = '{{"by": "bo"}}' WHERE audit = {blanked}""",
        f"UPDATE audit_change SET after = NULL WHERE audit = {lines[1]}",  # its salt is still there
    )
    assert await kinds() == {("changed_line", lines[0]), ("changed_line", blanked), ("changed_line", lines[1])}
    await tamper(
        f"UPDATE audit SET actor = '{erased.pseudonym}' WHERE pk IN ({lines[0]}, {blanked})",
        f"UPDATE audit_leaf SET salt = NULL WHERE audit = {blanked}",
    )
    details = [each.detail for each in (await verified())[1]]
    assert f"10 lines are by {erased.pseudonym}, and 9 were erased" in details


async def test_nobody_is_erased_who_is_not_there_or_does_it_themselves() -> None:
    await write()
    with pytest.raises(NotFound):
        await erase_person("bo@example.com", actor=SYSTEM, keys=KEYS)
    for wrong in ("", "ana", "ana@example.com"):
        with pytest.raises(FormError):
            await erase_person(wrong, actor=ANA, keys=KEYS)


async def test_lines_past_their_days_go_and_the_chain_stays_whole() -> None:
    lines = await three_seals()
    assert (await prune_lines(0, actor=SYSTEM)).lines == 0
    assert (await prune_lines(30, actor=SYSTEM)).lines == 0
    await age_all_but_the_last(lines)
    assert (await prune_lines(30, actor=SYSTEM, dry_run=True)).lines == 6
    pruned = await prune_lines(30, actor=SYSTEM)
    assert (pruned.lines, pruned.seals) == (6, 2)
    assert [
        row["pk"] for row in await database.fetch("SELECT pk FROM audit WHERE action = 'image.describe' ORDER BY pk")
    ] == lines[6:]
    await seal_lines(KEYS)
    verdict, breaches = await verified()
    assert (breaches, verdict.pruned, verdict.seals) == ([], 2, 4)
    (_, _, third, _) = await seals()
    await tamper(
        f"UPDATE audit_seal SET pruned_at = now() WHERE pk = {third}", f"DELETE FROM audit WHERE pk >= {lines[6]}"
    )
    assert "its lines were removed, and no clean-up says so" in [each.detail for each in (await verified())[1]]


async def age_all_but_the_last(lines: list[int]) -> None:
    """Sealed anew, 40 days ago: what was so long ago can't be made otherwise."""
    await tamper(
        "DELETE FROM audit_leaf", "DELETE FROM audit_seal", "DELETE FROM portal_state WHERE name = 'audit_anchor'"
    )
    await tamper(f"UPDATE audit SET at = at - interval '40 days' WHERE pk < {lines[6]}")
    for days in (40, 40, 0):
        await _seal_at(3, days)


async def _seal_at(count: int, days: int) -> None:
    real = database.fetch_value

    async def earlier(sql: str, *arguments: Any) -> Any:
        return await real(sql.replace("clock_timestamp()", f"clock_timestamp() - interval '{days} days'"), *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "BATCH", count)
        patch.setattr(database, "fetch_value", earlier)
        await sealing._seal_batch(sealing.LEAST, KEYS)
