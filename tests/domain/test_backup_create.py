"""A backup is made: what is in it, what is not, and what the next one copies."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from portal import database
from portal.accounts.passwords import hash_password
from portal.accounts.service import sign_in
from portal.accounts.tokens import create_token
from portal.accounts.users import insert_account
from portal.audit.actors import SYSTEM
from portal.backups import layout
from portal.backups.identity import LOOK_EVERY
from portal.backups.layout import object_key
from portal.backups.root import decoded
from portal.storage.keys import original_key
from tests.backing_up import files_of, sha256_of
from tests.backup_vault import Vault, vault
from tests.factories import make_entity
from tests.restoring import furnish, objects_now, rows_now

__all__ = ["vault"]
TYPE = "inventory_items"


async def test_all_that_rows_need_is_in_it_and_every_file_is_a_member(vault: Vault) -> None:
    """Versions, pinned sets, the trash, a picture that waits for its renditions; whatever lies in the store but orphans."""
    await furnish(vault.studio)
    await vault.studio.add(await make_entity(), ready=False)
    root = await vault.create()
    said, held = await rows_now(), files_of(vault.folder(root))
    for name, lines in said.items():
        manifest = layout.SIZES if name == "sizes" else name
        assert held[manifest].decode().splitlines() == lines
    assert set(held) == {*root.members, layout.ROOT}
    assert {name: hashlib.sha256(held[name]).hexdigest() for name in root.members} == {
        name: member.sha256 for name, member in root.members.items()
    }
    stored = objects_now(vault.studio.store)
    listed = {line["sha256"]: line for each in root.entity_types for line in vault.lines(root, f"{each}/objects.jsonl")}
    assert set(listed) == set(stored.values())
    assert all(stored[line["key"]] == sha256 for sha256, line in listed.items())
    assert len(vault.objects()) == root.objects == root.copied_objects
    assert decoded(held[layout.ROOT], "root") == root
    assert len(held[layout.README].decode().splitlines()) < 20
    assert await vault.wrong(root) == []


async def test_the_next_backup_of_an_unchanged_portal_copies_nothing(vault: Vault) -> None:
    await vault.studio.add(await make_entity())
    first, second = await vault.create(), await vault.create()
    assert (second.copied_objects, second.copied_bytes) == (0, 0)
    assert first.copied_objects == first.objects == second.objects > 5
    assert await vault.wrong(second) == []
    good = json.loads(await database.fetch_value("SELECT value FROM portal_state WHERE name = 'backup'"))
    assert good["id"] == second.id
    told = await database.fetch("SELECT subject_id FROM audit WHERE action = 'backup.create' ORDER BY pk")
    assert [row["subject_id"] for row in told] == [first.id, second.id]


@pytest.mark.parametrize("entity_type", ["customers", "invoices"])
async def test_one_type_alone_is_backed_up_and_does_not_count_as_the_last_good_one(
    vault: Vault, entity_type: str
) -> None:
    """An invoice may be pinned to pictures of another type."""
    await furnish(vault.studio)
    root = await vault.create(entity_types=[entity_type])
    assert root.entity_types == (entity_type,)
    assert {name.partition("/")[0] for name in vault.objects()} == {entity_type}
    assert (root.entities, root.images) == (1, 1)
    assert await database.fetch_value("SELECT count(*) FROM portal_state WHERE name = 'backup'") == 0
    assert await vault.wrong(root) == []


@pytest.mark.parametrize("types", [[], ["pictures"], ["customers", "../.."]])
async def test_what_is_no_entity_type_is_refused_before_anything_is_written(vault: Vault, types: list[str]) -> None:
    with pytest.raises(ValueError, match="entity types"):
        await vault.create(entity_types=types)
    assert not vault.root.exists()


async def test_what_another_portal_frees_before_it_can_know_of_us_is_copied_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.studio.add(await make_entity())
    first = await vault.create()
    begun = vault.root / layout.folder_of(layout.new_id(first.begun_at)) / layout.BEGUN
    begun.parent.mkdir(parents=True)
    begun.write_text(json.dumps({"portal": "another"}))
    freed: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float, *result: object) -> None:
        if seconds > LOOK_EVERY:
            freed.append(seconds)
            for key in vault.objects():
                (vault.root / key).unlink()
        else:
            await real(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    second = await vault.create()
    assert len(freed) == 1
    assert await vault.wrong(second) == []


async def test_no_secret_of_accounts_sessions_or_tokens_is_in_it(vault: Vault) -> None:
    await furnish(vault.studio)
    secret = await hash_password("correct horse battery staple")
    async with database.transaction():
        await insert_account("ana@example.com", "admin", "Ana", secret, SYSTEM)
    cookie, _ = await sign_in("ana@example.com", "correct horse battery staple", "10.0.0.9", "Firefox")
    token = await create_token("script", "editor", None, SYSTEM)
    root = await vault.create()
    secrets = [secret, cookie, token, token.removeprefix("pt_")]
    for table in ("account", "session", "api_token"):
        rows = await database.fetch(f"SELECT to_jsonb(t)::text AS said FROM {table} AS t")
        for row in rows:
            secrets += [str(value) for name, value in json.loads(row["said"]).items() if "hash" in name and value]
    assert len(secrets) > 5
    held = b"".join(files_of(vault.folder(root)).values())
    for each in secrets:
        assert each.encode() not in held
        assert each.removeprefix(r"\x").encode() not in held


async def test_bytes_that_the_store_has_lost_are_said_and_found_in_other_backups(vault: Vault) -> None:
    mug = await make_entity()
    kept, gone, changed = [await vault.studio.add(mug, ready=False) for _ in range(3)]
    paths = {each: vault.studio.store.path_of(original_key(TYPE, each, 1, "jpg")) for each in (kept, gone, changed)}
    sums = {each: sha256_of(path.read_bytes()) for each, path in paths.items()}
    elsewhere = vault.root / object_key("customers", sums[gone])
    await vault.create()
    for sha256 in (sums[gone], sums[changed]):
        path = vault.root / object_key(TYPE, sha256)
        if sha256 == sums[gone]:
            elsewhere.parent.mkdir(parents=True)
            elsewhere.write_bytes(path.read_bytes())
        path.unlink()
    paths[gone].unlink()
    paths[changed].write_bytes(b"other bytes")
    root = await vault.create()
    lines = {line["sha256"]: line.get("lost") for line in vault.lines(root, f"{TYPE}/objects.jsonl")}
    assert lines == {sums[kept]: None, sums[gone]: None, sums[changed]: "The bytes are no longer what they were."}
    assert (root.lost, root.objects, root.copied_objects) == (1, 3, 1)
    assert await vault.wrong(root) == []


async def test_an_object_that_was_cut_off_is_copied_again(vault: Vault) -> None:
    await vault.studio.add(await make_entity(), ready=False)
    await vault.create()
    (key,) = vault.objects()
    (vault.root / key).write_bytes(b"cut")
    again = await vault.create()
    assert again.copied_objects == 1
    assert await vault.wrong(again) == []
