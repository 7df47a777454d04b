"""The pages in foreign frames: their options, what stands in them, and what they never do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.gallery.forms import PictureFields, read_metadata
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.settings import Settings
from portal.web.assets import STATIC_ROOT, static_url
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal

HOSTILE = '"><script>alert(1)</script>{{7777*7777}}'
LAYOUTS = ("grid", "strip", "carousel")


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


async def add(portal: SmallPortal, ref: EntityRef, **fields: Any) -> str:
    return str(await portal.studio.add(ref, fields=PictureFields(**fields)))


@pytest.mark.parametrize(
    "query",
    [
        "layout=strip&theme=dark&captions=0&limit=1",
        "layout=carousel",
        "layout=cube&theme=pink&captions=maybe&limit=-3",
        "layout[]=grid&limit=99999999999999999999999",
        "layout=&theme=&captions=&limit=",
        "limit=%00&theme=%ff&layout=%3Cscript%3E&limit=١",
    ],
)
async def test_no_option_breaks_the_page(portal: SmallPortal, visitor: httpx.AsyncClient, query: str):
    ref = await make_entity()
    await add(portal, ref)
    await add(portal, ref)
    page = await visitor.get(f"/embed/{ref}?{query}")
    assert page.status_code == 200
    assert "<script>" not in page.text


async def test_options_are_followed(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    ids = [await add(portal, ref, caption=f"Caption {number}") for number in range(3)]
    page = (await visitor.get(f"/embed/{ref}?layout=carousel&theme=dark&limit=2")).text
    assert 'class="embed carousel"' in page
    assert 'data-theme="dark"' in page
    assert [id in page for id in ids] == [True, True, False]
    assert "<figcaption>Caption 0" in page
    assert "<figcaption>" not in (await visitor.get(f"/embed/{ref}?captions=0")).text


async def test_words_of_people_are_text_in_embeds_and_cards(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity(name=HOSTILE)
    await add(portal, ref, alt_text=HOSTILE, caption=HOSTILE)
    for path in ("embed", "cards"):
        for layout in ("grid", "strip", "carousel"):
            page = await visitor.get(f"/{path}/{ref}?layout={layout}")
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "60481729" not in page.text


async def test_a_picture_that_was_turned_has_the_room_that_it_needs(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    image_id = await portal.studio.add(ref, samples.jpeg(600, 300))
    await change_image(image_id, read_metadata({"edits": {"rotate": 90}}), actor=SYSTEM)
    await render_all(image_id, store=portal.studio.store, pool=portal.studio.pool)
    page = (await visitor.get(f"/embed/{ref}?layout=strip")).text
    assert 'width="56" height="112"' in page


async def test_the_hosts_script_may_be_used_by_every_site(visitor: httpx.AsyncClient, db: None, portal: SmallPortal):
    script = await visitor.get("/embed.js")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"
    assert script.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
async def test_a_frame_is_whole_with_any_number_of_pictures(
    portal: SmallPortal, visitor: httpx.AsyncClient, layout: str, count: int
):
    ref = await make_entity()
    for number in range(count):
        await add(portal, ref, caption=f"Caption {number}")
    page = await visitor.get(f"/embed/{ref}?layout={layout}")
    assert page.status_code == 200
    assert page.text.count('<a class="pic') == count
    assert page.text.count(' srcset="/api/images/serve/') == count
    assert ("No pictures of" in page.text) == (count == 0)
    assert ('aria-label="Next"' in page.text) == (count > 1)
    assert ("data-print=" in page.text) == (count > 0)
    assert 'style="' not in page.text


async def test_the_one_script_of_a_frame_is_small_and_keeps_nothing(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    image = await add(portal, ref)
    page = await visitor.get(f"/embed/{ref}")
    assert page.text.count("<script") == 1
    assert f'<script src="{static_url("js/embed.js")}" defer>' in page.text
    script = (STATIC_ROOT / "js" / "embed.js").read_text("utf-8")
    assert len(script.encode()) <= 2048
    for kept in ("cookie", "localStorage", "sessionStorage", "indexedDB", "fetch(", "import"):
        assert kept not in script
    for path in (f"/embed/{ref}", f"/embed/{ref}?layout=strip", f"/api/images/serve/{image}?size=large", "/embed.js"):
        answer = await visitor.get(path)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


async def test_odd_requests_for_a_frame_are_answered_cleanly(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    await add(portal, ref)
    head = await visitor.head(f"/embed/{ref}?layout=strip")
    assert (head.status_code, head.content) == (200, b"")
    long = await visitor.get(f"/embed/{ref}?layout={'x' * 5000}&limit=-1&" + "&".join(f"a{n}=1" for n in range(300)))
    assert long.status_code == 200
    assert "xxxx" not in long.text
    for path in (
        "/embed/k/%00%ff",
        "/embed/k/" + "A" * 3000,
        "/embed/k/%3Cscript%3E",
        "/embed/pets/A",
        "/embed/x%00/y",
    ):
        answer = await visitor.get(path)
        assert answer.status_code == 404, path
        assert "<script>" not in answer.text
    assert (await visitor.post(f"/embed/{ref}")).status_code == 405


async def test_a_crop_follows_the_focal_point(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity()
    image_id = await portal.studio.add(ref, samples.jpeg(1200, 400))
    assert "data-at" not in (await visitor.get(f"/embed/{ref}")).text
    for x, edits, at in ((1.0, {}, "10"), (0.0, {}, "0"), (0.0, {"flip": "horizontal"}, "10"), (0.4, {}, "3")):
        await change_image(image_id, read_metadata({"focal_point": {"x": x, "y": 0.5}, "edits": edits}), actor=SYSTEM)
        await render_all(image_id, store=portal.studio.store, pool=portal.studio.pool)
        assert f'data-at="{at}"' in (await visitor.get(f"/embed/{ref}")).text
