"""Presets that were changed: what is made from then on is made by them, what there is stays what it was made by."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.pins import pin_invoice
from portal.gallery.presets import changes_in_force, presets_in_force
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.imaging.presets import PRESETS, READY
from portal.integrity.fsck import fsck
from portal.media.catalogue import load_entry
from tests import samples
from tests.factories import Studio, make_entity


async def decide(
    name: str, width: int, height: int, quality: int, state: str = "done", job: UUID | None = None
) -> None:
    await database.execute(
        """INSERT INTO preset_change (name, width, height, quality, state, decided_by, decided_at, job)
           VALUES ($1, $2, $3, $4, $5, 'user:admin', now(), $6)""",
        *(name, width, height, quality, state, job),
    )


async def set_of(image_id: UUID) -> dict[str, Any]:
    return json.loads(await database.fetch_value("SELECT renditions FROM image WHERE id = $1", image_id))


async def sizes_of(image_id: UUID) -> dict[str, tuple[int, int]]:
    return {name: (item["width"], item["height"]) for name, item in (await set_of(image_id))["items"].items()}


async def findings(studio: Studio) -> list[Any]:
    return [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]


@pytest.mark.usefixtures("db")
async def test_the_last_that_was_not_cancelled_is_in_force_and_what_the_code_says_is_no_change() -> None:
    assert await changes_in_force() == {}
    await decide("gallery", 700, 500, 80)
    await decide("gallery", 640, 480, 70)
    await decide("gallery", 100, 100, 30, state="cancelled")
    await decide("icon", 96, 96, 82, state="rolling")
    await decide("of another time", 96, 96, 82)
    assert await changes_in_force() == {"gallery": (640, 480, 70), "icon": (96, 96, 82)}
    await decide("icon", *PRESETS["icon"].measure)
    assert list(await changes_in_force()) == ["gallery"]
    assert (await presets_in_force())["icon"] is not None
    assert (await presets_in_force())["gallery"].fit == "fit"


async def test_without_a_change_a_set_is_by_the_contract_and_says_nothing_of_presets(studio: Studio) -> None:
    image_id = await studio.add(await make_entity(), samples.jpeg(1200, 900))
    assert await sizes_of(image_id) == {
        "icon": (64, 64),
        "small": (150, 112),
        "medium": (300, 225),
        "large": (600, 450),
        "card": (400, 300),
        "gallery": (800, 600),
        "optimized": (1200, 900),
    }
    assert "presets" not in (await set_of(image_id))["made_of"]


async def test_a_new_picture_is_made_by_what_is_in_force_and_so_is_all_that_is_made_of_its_set_later(
    studio: Studio,
) -> None:
    ref = await make_entity()
    before = await studio.add(ref, samples.jpeg(1200, 900))
    await decide("gallery", 1000, 1000, 70)
    await decide("icon", 96, 48, 90)
    await decide("print", 500, 500, 85)
    after = await studio.add(ref, samples.jpeg(1201, 900))
    sizes = await sizes_of(after)
    assert (sizes["gallery"], sizes["icon"], sizes["large"]) == ((1000, 749), (96, 48), (600, 450))
    assert set(sizes) == set(READY)
    assert (await sizes_of(before))["gallery"] == (800, 600)
    made = [entry.print_from and entry.print_from.presets for id in (before, after) if (entry := await load_entry(id))]
    assert made == [{}, {"gallery": (1000, 1000, 70), "icon": (96, 48, 90), "print": (500, 500, 85)}]
    assert await findings(studio) == []


async def test_a_larger_box_than_the_code_s_has_the_original_s_own_detail(studio: Studio) -> None:
    await decide("gallery", 3000, 3000, 80)
    await decide("card", 2600, 2600, 80)
    image_id = await studio.add(await make_entity(), samples.jpeg(4000, 3000))
    sizes = await sizes_of(image_id)
    assert (sizes["gallery"], sizes["card"], sizes["optimized"]) == ((3000, 2250), (2600, 2600), (2048, 1536))
    assert await findings(studio) == []


@pytest.mark.parametrize(("size", "small"), [((900, 1200), (60, 80)), ((1200, 900), (250, 188))])
async def test_no_step_is_made_of_a_smaller_one(studio: Studio, size: tuple[int, int], small: tuple[int, int]) -> None:
    await decide("small", 250, 80, 82)
    await decide("medium", 200, 400, 82)
    if size[0] > size[1]:
        await decide("small", 250, 300, 82)
    image_id = await studio.add(await make_entity(), samples.jpeg(*size))
    sizes = await sizes_of(image_id)
    assert sizes["small"] == small
    assert sizes["medium"][0] == 200
    assert await findings(studio) == []


async def test_a_box_for_the_large_rendition_is_kept_and_its_quality_alone_changes_no_size(studio: Studio) -> None:
    data = samples.noisy(2000, 1500)
    plain = await studio.add(await make_entity(), data)
    await decide("optimized", 2048, 2048, 60)
    lighter = await studio.add(await make_entity(), data)
    await decide("optimized", 1000, 1000, 85)
    smaller = await studio.add(await make_entity(), data)
    assert (await sizes_of(lighter))["optimized"] == (await sizes_of(plain))["optimized"] == (2000, 1500)
    assert (await sizes_of(smaller))["optimized"] == (1000, 750)
    weights = [(await set_of(each))["items"]["optimized"]["bytes"] for each in (plain, lighter)]
    assert weights[1] < weights[0]
    assert await findings(studio) == []


async def test_a_set_made_while_presets_changed_serves_and_is_wanted_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    rendering = studio.pool.render

    async def slow(*wanted: Any, **how: Any) -> Any:
        made = await rendering(*wanted, **how)
        await decide("icon", 32, 32, 82)
        return made

    monkeypatch.setattr(studio.pool, "render", slow)
    await render_all(image_id, store=studio.store, pool=studio.pool)
    monkeypatch.undo()
    row = await database.fetch_row("SELECT status, rendering, renditions ->> 'of' AS of FROM image")
    assert row is not None
    assert (row["status"], row["rendering"], row["of"]) == ("ready", 2, "1.1")
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert (await sizes_of(image_id))["icon"] == (32, 32)


async def test_a_pinned_invoice_keeps_its_old_set(studio: Studio) -> None:
    item, invoice = await make_entity(), await make_entity("invoices", name="Invoice 7")
    await studio.add(item)
    image_id = await studio.add(invoice, samples.jpeg(1200, 900))
    await pin_invoice(invoice, actor=SYSTEM)
    old = await set_of(image_id)
    await decide("gallery", 400, 400, 80)
    await change_image(image_id, {"focal_x": 0.2, "focal_y": 0.2}, actor=SYSTEM)
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert (await sizes_of(image_id))["gallery"] == (400, 300)
    assert json.loads(await database.fetch_value("SELECT renditions FROM pinned_picture")) == old
    assert await findings(studio) == []
