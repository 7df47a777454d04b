"""Contact sheets by key and by type: the frame's rights, one drawing however many ask, only so many for a stranger."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pypdfium2
import pytest
from PIL import Image

from portal import database
from portal.accounts import pace
from portal.audit.actors import SYSTEM
from portal.embed import sheet_room
from portal.embed.keys import revoke_key
from portal.embed.sheets import order_of
from portal.embed.shown import shown_of
from portal.entities.kinds import EntityRef
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields, read_metadata
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.settings import Settings
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal, small_portal

SHOP = "https://shop.example.com"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


async def make_key(portal: SmallPortal, ref: EntityRef, **more: Any) -> tuple[str, str]:
    """Its id, and where its frame is."""
    asked = {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], **more}
    async with await portal.caller("editor") as editor:
        made = (await editor.post("/api/embeds", json=asked)).json()
    return made["id"], httpx.URL(made["url"]).path


def count_drawings(portal: SmallPortal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The form of each sheet that is drawn from now on."""
    drawings: list[str] = []
    draw = portal.studio.pool.draw_sheet

    async def counting(sheet: Any, form: Any, pictures: Any) -> Any:
        drawings.append(form)
        return await draw(sheet, form, pictures)

    monkeypatch.setattr(portal.studio.pool, "draw_sheet", counting)
    return drawings


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


