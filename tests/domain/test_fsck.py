"""fsck finds each kind of breach once, names it, and is silent on a sound portal."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_image, trash_image
from portal.gallery.renditions import fail_image
from portal.gallery.service import change_image
from portal.gallery.tasks import purge_objects, queue_forgotten_images
from portal.integrity.fsck import Finding, fsck
from portal.storage.keys import original_key, rendition_key
from tests import samples
from tests.factories import Studio, make_entity, write

HOUR = timedelta(hours=1)
Breach = tuple[str, str | None, str | None]


async def check(studio: Studio, grace: timedelta = HOUR) -> list[Finding]:
    return [each async for each in fsck(store=studio.store, pool=studio.pool, grace=grace)]


async def breaches(studio: Studio, grace: timedelta = HOUR) -> list[Breach]:
    return [(each.kind, each.key, each.image_id) for each in await check(studio, grace)]


@pytest.fixture
async def image_id(studio: Studio) -> UUID:
    """A picture of a portal where else all is sound, in a gallery of two."""
    ref = await make_entity()
    image_id = await studio.add(ref)
    await studio.add(ref)
    return image_id


def original(image_id: UUID) -> str:
    return original_key("inventory_items", image_id, 1, "jpg")


def card(image_id: UUID) -> str:
    return rendition_key("inventory_items", image_id, 1, 1, "card")


async def test_a_sound_portal_has_no_findings(studio: Studio) -> None:
    ref = await make_entity()
    for data in (samples.jpeg(), samples.png(), samples.webp(), samples.gif()):
        extension = {b"\xff": "jpg", b"\x89": "png", b"R": "webp", b"G": "gif"}[data[:1]]
        await studio.add(ref, data, filename=f"picture.{extension}")
    trashed = await studio.add(ref)
    await trash_image(trashed, actor=SYSTEM, deletes_per_hour=0)
    failed = await studio.add(await make_entity("invoices"), ready=False)
    await database.execute("DELETE FROM pgqueuer")
    await fail_image(failed, "failed", "on purpose")
    deleted = await studio.add(ref)
    await delete_image(deleted, actor=SYSTEM, deletes_per_hour=0)
    await purge_objects({}, store=studio.store)
    await studio.add(await make_entity("customers"), ready=False)  # waits for a worker
    assert await check(studio, timedelta(0)) == []


async def test_a_missing_original_is_found(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([original(image_id)])
    assert await breaches(studio) == [("missing_object", original(image_id), str(image_id))]


async def test_an_original_cut_short_is_found(studio: Studio, image_id: UUID) -> None:
    data = await studio.store.read(original(image_id))
    await studio.store.put(original(image_id), data[:-1])
    assert await breaches(studio) == [("checksum_mismatch", original(image_id), str(image_id))]


async def test_a_flipped_byte_of_an_original_is_found(studio: Studio, image_id: UUID) -> None:
    data = bytearray(await studio.store.read(original(image_id)))
    data[len(data) // 2] ^= 1
    await studio.store.put(original(image_id), bytes(data))
    assert await breaches(studio) == [("checksum_mismatch", original(image_id), str(image_id))]


async def test_a_missing_rendition_is_found(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([card(image_id)])
    assert await breaches(studio) == [("missing_rendition", card(image_id), str(image_id))]


async def test_a_rendition_that_the_row_does_not_know_of_is_found(studio: Studio, image_id: UUID) -> None:
    await database.execute("UPDATE image SET renditions = renditions #- '{items,card}' WHERE id = $1", image_id)
    assert await breaches(studio) == [("missing_rendition", card(image_id), str(image_id))]


async def test_a_flipped_byte_of_a_rendition_is_found(studio: Studio, image_id: UUID) -> None:
    data = bytearray(await studio.store.read(card(image_id)))
    data[len(data) // 2] ^= 1
    await studio.store.put(card(image_id), bytes(data))
    assert await breaches(studio) == [("wrong_rendition", card(image_id), str(image_id))]


@pytest.mark.parametrize("data", [samples.jpeg(200, 100), b"no picture at all"], ids=["box", "decode"])
async def test_a_rendition_that_is_not_its_preset_is_found(studio: Studio, image_id: UUID, data: bytes) -> None:
    """Its checksum fits, as if the renderer itself had been wrong."""
    await studio.store.put(card(image_id), data)
    await database.execute(
        "UPDATE image SET renditions = jsonb_set(renditions, '{items,card,sha256}', to_jsonb(encode(sha256($2), 'hex'))) "
        "WHERE id = $1",
        image_id,
        data,
    )
    assert await breaches(studio) == [("wrong_rendition", card(image_id), str(image_id))]


@pytest.mark.parametrize(
    "key", ["inventory_items/notes.txt", original_key("invoices", uuid4(), 1, "jpg")], ids=["foreign", "orphan"]
)
@pytest.mark.usefixtures("image_id")
async def test_an_object_that_no_row_owns_is_found_after_the_grace(studio: Studio, key: str) -> None:
    await studio.store.put(key, b"whose?")
    assert await breaches(studio) == []
    _age(studio, key)
    assert await breaches(studio) == [("orphaned_object", key, None)]


@pytest.mark.usefixtures("image_id")
async def test_a_temporary_file_is_found_after_the_grace(studio: Studio) -> None:
    (studio.store.root / "temp" / "0190.part").write_bytes(b"half")
    assert await breaches(studio) == []
    _age(studio, "temp/0190.part")
    assert await breaches(studio) == [("stray_temp_file", "temp/0190.part", None)]


@pytest.mark.usefixtures("image_id")
async def test_what_the_file_system_keeps_for_itself_is_nobodys_orphan(studio: Studio) -> None:
    found = studio.store.root / "lost+found"
    found.mkdir(mode=0o700)
    write(found / "#12345", b"of the disk's own check")
    assert await breaches(studio, timedelta(0)) == []


def _age(studio: Studio, key: str) -> None:
    then = time.time() - 2 * 3600
    os.utime(studio.store.root / key, (then, then))


async def test_a_gallery_without_primary_is_found(studio: Studio, image_id: UUID) -> None:
    await database.execute("UPDATE image SET is_primary = false")
    assert await breaches(studio) == [("no_primary", await _gallery(image_id), None)]


async def test_a_gap_in_the_order_is_found(studio: Studio, image_id: UUID) -> None:
    await database.execute("UPDATE image SET sort_order = 7 WHERE id <> $1", image_id)
    assert await breaches(studio) == [("order_not_dense", await _gallery(image_id), None)]


async def _gallery(image_id: UUID) -> str:
    return await database.fetch_value(
        "SELECT type || '/' || entity.id FROM entity JOIN image ON image.entity = entity.pk WHERE image.id = $1",
        image_id,
    )


@pytest.mark.parametrize("status", ["pending", "processing"])
async def test_an_image_that_no_job_renders_is_found(studio: Studio, image_id: UUID, status: str) -> None:
    forgotten = await studio.add(await make_entity("companies"), ready=False)
    await database.execute("DELETE FROM pgqueuer")
    await database.execute("UPDATE image SET status = $2 WHERE id = $1", forgotten, status)
    assert await breaches(studio) == [("no_job", None, str(forgotten))]


async def test_a_focal_point_that_no_job_renders_is_found_and_queued(studio: Studio, image_id: UUID) -> None:
    await change_image(image_id, {"focal_x": 0.2, "focal_y": 0.2}, actor=SYSTEM)
    await database.execute("DELETE FROM pgqueuer")  # as a worker that loses its database may lose a job
    assert await breaches(studio) == [("no_job", None, str(image_id))]
    assert await queue_forgotten_images() == 1
    assert await breaches(studio) == []


@pytest.mark.usefixtures("image_id")
async def test_a_job_that_stands_still_is_found(studio: Studio) -> None:
    await database.execute(
        """INSERT INTO pgqueuer (priority, entrypoint, payload, status, execute_after, heartbeat, queue_manager_id)
           VALUES (0, 'purge', '{}', 'picked', now(), now() - interval '11 minutes', gen_random_uuid())"""
    )
    number = await database.fetch_value("SELECT id FROM pgqueuer WHERE status = 'picked'")
    assert await breaches(studio) == [("job_past_lease", f"jobs/{number}", None)]
