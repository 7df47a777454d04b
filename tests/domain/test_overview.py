"""What needs a person, what is stored, and the search over everything."""

from __future__ import annotations

import pytest

from portal import database
from portal.entities.forms import EntityInput
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields
from portal.overview import queries
from portal.overview.queries import overview_of_today, search_everything
from portal.storage.links import Links
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))


async def test_overview_counts_what_is_missing_and_stored(studio: Studio) -> None:
    full, half = await make_entity(), await make_entity()
    await make_entity("customers", "bare")
    ready = await studio.add(full, fields=PictureFields(alt_text="A blue mug"))
    waiting = await studio.add(half, ready=False)
    trashed = await studio.add(half, ready=False)
    await trash_image(trashed, actor=EDITOR, deletes_per_hour=10)
    today = await overview_of_today(LINKS)
    assert (today.needs.missing_pictures, today.needs.missing_alt, today.needs.failed) == (1, 1, [])
    assert [image.id for image in today.recent] == [str(waiting), str(ready)]
    shares = {share.type: (share.total, share.with_pictures, share.percent) for share in today.kinds}
    assert shares["inventory_items"] == (2, 2, 100)
    assert shares["customers"] == (1, 0, 0)
    assert today.storage.images == 2
    stored = await database.fetch_value("SELECT sum(bytes) FROM image")
    assert today.storage.originals_bytes == stored
    ready_image = next(image for image in today.recent if image.id == str(ready))
    assert today.storage.renditions_bytes == sum(each.bytes for each in ready_image.renditions.values()) > 0


async def test_old_versions_count_among_what_is_stored_but_not_among_the_pictures(studio: Studio) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    await studio.replace(image_id)
    await studio.replace(image_id)
    await studio.replace(image_id, ready=False)  # the renditions that are shown are those of an old version: once
    storage = (await overview_of_today(LINKS)).storage
    files = [entry for entry in studio.store.walk() if not entry.key.startswith("temp/")]
    originals = sum(
        entry.bytes for entry in files if "/optimized/" not in entry.key and "/thumbnails/" not in entry.key
    )
    assert (storage.images, storage.originals_bytes) == (1, originals)
    assert storage.originals_bytes + storage.renditions_bytes == sum(entry.bytes for entry in files)


async def test_failed_pictures_are_shown_until_they_are_in_the_trash(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, ready=False)
    await database.execute("UPDATE image SET status = 'failed' WHERE id = $1", image_id)
    assert [image.id for image in (await overview_of_today(LINKS)).needs.failed] == [str(image_id)]
    await trash_image(image_id, actor=EDITOR, deletes_per_hour=10)
    assert (await overview_of_today(LINKS)).needs.failed == []


async def test_search_finds_entities_and_pictures_together(studio: Studio) -> None:
    ref = await make_entity(name="Fjord mug")
    fields = PictureFields(alt_text="Speckled mug from above", tags=("studio",))
    image_id = await studio.add(ref, filename="IMG_1234.jpg", fields=fields)
    for q in ("mug", "SPECK", "studio", "img_12", "above mug"):
        found = await search_everything(q, LINKS)
        assert [image.id for image in found.images] == [str(image_id)], q
    found = await search_everything("fjo", LINKS)
    assert [(view.ref, view.primary.id if view.primary else None) for view in found.entities] == [(ref, str(image_id))]
    assert found.images == []


async def test_the_very_id_or_number_comes_first(studio: Studio) -> None:
    ref = EntityRef("invoices", "X")
    await put_entity(ref, EntityInput("Invoice", number="INV-7"), EDITOR)
    for number in range(70, 80):
        await make_entity("invoices", f"INV-{number}", f"INV-7 INV-7 INV-{number}")
    assert (await search_everything("inv-7", LINKS)).entities[0].ref == ref


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "text", ["", " ", "\0", "'", "&|!:*()\\", "'; --", "\ud800", "<->", "a" * 5000], ids=lambda text: ascii(text)[:16]
)
async def test_search_survives(text: str) -> None:
    await make_entity()
    found = await search_everything(text, LINKS)
    assert found.entities == found.images == []
    await search_everything(f"mug{text} {text}mug", LINKS)


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_common_words_and_rare_ones_are_found_alike(
    studio: Studio, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    ids = [await studio.add(ref, ready=False, fields=PictureFields(alt_text=f"A kettle {each}")) for each in "abc"]
    monkeypatch.setattr(queries, "_COMMON", share)  # of the newest pictures: above it one walks, else the index tells
    monkeypatch.setattr(queries, "EXACT_UP_TO", 2)
    assert {image.id for image in (await search_everything("kettle", LINKS)).images} == {str(id) for id in ids[1:]}


async def test_the_trash_is_not_searched(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, fields=PictureFields(alt_text="Teapot"), ready=False)
    await trash_image(image_id, actor=EDITOR, deletes_per_hour=10)
    assert (await search_everything("teapot", LINKS)).images == []
