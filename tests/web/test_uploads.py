"""Uploads over the API: what is stored, what is refused and how, one file or many."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.imaging.presets import READY
from tests import samples
from tests.factories import make_entity
from tests.web.whole_app import caller, render, working_app

ONE = "/api/images/upload"
MANY = "/api/images/upload/multiple"
MUG = {"entity_type": "inventory_items", "entity_id": "MUG"}
FIELDS = set(
    "id entity filename media_type bytes width height frames sha256 status error alt_text decorative caption tags is_primary"
    " sort_order focal_point edits placeholder version revision trashed_at renditions attributes exif uploaded_by created_at"
    " updated_at".split()
)


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_MAX_UPLOAD_MB_CATEGORIES="1") as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    await make_entity(id="MUG")
    return await caller(app, "editor")


async def upload(client: httpx.AsyncClient, data: bytes, name: str = "mug.jpg", **fields: str) -> httpx.Response:
    headers = {key: fields.pop(key) for key in ("prefer",) if key in fields}
    return await client.post(ONE, data=MUG | fields, files={"file": (name, data)}, headers=headers)


async def upload_many(client: httpx.AsyncClient, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    return await client.post(MANY, data=MUG | fields, files=[("files", file) for file in files])


def padded_png(size: int, width: int = 40) -> bytes:
    """A good picture of exactly so many bytes: a chunk that nobody needs to know fills it up."""
    good = samples.png(width, 30)
    body = b"zzTt" + bytes(size - len(good) - 12)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return good[:-12] + chunk + good[-12:]


async def test_a_picture_is_stored_pending_and_becomes_ready(editor: httpx.AsyncClient, app: Litestar) -> None:
    answer = await upload(editor, samples.jpeg(), alt_text="A mug", caption="Blue", tags="front, studio,front")
    image = answer.json()
    assert answer.status_code == 201
    assert set(image) == FIELDS
    assert (image["status"], image["renditions"], image["is_primary"], image["revision"]) == ("pending", {}, True, 1)
    assert (image["alt_text"], image["caption"], image["tags"]) == ("A mug", "Blue", ["front", "studio"])
    assert image["entity"] == {"type": "inventory_items", "id": "MUG"}
    assert image["uploaded_by"] == "token:editor"
    assert UUID(image["id"]).version == 7
    assert image["created_at"].endswith("Z")
    await render(app, image["id"])
    image = (await editor.get(f"/api/images/{image['id']}")).json()
    assert image["status"] == "ready"
    assert sorted(image["renditions"]) == sorted(READY)
    card = image["renditions"]["card"]
    assert (card["width"], card["height"], card["media_type"]) == (400, 300, "image/jpeg")
    assert card["url"] == f"/api/images/serve/{image['id']}?size=card&v=1.1"


async def test_waiting_changes_when_and_not_what(editor: httpx.AsyncClient, app: Litestar) -> None:
    async def work() -> None:
        while not (row := await database.fetch_row("SELECT id FROM image")):  # noqa: ASYNC110 - a row is waited for
            await asyncio.sleep(0.02)
        await render(app, str(row["id"]))

    answer, _ = await asyncio.gather(upload(editor, samples.jpeg(), prefer="respond-async, wait=60"), work())
    assert (answer.status_code, answer.json()["status"]) == (201, "ready")
    began = asyncio.get_running_loop().time()
    files = [(f"{number}.jpg", samples.distinct(number)) for number in range(10)]
    form = {"data": MUG, "files": [("files", file) for file in files]}
    many = await editor.post(MANY, **form, headers={"prefer": "wait=2"})
    assert {each["image"]["status"] for each in many.json()["results"]} == {"pending"}
    assert 2 <= asyncio.get_running_loop().time() - began < 20  # one wait for all of them
    hurried = await upload(editor, samples.png(), "b.png", prefer="wait=0")
    assert (hurried.status_code, hurried.json()["status"]) == (201, "pending")


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("mug.jpg", b"", 422, "empty_file"),
        ("mug.jpg", b"hello", 415, "unsupported_format"),
        ("mug.txt", b"hello", 415, "unsupported_format"),
        ("mug.png", samples.jpeg(50, 50), 422, "extension_mismatch"),
        ("mug.php.jpg", samples.jpeg(50, 50), 422, "hostile_content"),
        ("mug.jpg", samples.with_php(), 422, "hostile_content"),
        ("mug.jpg", samples.truncated(), 422, "not_an_image"),
        ("mug.png", samples.bomb(), 422, "too_many_pixels"),
        ("mug.gif", samples.many_frames(), 422, "too_many_frames"),
    ],
)
async def test_what_is_no_safe_picture_is_refused_and_leaves_nothing(
    editor: httpx.AsyncClient, app: Litestar, name: str, data: bytes, status: int, code: str
) -> None:
    answer = await upload(editor, data, name)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await database.fetch_value("SELECT count(*) FROM image") == 0
    assert list((app.state.parts.store.root / "temp").iterdir()) == []


async def test_the_largest_file_fits_and_one_byte_more_does_not(editor: httpx.AsyncClient) -> None:
    await make_entity("categories", "CUPS")
    cups = {"entity_type": "categories", "entity_id": "CUPS"}
    assert (await upload(editor, padded_png(2**20), "a.png", **cups)).status_code == 201
    answer = await upload(editor, padded_png(2**20 + 1, 41), "b.png", **cups)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "larger than 1 MB" in answer.json()["detail"]
    assert (await upload(editor, padded_png(15 * 2**20), "c.png")).status_code == 201
    assert (await upload(editor, padded_png(15 * 2**20 + 1, 42), "d.png")).status_code == 413


async def test_a_length_too_large_is_refused_before_the_body(editor: httpx.AsyncClient) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(2**30)}
    answer = await editor.post(ONE, content=unread(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_the_same_file_again_is_a_duplicate_until_it_is_in_the_trash(editor: httpx.AsyncClient) -> None:
    first = (await upload(editor, samples.jpeg())).json()
    again = await upload(editor, samples.jpeg(), "other-name.jpg")
    assert (again.status_code, again.json()["code"], again.json()["image_id"]) == (409, "duplicate", first["id"])
    assert (await upload(editor, samples.jpeg(), allow_duplicate="true")).status_code == 201
    for image in (await editor.get("/api/images/entity/inventory_items/MUG")).json()["images"]:
        await editor.post(f"/api/images/{image['id']}/trash")
    assert (await upload(editor, samples.jpeg())).status_code == 201


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"entity_id": "CUP"}, 404, None),
        ({"entity_type": "mugs"}, 404, None),
        ({"entity_id": ""}, 422, "entity_id"),
        ({"is_primary": "perhaps"}, 422, "is_primary"),
        ({"alt_text": "x" * 501}, 422, "alt_text"),
        ({"sha256": "0" * 64}, 422, "sha256"),
        ({"status": "ready"}, 422, "status"),
    ],
)
async def test_each_bad_field_is_named(
    editor: httpx.AsyncClient, fields: dict[str, str], status: int, named: str | None
) -> None:
    answer = await upload(editor, samples.jpeg(), **fields)
    assert answer.status_code == status, answer.text
    if named is None:
        assert answer.json()["code"] == "no_such_entity"
    else:
        assert [error["field"] for error in answer.json()["errors"]] == [named]


async def test_each_of_many_files_has_its_own_outcome_in_the_order_sent(editor: httpx.AsyncClient) -> None:
    answer = await upload_many(
        editor,
        ("1.jpg", samples.distinct(1)),
        ("large.png", padded_png(15 * 2**20 + 1)),
        ("hostile.jpg", samples.with_php()),
        ("2.jpg", samples.distinct(2)),
        ("again.jpg", samples.distinct(1)),
    )
    said = answer.json()
    assert answer.status_code == 207
    assert (said["stored"], said["refused"]) == (2, 3)
    assert [each["filename"] for each in said["results"]] == ["1.jpg", "large.png", "hostile.jpg", "2.jpg", "again.jpg"]
    assert [each["status"] for each in said["results"]] == [201, 413, 422, 201, 409]
    assert [("image" in each, "error" in each) for each in said["results"]] == [
        (each["status"] == 201, each["status"] != 201) for each in said["results"]
    ]
    assert [each["error"]["code"] for each in said["results"] if "error" in each] == [
        "too_large",
        "hostile_content",
        "duplicate",
    ]
    assert {each["error"]["request_id"] for each in said["results"] if "error" in each} == {
        answer.headers["x-request-id"]
    }


async def test_many_are_201_when_all_are_stored_and_422_when_none_is(editor: httpx.AsyncClient) -> None:
    answer = await upload_many(editor, ("1.jpg", samples.distinct(1)), ("2.jpg", samples.distinct(2)))
    assert (answer.status_code, answer.json()["stored"], answer.json()["refused"]) == (201, 2, 0)
    answer = await upload_many(editor, ("1.jpg", b"hello"), ("2.jpg", samples.distinct(2)))
    assert (answer.status_code, answer.json()["stored"], answer.json()["refused"]) == (422, 0, 2)


async def test_of_many_that_shall_be_primary_the_first_one_is(editor: httpx.AsyncClient) -> None:
    await upload(editor, samples.jpeg())
    files = [(f"{number}.jpg", samples.distinct(number)) for number in (1, 2, 3)]
    results = (await upload_many(editor, *files, is_primary="true")).json()["results"]
    gallery = (await editor.get("/api/images/entity/inventory_items/MUG")).json()["images"]
    assert [each["id"] for each in gallery if each["is_primary"]] == [results[0]["image"]["id"]]


async def test_many_for_nobody_are_one_refusal(editor: httpx.AsyncClient) -> None:
    answer = await upload_many(editor, ("1.jpg", samples.distinct(1)), entity_id="CUP")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_entity")
    assert (await editor.post(MANY, data=MUG, files={"file": ("1.jpg", samples.jpeg())})).status_code == 422


async def test_roles_are_asked_before_the_body_is_read(app: Litestar, editor: httpx.AsyncClient) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers: dict[str, Any] = {"content-type": "multipart/form-data; boundary=x", "idempotency-key": "a"}
    for role, status in ((None, 401), ("viewer", 403)):
        client = await caller(app, role)
        for path in (ONE, MANY, "/api/entities/import", "/api/images/cleanup", "/api/embeds"):
            assert (await client.post(path, content=unread(), headers=headers)).status_code == status, (role, path)
