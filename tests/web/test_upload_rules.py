"""The order in which an upload is looked at, and rules of one entity type alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from tests import samples
from tests.factories import make_entity
from tests.web.whole_app import caller, working_app

ONE = "/api/images/upload"
OWN = {
    "PORTAL_MAX_UPLOAD_MB_COMPANIES": "1",
    "PORTAL_MAX_PIXELS_COMPANIES": "100000",
    "PORTAL_ALLOWED_EXTENSIONS_COMPANIES": "png,jpg",
    "PORTAL_DANGEROUS_EXTENSIONS_COMPANIES": "draft",
    "PORTAL_SCAN_PATTERNS_COMPANIES": "Top Secret",
}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), **OWN) as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    await make_entity("companies", "ACME")
    await make_entity("inventory_items", "MUG")
    return await caller(app, "editor")


async def upload(client: httpx.AsyncClient, data: bytes, name: str, type: str = "inventory_items") -> httpx.Response:
    fields = {"entity_type": type, "entity_id": "ACME" if type == "companies" else "MUG"}
    return await client.post(ONE, data=fields, files={"file": (name, data)})


async def code(client: httpx.AsyncClient, data: bytes, name: str, type: str = "inventory_items") -> str:
    answer = await upload(client, data, name, type)
    return "stored" if answer.status_code == 201 else answer.json()["code"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (samples.jpeg(400, 300), "wide.jpg"),
        (samples.gif(), "moving.gif"),
        (samples.png(100, 80), "mug.draft.png"),
        (samples.jpeg(100, 80, comment=b"TOP SECRET"), "plan.jpg"),
        (samples.png(100, 80) + bytes(1024 * 1024), "heavy.png"),
    ],
)
async def test_a_type_may_be_stricter_than_the_others(editor: httpx.AsyncClient, data: bytes, name: str) -> None:
    expected = {
        "wide.jpg": "too_many_pixels",
        "moving.gif": "unsupported_format",
        "mug.draft.png": "hostile_content",
        "plan.jpg": "hostile_content",
        "heavy.png": "too_large",
    }
    assert await code(editor, data, name, "companies") == expected[name]
    assert await code(editor, data, name) == "stored"


async def test_the_page_knows_the_rules_of_its_type(editor: httpx.AsyncClient) -> None:
    page = (await editor.get("/entities/companies/ACME")).text
    assert 'data-max-bytes="1048576"' in page
    assert 'data-max-pixels="100000"' in page
    assert 'data-extensions="jpg png"' in page
    assert 'accept="image/jpeg,image/png"' in page
    assert 'data-max-pixels="64000000"' in (await editor.get("/entities/inventory_items/MUG")).text


async def test_who_may_not_upload_is_told_before_anything_is_read(app: Litestar, editor: httpx.AsyncClient) -> None:
    """Not of a body of any length, and however bad: it is never asked for."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(10**12)}
    stranger, viewer = await caller(app, None), await caller(app, "viewer")
    assert (await stranger.post(ONE, content=never(), headers=headers)).status_code == 401
    assert (await viewer.post(ONE, content=never(), headers=headers)).status_code == 403
    assert (await editor.post(ONE, content=never(), headers=headers)).status_code == 413


async def test_each_check_comes_before_those_that_cost_more(editor: httpx.AsyncClient) -> None:
    """Each file is wrong in the way named and in all that come after it."""
    huge = bytes(15 * 1024 * 1024 + 1)
    steps = [
        ("too_large", huge, "a.php.xyz"),
        ("hostile_content", b"%PDF", "a.php.jpg"),
        ("unsupported_format", samples.bomb(), "a.xyz"),
        ("unsupported_format", b"%PDF", "a.jpg"),
        ("too_many_pixels", samples.bomb(), "a.jpg"),
        ("not_an_image", samples.truncated(samples.png()), "a.jpg"),
        ("extension_mismatch", samples.png(), "a.jpg"),
        ("stored", samples.png(), "a.png"),
    ]
    assert [await code(editor, data, name) for _, data, name in steps] == [expected for expected, _, _ in steps]


@pytest.mark.parametrize("beyond", [0, 1])
async def test_fifteen_mebibytes_are_allowed_and_not_a_byte_more(editor: httpx.AsyncClient, beyond: int) -> None:
    good = samples.jpeg()
    data = good + bytes(15 * 1024 * 1024 - len(good) + beyond)
    assert await code(editor, data, "a.jpg") == ("too_large" if beyond else "stored")


async def test_a_picture_for_an_entity_that_is_not_there_is_not_decoded(editor: httpx.AsyncClient) -> None:
    fields = {"entity_type": "companies", "entity_id": "NOBODY"}
    answer = await editor.post(ONE, data=fields, files={"file": ("a.jpg", samples.truncated())})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_entity")
