"""What a repair takes away lies in the quarantine, comes back for fourteen days, and goes after them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import Actor
from portal.errors import Conflict, FormError, Gone, NotFound, Unavailable
from portal.maintenance.quarantine import (
    Held,
    forget_old_quarantine,
    held_in_all,
    hold,
    list_quarantined,
    open_quarantine,
    undo,
)
from portal.settings import Settings
from portal.storage.store import MARKER, Store
from tests.factories import Studio

ANA = Actor("user:ana@example.com", "admin")
KEY = "invoices/notes.txt"
DATA = b"whose?" * 1000
Take = Callable[..., Awaitable[Held]]


@pytest.fixture
async def quarantine(studio: Studio, config: Settings) -> Store:
    return await open_quarantine(config.quarantine_dir)


@pytest.fixture
async def take(studio: Studio, quarantine: Store) -> Take:
    """An object that is taken away from the store as a repair does it."""

    async def take(key: str = KEY, data: bytes = DATA) -> Held:
        await studio.store.put(key, data)
        async with database.transaction():
            held = await hold(key, "no row owns it", store=studio.store, quarantine=quarantine, actor=ANA)
        await studio.store.delete([key])
        return held

    return take


async def give_back(studio: Studio, config: Settings, id: UUID) -> str:
    return await undo(id, store=studio.store, quarantine_dir=config.quarantine_dir, actor=ANA)


async def test_what_was_taken_comes_back_byte_for_byte(studio: Studio, config: Settings, take: Take) -> None:
    held = await take()
    (shown,) = (await list_quarantined()).items
    assert (shown.key, shown.bytes, shown.taken_by, shown.reason) == (KEY, 6000, ANA.name, "no row owns it")
    assert (shown.until - shown.taken_at).days == 14
    assert await give_back(studio, config, held.id) == KEY
    assert await studio.store.read(KEY) == DATA
    assert (await list_quarantined()).items == []
    assert await give_back(studio, config, held.id) == KEY, "a second undo is harmless"
    assert list(Store(config.quarantine_dir).walk()) == []
    actions = await database.fetch("SELECT action, actor FROM audit ORDER BY pk")
    assert [tuple(row) for row in actions] == [("repair.quarantine", ANA.name), ("repair.undo", ANA.name)]


async def test_its_place_is_not_taken_from_other_bytes(studio: Studio, config: Settings, take: Take) -> None:
    held = await take()
    await studio.store.put(KEY, b"others")
    with pytest.raises(Conflict, match="Other bytes"):
        await give_back(studio, config, held.id)
    assert await studio.store.read(KEY) == b"others"
    assert await held_in_all() == (1, 6000)
    await studio.store.put(KEY, DATA)
    await give_back(studio, config, held.id)
    assert await held_in_all() == (0, 0)


async def test_what_a_killed_repair_holds_already_is_held_once(studio: Studio, quarantine: Store, take: Take) -> None:
    first = await take()
    again = await take()
    assert again.id == first.id
    assert len(list(quarantine.walk())) == 1
    other = await take(data=b"other bytes of the same name")
    assert other.id != first.id


async def test_what_is_taken_away_again_lies_there_for_its_days_from_then_on(
    config: Settings, take: Take, studio: Studio
) -> None:
    held = await take()
    await database.execute("UPDATE quarantined SET taken_at = now() - interval '13 days'")
    assert (await take()).id == held.id
    await database.execute("UPDATE quarantined SET taken_at = taken_at - interval '2 days'")
    assert await forget_old_quarantine(config.quarantine_dir, dry_run=False) == (0, 0)
    assert await give_back(studio, config, held.id) == KEY


async def test_it_goes_after_fourteen_days_and_not_before(studio: Studio, config: Settings, take: Take) -> None:
    held = await take()
    stray = config.quarantine_dir / "ab" / str(uuid4())
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"copied, and killed before the row")
    assert await forget_old_quarantine(config.quarantine_dir, dry_run=False) == (0, 0)
    await database.execute("UPDATE quarantined SET taken_at = now() - interval '15 days'")
    assert await forget_old_quarantine(config.quarantine_dir, dry_run=True) == (1, 6000)
    assert await held_in_all() == (1, 6000)
    assert await forget_old_quarantine(config.quarantine_dir, dry_run=False) == (1, 6000)
    assert [entry.bytes for entry in Store(config.quarantine_dir).walk()] == [33], "younger than the days"
    with pytest.raises(Gone, match="14 days"):
        await give_back(studio, config, held.id)


async def test_rotten_bytes_are_not_put_back(studio: Studio, config: Settings, take: Take) -> None:
    held = await take()
    (entry,) = Store(config.quarantine_dir).walk()
    (config.quarantine_dir / entry.key).write_bytes(b"rotten")
    with pytest.raises(Gone, match="damaged"):
        await give_back(studio, config, held.id)
    assert await studio.store.size(KEY) is None
    assert not [entry for entry in studio.store.walk() if entry.key.startswith("temp/")]


async def test_a_quarantine_whose_disk_is_away_is_said_so(studio: Studio, config: Settings, take: Take) -> None:
    held = await take()
    (config.quarantine_dir / MARKER).unlink()
    with pytest.raises(Unavailable, match="not mounted"):
        await give_back(studio, config, held.id)


async def test_what_was_never_there_cannot_come_back(studio: Studio, config: Settings) -> None:
    with pytest.raises(NotFound):
        await give_back(studio, config, uuid4())
    with pytest.raises(FormError):
        await list_quarantined(cursor="foreign")
    assert (await list_quarantined()).items == []


async def test_the_list_goes_on_page_by_page(take: Take) -> None:
    for number in range(5):
        await take(f"invoices/note-{number}.txt")
    first = await list_quarantined(limit=3)
    second = await list_quarantined(limit=3, cursor=first.next)
    assert [each.key[14] for each in [*first.items, *second.items]] == list("43210")
    assert (first.total, second.next) == (5, None)
