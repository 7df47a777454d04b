"""What may be done to lines of the audit: a person's name goes, and what is past its days; the chain stays whole."""

from __future__ import annotations

from typing import Any

import asyncpg
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
from tests.factories import Studio, make_entity

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
    assert line.after == {"pseudonym": erased.pseudonym, "actors": 9, "changes": 2, "rows": 0}
    await seal_lines(KEYS)
    assert (await verified())[1] == []
    assert (
        await database.fetch_value("SELECT count(*) FROM audit_leaf WHERE salt IS NULL") == 3
    )  # lines without a change


async def test_a_person_is_erased_from_every_row_that_says_who_did_it(studio: Studio) -> None:
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    ref = await make_entity("invoices")
    name = "user:ana@example.com"
    for statement in (
        "UPDATE image SET uploaded_by = $1",
        "UPDATE image_version SET uploaded_by = $1",
        "INSERT INTO job (id, kind, state, actor) VALUES (gen_random_uuid(), 'cleanup', 'succeeded', $1)",
        "INSERT INTO job_pause (kind, paused_by) VALUES ('render', $1)",
        f"INSERT INTO invoice_pin (invoice, pinned_by) SELECT pk, $1 FROM entity WHERE id = '{ref.id}'",
        """INSERT INTO embed_key (id, key_hash, scope_type, created_by) VALUES (gen_random_uuid(), sha256(''), 'invoices', $1)""",
        """INSERT INTO api_token (id, name, prefix, token_hash, role, created_by)
           VALUES (gen_random_uuid(), 'x', 'x', sha256(''), 'viewer', $1)""",
        "INSERT INTO preset_change (name, width, height, quality, decided_by) VALUES ('icon', 1, 1, 1, $1)",
        """INSERT INTO quarantined (id, key, held_as, bytes, sha256, reason, taken_by)
           VALUES (gen_random_uuid(), 'a', 'a', 1, '', '', $1)""",
        """INSERT INTO finding (id, kind, detail, state, outcome)
           VALUES (gen_random_uuid(), 'x', '', 'repaired', jsonb_build_object('by', $1::text, 'repair', 'rerender'))""",
    ):
        assert await database.execute(statement, name) == 1, statement
    revision = await database.fetch_value("SELECT revision FROM image")
    erased = await erase_person("ana@example.com", actor=SYSTEM, keys=KEYS)
    assert erased.rows == 10
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for table in [row["tablename"] for row in tables]:
        rows = await database.fetch(f"SELECT to_jsonb(t)::text AS said FROM {table} AS t")
        assert not [row["said"] for row in rows if "ana@example.com" in row["said"]], table
    said = await database.fetch_row("SELECT uploaded_by, revision FROM image")
    assert said is not None
    assert tuple(said) == (erased.pseudonym, revision + 1)
    with pytest.raises(NotFound):
        await erase_person("ana@example.com", actor=SYSTEM, keys=KEYS)
    await seal_lines(KEYS)
    assert (await verified())[1] == []


async def test_an_erasure_that_fails_on_its_way_has_changed_nothing(studio: Studio) -> None:
    await studio.add(await make_entity(), actor=ANA)
    await database.execute(
        "ALTER TABLE finding ADD CONSTRAINT no_more CHECK (outcome IS NULL OR outcome ->> 'by' LIKE 'user:%')"
    )
    try:
        await database.execute(
            """INSERT INTO finding (id, kind, detail, state, outcome)
               VALUES (gen_random_uuid(), 'x', '', 'repaired', jsonb_build_object('by', $1::text))""",
            ANA.name,
        )
        with pytest.raises(asyncpg.CheckViolationError):
            await erase_person("ana@example.com", actor=SYSTEM, keys=KEYS)
        assert await database.fetch_value("SELECT uploaded_by FROM image") == ANA.name
        assert await database.fetch_value("SELECT count(*) FROM audit WHERE actor LIKE 'erased-%'") == 0
    finally:
        await database.execute("ALTER TABLE finding DROP CONSTRAINT no_more")
    assert (await erase_person("ana@example.com", actor=SYSTEM, keys=KEYS)).rows == 2


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
