"""What stands in for a picture that is not there: drawn for each type and size, and told from nothing."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from uuid import UUID, uuid4
from xml.etree import ElementTree

import httpx
import pytest
from PIL import Image

from portal.audit.actors import SYSTEM
from portal.gallery.disposal import trash_image
from portal.imaging.presets import PRESETS
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.keys import rendition_key
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal
from tests.web.renditions import DAY, url

DRAWING = "/api/images/fallback/"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


def size_of(answer: httpx.Response) -> tuple[int, int]:
    if answer.headers["content-type"] == "image/svg+xml":
        said = ElementTree.fromstring(answer.content).attrib
        return int(said["width"]), int(said["height"])
    return Image.open(io.BytesIO(answer.content)).size


@pytest.mark.parametrize("format", ["svg", "png", "jpeg"])
@pytest.mark.parametrize("type", ENTITY_TYPES)
async def test_every_type_has_one_of_every_size(visitor: httpx.AsyncClient, type: str, format: str) -> None:
    for preset in PRESETS.values():
        answer = await visitor.get(DRAWING + type, params={"size": preset.name, "format": format})
        assert answer.status_code == 200
        assert size_of(answer) == (preset.width, preset.height)


async def test_it_may_be_kept_and_shown_anywhere_and_runs_nothing(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get(f"{DRAWING}invoices")
    assert (answer.headers["content-type"], size_of(answer)) == ("image/svg+xml", (400, 300))
    assert answer.headers["cache-control"] == DAY
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = await visitor.get(f"{DRAWING}invoices", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await visitor.head(f"{DRAWING}invoices")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


@pytest.mark.parametrize(
    ("address", "status"),
    [("nothing", 404), ("invoices?size=huge", 404), ("invoices?size=original", 404), ("invoices?format=bmp", 422)],
)
async def test_what_there_is_not_is_refused(visitor: httpx.AsyncClient, address: str, status: int) -> None:
    assert (await visitor.get(DRAWING + address)).status_code == status


async def test_where_no_picture_can_be_shown_it_comes_and_tells_nothing(
    portal: SmallPortal, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    lost, trashed, waiting, private = (
        await portal.studio.add(ref),
        await portal.studio.add(ref),
        await portal.studio.add(ref, ready=False),
        await portal.studio.add(await make_entity("customers")),
    )
    portal.studio.store.path_of(rendition_key(ref.type, lost, 1, 1, "card")).unlink()
    await trash_image(trashed, actor=SYSTEM, deletes_per_hour=500)
    options = {"size": "card", "fallback": "customers"}
    late = portal.links.signed(private, "card", 1, 1, 1)
    addresses = [url(each, **options) for each in (lost, trashed, waiting, private, uuid4(), UUID(int=0))]
    addresses += [f"{late}&fallback=customers", url(lost, v="9.9", **options), url(lost, **{**options, "v": "x"})]
    addresses += [f"/api/images/serve/{each}?size=card&fallback=customers" for each in ("x", "%00", "..%2f")]
    drawing = (await visitor.get(f"{DRAWING}customers")).content
    answers = [await visitor.get(address) for address in addresses]
    async with portal.visitor(authorization="Bearer pt_nobody") as stranger:
        answers += [await stranger.get(url(each, **options)) for each in (private, uuid4())]
    for answer in answers:
        assert (answer.status_code, answer.content) == (200, drawing)
        assert answer.headers["cache-control"] == "private, max-age=60"
        assert answer.headers["vary"] == "Accept"
    assert len({tuple(sorted({*answer.headers} - {"x-request-id"})) for answer in answers[:6]}) == 1
    assert (await visitor.get(url(lost, **options))).headers["etag"] == answers[0].headers["etag"]
    head = await visitor.head(url(lost, **options))
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(drawing)))


async def test_where_there_is_a_picture_that_is_the_answer(portal: SmallPortal, visitor: httpx.AsyncClient) -> None:
    image_id = await portal.studio.add(await make_entity("customers"))
    plain = portal.links.signed(image_id, "card", 1, 1, 2**33)
    for address in (plain, f"{plain}&fallback=customers"):
        assert (await visitor.get(address)).headers["content-type"] == "image/jpeg"
    async with await portal.caller("viewer") as viewer:
        answer = await viewer.get(url(image_id, size="card", fallback="customers"))
    assert answer.headers["content-type"] == "image/jpeg"


async def test_for_e_mail_it_is_a_jpeg(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get(url(uuid4(), size="small", format="jpeg", fallback="inventory_items"))
    assert (answer.headers["content-type"], size_of(answer)) == ("image/jpeg", (150, 150))


async def test_a_wish_that_is_wrong_is_told_so(visitor: httpx.AsyncClient) -> None:
    assert (await visitor.get(url(uuid4(), size="huge", fallback="invoices"))).status_code == 404
    assert (await visitor.get(url(uuid4(), size="card", fallback="nothing"))).status_code == 422
    assert (await visitor.get(url(uuid4(), size="card", fallback=""))).status_code == 422
