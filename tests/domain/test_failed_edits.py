"""A picture that is shown while its new renditions cannot be made: what is asked for next has a chance of its own."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.queries import are_settled
from portal.gallery.renditions import render_all
from portal.gallery.service import edit_image, retry_image
from portal.gallery.tasks import forgotten_images, give_up_rendering, queue_forgotten_images
from portal.storage.keys import original_key
from tests.factories import EDITOR, Studio, make_entity


async def turn(image_id: UUID) -> None:
    await edit_image(image_id, lambda edits: edits.turned("right"), actor=EDITOR)


async def render_damaged(studio: Studio, image_id: UUID) -> None:
    """As if its original could not be read just now."""
    path = studio.store.path_of(original_key("inventory_items", image_id, 1, "jpg"))
    data = path.read_bytes()
    path.write_bytes(data[:100])
    await render_all(image_id, store=studio.store, pool=studio.pool)
    path.write_bytes(data)
    await database.execute("DELETE FROM pgqueuer")


@pytest.fixture
async def image_id(studio: Studio) -> UUID:
    """Shown as it came; that it was turned could not be rendered."""
    image_id = await studio.add(await make_entity())
    await turn(image_id)
    await render_damaged(studio, image_id)
    assert await status_of(image_id) == ("ready", True)
    return image_id


async def status_of(image_id: UUID) -> tuple[str, bool]:
    row = await database.fetch_row("SELECT status, error IS NOT NULL AS is_wrong FROM image WHERE id = $1", image_id)
    assert row is not None
    return row["status"], row["is_wrong"]


async def test_an_edit_after_one_that_failed_is_waited_for_and_healed(studio: Studio, image_id: UUID):
    await turn(image_id)
    assert await status_of(image_id) == ("ready", False)
    assert not await are_settled([image_id])
    await database.execute("DELETE FROM pgqueuer")
    assert await queue_forgotten_images() == 1
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert await are_settled([image_id])
    assert await database.fetch_value("SELECT renditions ->> 'of' FROM image WHERE id = $1", image_id) == "1.3"


async def test_a_failed_edit_is_tried_again_while_the_old_renditions_are_shown(studio: Studio, image_id: UUID):
    await retry_image(image_id, actor=SYSTEM)
    assert await status_of(image_id) == ("ready", False)
    assert await forgotten_images() == {}  # it is queued
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert await are_settled([image_id])
    await retry_image(image_id, actor=SYSTEM)
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.retry'") == 1


async def test_an_edit_of_a_picture_that_never_was_rendered_tries_again(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    await render_damaged(studio, image_id)
    assert await status_of(image_id) == ("failed", True)
    await turn(image_id)
    assert await status_of(image_id) == ("pending", False)
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert await status_of(image_id) == ("ready", False)


async def test_a_healed_job_that_is_given_up_fails_only_the_file_it_was_queued_for(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    await database.execute("DELETE FROM pgqueuer")
    assert await queue_forgotten_images() == 1
    version = await database.fetch_value(
        "SELECT (convert_from(payload, 'UTF8')::jsonb ->> 'version')::int FROM pgqueuer WHERE entrypoint = 'render'"
    )
    await studio.replace(image_id, ready=False)
    await give_up_rendering({"image": str(image_id), "version": version}, "It never came to an end.")
    assert await status_of(image_id) == ("pending", False)
