"""Whose renditions come first: few before many, and those that somebody waits for before all."""

from __future__ import annotations

from uuid import UUID

from portal import database
from portal.gallery.service import CROWD
from tests.factories import EDITOR, Studio, make_entity
from tests.jobs.conftest import RunWorker, status_of
from tests.waiting import eventually


async def unready(image_ids: list[UUID]) -> int:
    return await database.fetch_value(
        "SELECT count(*) FROM image WHERE id = ANY($1::uuid[]) AND status <> 'ready'", image_ids
    )


async def test_a_single_picture_is_ready_before_most_of_very_many(studio: Studio, run_worker: RunWorker) -> None:
    """Also one by the same sender, in another gallery."""
    crowd, other = await make_entity(), await make_entity()
    many = [await studio.add(crowd, actor=EDITOR, ready=False) for _ in range(4 * CROWD)]
    single = await studio.add(other, actor=EDITOR, ready=False)
    async with run_worker():
        await eventually(lambda: status_is_ready(single))
        assert await unready(many) > len(many) // 2
        await eventually(lambda: all_are_ready(many))


async def status_is_ready(image_id: UUID) -> bool:
    return await status_of(image_id) == "ready"


async def all_are_ready(image_ids: list[UUID]) -> bool:
    return await unready(image_ids) == 0
