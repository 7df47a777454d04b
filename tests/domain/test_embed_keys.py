"""Embed keys: what is written, what is refused, how soon a revocation counts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self
from uuid import uuid4

import pytest

from portal import database
from portal.audit.actors import Actor
from portal.embed import keys
from portal.embed.keys import EmbedGrant, Grants, Scope, get_key, issue_key, list_keys, revoke_key
from portal.entities.kinds import EntityRef
from portal.errors import FormError, Gone, NoSuchEntity, NotFound
from tests.factories import EDITOR, make_entity
from tests.waiting import eventually

SHOP = "https://shop.example.com"


async def issue(scope: Scope, *, actor: Actor = EDITOR, **given: Any) -> tuple[Any, str]:
    values: dict[str, Any] = {"presets": None, "parents": [SHOP], "expires_at": None, "captions": True} | given
    return await issue_key(scope, private_types={"invoices", "customers"}, actor=actor, **values)


async def test_a_key_is_found_by_itself_alone_and_only_its_hash_is_kept(db: None):
    ref = await make_entity("invoices")
    id, key = await issue(Scope(ref.type, ref.id), presets=["large", "icon"], captions=False)
    grant = await Grants().find_key(key)
    assert grant == EmbedGrant(id, Scope(ref.type, ref.id), ("icon", "large"), (SHOP,), False, None)
    assert len(key) == 22
    row = await database.fetch_row("SELECT embed_key::text AS said FROM embed_key")
    assert row is not None
    assert key not in row["said"]
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'embed.add'") == 1


async def test_every_flipped_character_makes_a_key_unknown(db: None):
    _, key = await issue(Scope("companies"))
    grants = Grants()
    for place, letter in enumerate(key):
        with pytest.raises(NotFound):
            await grants.find_key(key[:place] + ("A" if letter != "A" else "B") + key[place + 1 :])
    for odd in ("", key[:-1], key + "A", key + "\n", "é" * 22, "\0" * 22, "A" * 100_000):
        with pytest.raises(NotFound):
            await grants.find_key(odd)


async def test_a_private_scope_needs_the_sites_that_may_frame_it(db: None):
    ref = await make_entity("invoices")
    for parents in ([], ["*"], [SHOP, "*"]):
        with pytest.raises(FormError) as refused:
            await issue(Scope(ref.type, ref.id), parents=parents)
        assert set(refused.value.errors) == {"parents"}
    public = await make_entity()
    for parents in ([], ["*"]):
        await issue(Scope(public.type, public.id), parents=parents)


@pytest.mark.parametrize(
    "parent",
    [
        "shop.example.com",
        "https://shop.example.com/path",
        "https://shop.example.com; script-src *",
        "https://shop.example.com https://evil.example",
        "https://shop.example.com,https://evil.example",
        "https://user@shop.example.com",
        "https://*",
        "https://",
        "https:",
        "javascript:alert(1)",
        "'self'",
        "'none'",
        "null",
        "https://shop.example.com\n",
        "https://bücher.example",
        "https://shop.example.com:port",
        "https://a..b",
        "https://" + "a" * 300,
        "https://*.com",
        "https://*.com:443",
        "https://*.*.example.com",
        "https://shop.*.example.com",
        "https://shop.example.com:0",
        "https://shop.example.com:65536",
        "https://shop.example.com?x",
        "https://shop.example.com#x",
        "https://shop.example.com//",
        "https://shop.example.com.",
        "https://-shop.example.com",
        "https://[::1]",
        "ftp://shop.example.com",
        "",
        "data:",
        "blob:",
    ],
)
async def test_a_parent_is_an_origin_and_nothing_that_could_change_the_policy(db: None, parent: str):
    with pytest.raises(FormError):
        await issue(Scope("companies"), parents=[parent])


async def test_parents_are_kept_as_origins_once(db: None):
    id, _ = await issue(
        Scope("companies"),
        parents=["https://Shop.example.com/", SHOP, "http://localhost:8080", "https://*.example.org"],
    )
    assert (await get_key(id)).parents == [SHOP, "http://localhost:8080", "https://*.example.org"]


@pytest.mark.parametrize(
    "parent",
    [
        "https://*.example.com",
        "https://*.co.uk:8443",
        "http://localhost:8069",
        "https://10.0.0.7",
        "https://xn--bcher-kva.example",
    ],
)
async def test_wildcards_ports_addresses_and_names_as_browsers_write_them_are_parents(db: None, parent: str):
    id, _ = await issue(Scope("invoices"), parents=[parent])
    assert (await get_key(id)).parents == [parent]


async def test_a_key_has_at_most_twenty_parents_doubles_not_counted(db: None):
    twenty = [f"https://s{number}.example.com" for number in range(20)]
    id, _ = await issue(Scope("invoices"), parents=[*twenty, *(f"{each.upper()}/" for each in twenty)])
    assert (await get_key(id)).parents == twenty
    with pytest.raises(FormError) as refused:
        await issue(Scope("invoices"), parents=[*twenty, SHOP])
    assert "20" in refused.value.errors["parents"]


async def test_the_parent_that_is_wrong_is_named(db: None):
    with pytest.raises(FormError) as refused:
        await issue(Scope("companies"), parents=[SHOP, "shop.example.org"])
    assert "shop.example.org" in refused.value.errors["parents"]
    with pytest.raises(FormError) as refused:
        await issue(Scope("invoices"), parents=[SHOP, "*"])
    assert "every site" in refused.value.errors["parents"]


async def test_bad_fields_are_all_named(db: None):
    with pytest.raises(FormError) as refused:
        await issue(
            Scope("pets", "../x"),
            presets=["huge"],
            parents=["x"],
            expires_at=datetime.now(UTC) - timedelta(seconds=1),
        )
    assert set(refused.value.errors) == {"scope", "presets", "parents", "expires"}
    for presets in ([], ["original"], ["print"]):
        with pytest.raises(FormError):
            await issue(Scope("companies"), presets=presets)
    with pytest.raises(NoSuchEntity):
        await issue(Scope("companies", "nobody"))
    assert await database.fetch_value("SELECT count(*) FROM embed_key") == 0


async def test_a_grant_shows_its_own_entity_and_no_other():
    one = EmbedGrant(uuid4(), Scope("invoices", "A-1"), None, (), True, None)
    assert one.entity(None) == one.entity("A-1") == one.entity("invoices/A-1") == EntityRef("invoices", "A-1")
    for other in ("A-2", "companies/A-1", "../A-1"):
        with pytest.raises(NotFound):
            one.entity(other)
    every = EmbedGrant(uuid4(), Scope("invoices"), None, (), True, None)
    assert every.entity("A-2") == EntityRef("invoices", "A-2")
    for other in (None, "", "companies/A-2", ".."):
        with pytest.raises(NotFound):
            every.entity(other)


async def test_an_expired_key_is_gone(db: None, monkeypatch: pytest.MonkeyPatch):
    ends = datetime.now(UTC) + timedelta(hours=1)
    _, key = await issue(Scope("companies"), expires_at=ends)
    grants = Grants()
    await grants.find_key(key)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=1)

    monkeypatch.setattr(keys, "datetime", Later)
    with pytest.raises(Gone):
        await grants.find_key(key)


async def test_a_revocation_counts_at_once_also_where_the_key_was_in_memory(db: None):
    id, key = await issue(Scope("companies"))
    grants = Grants()

    async def is_closed() -> bool:
        try:
            await grants.find_key(key)
        except NotFound:
            return True
        return False

    task = asyncio.create_task(grants.run())
    try:
        await eventually(lambda: grants.is_trusted)
        await grants.find_key(key)
        await revoke_key(id, EDITOR)
        await eventually(is_closed)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(NotFound):
        await revoke_key(id, EDITOR)
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'embed.revoke'") == 1


async def test_keys_are_listed_newest_first_without_the_revoked_ones(db: None):
    ids = [(await issue(Scope("companies")))[0] for _ in range(5)]
    await revoke_key(ids[2], EDITOR)
    first = await list_keys(limit=3)
    assert ([view.id for view in first.items], first.total) == ([ids[4], ids[3], ids[1]], 4)
    second = await list_keys(cursor=first.next, limit=3)
    assert ([view.id for view in second.items], second.next) == ([ids[0]], None)
    with pytest.raises(FormError):
        await list_keys(cursor="bm9wZQ")
