"""Lists that people keep: their own, shared ones, and who may change them."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.accounts.users import insert_account
from portal.audit.actors import SYSTEM, Actor
from portal.entities import saved_views
from portal.entities.listing import Wish
from portal.errors import Forbidden, FormError, NotFound

pytestmark = pytest.mark.usefixtures("db")

WISH = Wish("customers", "blue mug", "alt")
VIEWER, EDITOR, ADMIN = (Actor("user:x@example.com", role) for role in ("viewer", "editor", "admin"))


async def account(name: str) -> UUID:
    async with database.transaction():
        return await insert_account(f"{name.lower()}@example.com", "editor", name, None, SYSTEM)


async def names(of: UUID | None, type: str = "customers") -> list[str]:
    return [view.name for view in await saved_views.views_of(type, of)]


async def keep(owner: UUID, name: str, *, shared: bool = False, actor: Actor = EDITOR) -> UUID:
    return await saved_views.save_view(owner, WISH, "most", name, shared=shared, actor=actor)


async def test_own_views_come_first_and_shared_ones_are_everybodys() -> None:
    ana, bo = await account("Ana"), await account("Bo")
    await keep(ana, "Zebra")
    await keep(ana, "Alt texts", shared=True)
    await keep(bo, "Mine")
    assert await names(ana) == ["Alt texts", "Zebra"]
    assert await names(bo) == ["Mine", "Alt texts"]
    assert await names(None) == ["Alt texts"]
    assert await names(bo, "invoices") == []
    [mine, others] = await saved_views.views_of("customers", bo)
    assert (mine.query, mine.is_mine) == ("q=blue+mug&missing=alt&sort=most", True)
    assert (others.owner, others.is_mine) == ("Ana", False)


async def test_a_view_is_changed_by_its_owner_alone_and_taken_away_by_an_admin_too() -> None:
    ana, bo = await account("Ana"), await account("Bo")
    shared, hidden = await keep(ana, "Shared", shared=True), await keep(ana, "Hidden")
    await saved_views.change_view(shared, ana, " New  name ", shared=True, actor=EDITOR)
    assert await names(bo) == ["New name"]
    with pytest.raises(Forbidden):
        await saved_views.change_view(shared, bo, "Mine now", shared=True, actor=ADMIN)
    with pytest.raises(Forbidden):
        await saved_views.delete_view(shared, bo, EDITOR)
    for who in (EDITOR, ADMIN):
        with pytest.raises(NotFound):
            await saved_views.delete_view(hidden, bo, who)
    assert await saved_views.delete_view(shared, bo, ADMIN) == "customers"
    with pytest.raises(NotFound):
        await saved_views.delete_view(uuid4(), ana, ADMIN)
    rows = await database.fetch("SELECT action FROM audit WHERE action LIKE 'view.%' ORDER BY pk")
    assert [row["action"] for row in rows] == ["view.add", "view.add", "view.change", "view.delete"]


async def test_only_editors_share() -> None:
    ana = await account("Ana")
    with pytest.raises(Forbidden):
        await keep(ana, "For all", shared=True, actor=VIEWER)
    await keep(ana, "For me", actor=VIEWER)
    assert await names(ana) == ["For me"]


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\0b", "a\u202eb"])
async def test_a_name_that_cannot_be_is_refused_at_its_field(name: str) -> None:
    with pytest.raises(FormError) as refused:
        await keep(await account("Ana"), name)
    assert set(refused.value.errors) == {"name"}


async def test_a_name_is_kept_once_however_many_ask_at_once() -> None:
    ana = await account("Ana")
    answers = await asyncio.gather(*(keep(ana, "Same") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, UUID) for each in answers) == 1
    assert {type(each) for each in answers} == {UUID, FormError}
    other = await keep(ana, "Other")
    with pytest.raises(FormError):
        await saved_views.change_view(other, ana, "Same", shared=False, actor=EDITOR)
    await saved_views.change_view(other, ana, "Other", shared=True, actor=EDITOR)


async def test_one_keeps_fifty_views_of_a_list() -> None:
    ana = await account("Ana")
    kept = [await keep(ana, f"View {number}") for number in range(saved_views.MOST_VIEWS)]
    with pytest.raises(FormError):
        await keep(ana, "One more")
    await saved_views.change_view(kept[0], ana, "Renamed", shared=False, actor=EDITOR)