async def test_a_public_gallery_has_a_sheet_as_jpeg_and_as_pdf(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity(name="Fjord mug, slate blue")
    for _ in range(13):
        await portal.studio.add(ref, samples.with_location() + bytes(0), fields=PictureFields(allow_duplicate=True))
    await portal.studio.add(ref, ready=False)
    jpeg = await visitor.get(f"/embed/{ref}/sheet.jpg")
    assert opened(jpeg).width == 2480
    pdf = await visitor.get(f"/embed/{ref}/sheet.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    with pypdfium2.PdfDocument(pdf.content) as document:
        assert len(document) == 2
        assert document.get_metadata_dict()["Title"] == "Fjord mug, slate blue"
    for answer in (jpeg, pdf):
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert "frame-ancestors * 'self'" in answer.headers["content-security-policy"]
        assert b"SECRET" not in answer.content
    known = await visitor.get(f"/embed/{ref}/sheet.jpg", headers={"if-none-match": f'"x", {jpeg.headers["etag"]}'})
    assert (known.status_code, known.content) == (304, b"")


async def test_a_private_gallery_has_one_for_staff_and_by_its_key_alone(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity("customers", name="Ingrid")
    await portal.studio.add(ref)
    for form in ("jpg", "pdf"):
        refused = await visitor.get(f"/embed/{ref}/sheet.{form}")
        unknown = await visitor.get(f"/embed/customers/NOBODY/sheet.{form}")
        assert (refused.status_code, unknown.status_code) == (404, 404)
    async with await portal.caller("viewer") as viewer:
        staff = await viewer.get(f"/embed/{ref}/sheet.jpg")
    _, path = await make_key(portal, ref)
    by_key = await visitor.get(f"{path}/sheet.jpg")
    for answer in (staff, by_key):
        opened(answer)
        assert answer.headers["cache-control"] == "private, no-store"
    assert f"frame-ancestors {SHOP}" in by_key.headers["content-security-policy"]


async def test_a_key_opens_no_other_sheet_and_none_once_it_is_over(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref, other = await make_entity("customers"), await make_entity("customers")
    await portal.studio.add(ref)
    id, path = await make_key(portal, ref)
    opened(await visitor.get(f"{path}/sheet.jpg"))
    assert (await visitor.get(f"{path}/sheet.jpg?id={other.id}")).status_code == 404
    assert (await visitor.get(f"{path[:-1]}{'A' if path[-1] != 'A' else 'Q'}/sheet.pdf")).status_code == 404
    assert (await visitor.get(f"{path}/sheet.png")).status_code == 404
    await database.execute("UPDATE embed_key SET expires_at = $1", datetime.now(UTC) - timedelta(seconds=1))
    assert (await visitor.get(f"{path}/sheet.jpg")).status_code == 410
    await revoke_key(UUID(id), SYSTEM)
    assert (await visitor.get(f"{path}/sheet.jpg")).status_code == 404


async def test_a_key_for_a_whole_type_says_whose_sheet(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity("customers")
    await portal.studio.add(ref)
    async with await portal.caller("editor") as editor:
        asked = {"scope": {"type": "customers"}, "parents": [SHOP]}
        path = httpx.URL((await editor.post("/api/embeds", json=asked)).json()["url"]).path
    assert (await visitor.get(f"{path}/sheet.jpg")).status_code == 404
    opened(await visitor.get(f"{path}/sheet.jpg?id={ref.id}"))


async def test_only_renditions_and_captions_that_the_key_allows_are_on_it(portal: SmallPortal) -> None:
    ref = await make_entity()
    image_id = await portal.studio.add(ref, samples.jpeg(900, 600), fields=PictureFields(caption="From the front"))
    shown = await shown_of(ref, links=portal.links)

    async def order(**more: Any) -> Any:
        _, path = await make_key(portal, ref, **more)
        grant = await portal.grants.find_key(path.rpartition("/")[2])
        return order_of(shown, "jpg", grant, portal.settings, has_captions=grant.captions)

    assert (await order()).sheet.captions == ("From the front",)
    assert (await order(captions=False)).sheet.captions == ("",)
    assert (await order()).keys[0].endswith(f"{image_id}-v1.1.jpg")
    (key,) = (await order(presets=["icon", "small"])).keys
    assert key.endswith(f"{image_id}-v1.1-small.jpg")


async def test_options_are_followed_and_strange_ones_break_nothing(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    for number in range(5):
        await portal.studio.add(ref, fields=PictureFields(caption=f"Caption {number}"))
    whole = await visitor.get(f"/embed/{ref}/sheet.jpg")
    few = await visitor.get(f"/embed/{ref}/sheet.jpg?limit=1")
    silent = await visitor.get(f"/embed/{ref}/sheet.jpg?captions=0")
    assert opened(whole).height > opened(silent).height
    assert len({each.headers["etag"] for each in (whole, few, silent)}) == 3
    strange = await visitor.get(f"/embed/{ref}/sheet.jpg?limit=-3&captions=%00&theme=x&layout=strip")
    assert strange.headers["etag"] == whole.headers["etag"]


async def test_what_has_changed_makes_another_sheet(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity()
    image_id, other = await portal.studio.add(ref), await portal.studio.add(ref)
    etags = [(await visitor.get(f"/embed/{ref}/sheet.jpg")).headers["etag"]]

    async def another() -> None:
        answer = await visitor.get(f"/embed/{ref}/sheet.jpg", headers={"if-none-match": etags[-1]})
        opened(answer)
        assert answer.headers["etag"] not in etags
        etags.append(answer.headers["etag"])

    await change_image(image_id, read_metadata({"caption": "New"}), actor=EDITOR)
    await another()
    await change_image(image_id, read_metadata({"edits": {"rotate": 90}}), actor=EDITOR)
    await render_all(image_id, store=portal.studio.store, pool=portal.studio.pool)
    await another()
    await trash_image(other, actor=EDITOR, deletes_per_hour=500)
    await another()


async def test_an_empty_gallery_has_a_sheet_that_says_so(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity()
    assert opened(await visitor.get(f"/embed/{ref}/sheet.jpg")).width == 2480
    with pypdfium2.PdfDocument((await visitor.get(f"/embed/{ref}/sheet.pdf")).content) as document:
        assert len(document) == 1


async def test_however_many_ask_it_is_drawn_once(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    await portal.studio.add(ref)
    drawings = count_drawings(portal, monkeypatch)
    answers = await asyncio.gather(*(visitor.get(f"/embed/{ref}/sheet.pdf") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    await visitor.get(f"/embed/{ref}/sheet.pdf?limit=7")  # the same pictures
    assert drawings == ["pdf"]


async def test_the_oldest_sheets_make_room(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    await portal.studio.add(ref)
    drawings = count_drawings(portal, monkeypatch)
    size = len((await visitor.get(f"/embed/{ref}/sheet.pdf")).content)
    monkeypatch.setattr(sheet_room, "HELD_BYTES", size)
    for form in ("pdf", "jpg", "jpg", "pdf"):
        await visitor.get(f"/embed/{ref}/sheet.{form}")
    assert drawings[:2] == ["pdf", "jpg"]
    assert len(drawings) > 2


async def test_a_stranger_has_only_so_many_drawn_and_staff_as_many_as_they_need(
    config: Settings, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PER_SECOND", 0)
    monkeypatch.setattr(sheet_room, "COST", pace.BURST // 2)
    portal = small_portal(config, studio)
    ref = await make_entity()
    for _ in range(4):
        await studio.add(ref)
    async with portal.visitor() as visitor, await portal.caller("viewer") as viewer:
        said = [await visitor.get(f"/embed/{ref}/sheet.jpg?limit={number}") for number in (1, 2, 3, 1)]
        assert [answer.status_code for answer in said] == [200, 200, 429, 200]
        assert int(said[2].headers["retry-after"]) > 0
        assert (await viewer.get(f"/embed/{ref}/sheet.jpg?limit=3")).status_code == 200
        assert (await visitor.get(f"/embed/{ref}/sheet.jpg?limit=3")).status_code == 200


async def test_strangers_who_want_different_ones_make_no_queue_without_end(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [await make_entity() for _ in range(sheet_room.MOST_WAITING + 2)]
    monkeypatch.setattr(sheet_room, "COST", 1)
    is_free, draw = asyncio.Event(), portal.studio.pool.draw_sheet

    async def held(*args: Any) -> Any:
        await is_free.wait()
        return await draw(*args)

    monkeypatch.setattr(portal.studio.pool, "draw_sheet", held)
    asking = [asyncio.create_task(visitor.get(f"/embed/{ref}/sheet.jpg")) for ref in refs]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert {each.result().status_code for each in done} == {429}
    is_free.set()
    statuses = sorted([(await each).status_code for each in asking])
    assert statuses == [200] * sheet_room.MOST_WAITING + [429, 429]


async def test_a_rendition_that_is_lost_leaves_a_gap_until_it_is_healed(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    await portal.studio.add(ref)
    drawings = count_drawings(portal, monkeypatch)
    (path,) = portal.settings.storage_dir.glob("inventory_items/optimized/??/*.jpg")
    data = path.read_bytes()
    path.unlink()
    gap = await visitor.get(f"/embed/{ref}/sheet.jpg")
    assert (gap.status_code, gap.headers["cache-control"]) == (200, "private, no-store")
    path.write_bytes(data)
    healed = await visitor.get(f"/embed/{ref}/sheet.jpg")
    assert healed.content != gap.content
    assert drawings == ["jpg", "jpg"]


async def test_a_disk_that_cannot_be_read_is_no_pictures_fault(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    ref = await make_entity()
    await portal.studio.add(ref)
    (path,) = portal.settings.storage_dir.glob("inventory_items/optimized/??/*.jpg")
    path.unlink()
    path.mkdir()  # what no read of a file bears, also root's
    answer = await visitor.get(f"/embed/{ref}/sheet.jpg")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


async def test_sheets_and_other_formats_are_made_one_at_a_time(
    portal: SmallPortal, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    image_id = await portal.studio.add(ref)
    said: list[str] = []
    has_begun, is_free = asyncio.Event(), asyncio.Event()
    draw, render = portal.studio.pool.draw_sheet, portal.studio.pool.render

    async def drawing(*args: Any) -> Any:
        has_begun.set()
        await is_free.wait()
        drawn = await draw(*args)
        said.append("sheet")
        return drawn

    async def rendering(*args: Any, **options: Any) -> Any:
        said.append("webp")
        return await render(*args, **options)

    monkeypatch.setattr(portal.studio.pool, "draw_sheet", drawing)
    monkeypatch.setattr(portal.studio.pool, "render", rendering)
    sheet = asyncio.create_task(visitor.get(f"/embed/{ref}/sheet.jpg"))
    await has_begun.wait()
    await visitor.get(f"/api/images/serve/{image_id}?size=card&format=webp")
    is_free.set()
    await sheet
    await eventually(lambda: said == ["sheet", "webp"])


async def test_a_sheet_opened_by_its_key_pins_the_invoice_and_keeps_to_the_pin(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity("invoices")
    image_id = await portal.studio.add(ref)
    _, path = await make_key(portal, ref)
    async with await portal.caller("viewer") as viewer:
        looked_at = await viewer.get(f"/embed/{ref}/sheet.jpg")
    assert await database.fetch_value("SELECT count(*) FROM invoice_pin") == 0
    sent = await visitor.get(f"{path}/sheet.jpg")
    assert await database.fetch_value("SELECT count(*) FROM invoice_pin") == 1
    await portal.studio.replace(image_id)
    later = await visitor.get(f"{path}/sheet.jpg")
    assert looked_at.headers["etag"] == sent.headers["etag"] == later.headers["etag"]
    assert later.content == sent.content
