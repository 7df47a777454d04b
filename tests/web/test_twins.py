"""What is asked before a file is sent, and what is hinted after: the same bytes, and what looks alike."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from PIL import Image

from portal.gallery.twins import lookalikes_of
from tests import samples
from tests.factories import make_entity
from tests.web.whole_app import caller, working_app

MUG = "/entities/inventory_items/MUG"
HTMX = {"hx-request": "true", "accept": "text/html, application/problem+json"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    await make_entity(id="MUG")
    await make_entity(id="CUP")
    return await caller(app, "editor")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def saved_again(data: bytes) -> bytes:
    """Other bytes that look the same."""
    return samples.save(Image.open(io.BytesIO(data)), "JPEG", quality=60)


async def add(client: httpx.AsyncClient, data: bytes, id: str = "MUG", **fields: str) -> str:
    form = {"entity_type": "inventory_items", "entity_id": id, **fields}
    answer = await client.post("/api/images/upload", data=form, files={"file": ("a.jpg", data)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def add_on_page(client: httpx.AsyncClient, data: bytes, **fields: str) -> str:
    """The fragment that the upload zone gets."""
    answer = await client.post(f"{MUG}/images", data=fields, files={"file": ("new.jpg", data)}, headers=HTMX)
    assert answer.status_code == 201, answer.text
    return answer.text


async def known(client: httpx.AsyncClient, hashes: Any, path: str = MUG) -> httpx.Response:
    return await client.post(f"{path}/known", json={"sha256": hashes}, headers={"accept": "application/json"})


async def test_the_page_learns_which_files_are_in_this_gallery(editor: httpx.AsyncClient) -> None:
    one, two, three = (samples.shapes(number) for number in range(3))
    here = await add(editor, one)
    copy = await add(editor, one, allow_duplicate="true")
    await add(editor, two, id="CUP")
    trashed = await add(editor, three)
    await editor.post(f"/api/images/{trashed}/trash")
    answer = await known(editor, [sha256(one).upper(), sha256(two), sha256(three), "0" * 64])
    assert answer.status_code == 200
    assert answer.json() == {"known": {sha256(one): [here, copy]}}


@pytest.mark.parametrize("hashes", [None, "x", [], ["x"], [5], ["0" * 63], ["g" * 64], ["0" * 64] * 501, {"a": 1}])
async def test_what_are_no_hashes_is_said(editor: httpx.AsyncClient, hashes: Any) -> None:
    answer = await known(editor, hashes)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["sha256"]


async def test_only_editors_ask_and_only_of_galleries(editor: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    assert (await known(viewer, ["0" * 64])).status_code == 403
    assert (await known(editor, ["0" * 64], "/entities/inventory_items/NONE")).status_code == 404


async def test_the_api_finds_a_file_by_its_hash_in_any_gallery(editor: httpx.AsyncClient) -> None:
    data = samples.shapes(1)
    ids = {await add(editor, data), await add(editor, data, id="CUP")}
    await add(editor, samples.shapes(2))
    found = (await editor.get("/api/images", params={"sha256": sha256(data)})).json()
    assert ({image["id"] for image in found["images"]}, found["total"]) == (ids, 2)
    assert (await editor.get("/api/images", params={"sha256": sha256(b"")})).json()["images"] == []
    wrong = await editor.get("/api/images", params={"sha256": "abc"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "sha256")


async def test_similar_pictures_are_those_of_the_gallery_that_look_alike(editor: httpx.AsyncClient) -> None:
    data = samples.shapes(1)
    first = await add(editor, data)
    await add(editor, samples.shapes(2))
    await add(editor, data, id="CUP")
    copy = await add(editor, data, allow_duplicate="true")
    near = await add(editor, saved_again(data))
    trashed = await add(editor, samples.save(Image.open(io.BytesIO(data)), "JPEG", quality=70))
    await editor.post(f"/api/images/{trashed}/trash")
    similar = (await editor.get(f"/api/images/{near}/similar")).json()
    assert [image["id"] for image in similar["images"]] == [first, copy]
    assert (similar["total"], similar["next"]) == (2, None)
    assert (await editor.get("/api/images/019394c4-7d1e-7000-8000-000000000000/similar")).status_code == 404


async def test_of_many_that_look_alike_only_as_many_as_are_shown_are_read(
    editor: httpx.AsyncClient, app: Litestar
) -> None:
    ids = [await add(editor, samples.distinct(1), allow_duplicate="true") for _ in range(4)]
    found = await lookalikes_of(UUID(ids[0]), app.state.parts.links, limit=2)
    assert [each.id for each in found] == ids[1:3]


async def test_a_picture_that_looks_like_another_is_stored_with_a_hint(editor: httpx.AsyncClient) -> None:
    data = samples.shapes(1)
    first = await add(editor, data, alt_text="The old <one>")
    assert "twins" not in await add_on_page(editor, samples.shapes(2))
    html = await add_on_page(editor, saved_again(data))
    assert 'data-name="The old &lt;one&gt;"' in html
    assert f'href="/images/{first}"' in html
    assert "Remove the new one" in html


async def test_a_copy_that_was_asked_for_and_plain_pictures_get_no_hint(editor: httpx.AsyncClient) -> None:
    data = samples.shapes(1)
    await add(editor, data)
    assert "twins" not in await add_on_page(editor, data, allow_duplicate="true")
    for tone in ("white", "#fdfdfd", "#eeeeee"):
        plain = samples.save(Image.new("RGB", (200, 150), tone), "PNG")
        form = {"file": ("plain.png", plain)}
        answer = await editor.post(f"{MUG}/images", files=form, headers=HTMX)
        assert answer.status_code == 201
        assert "twins" not in answer.text


async def test_pages_say_whose_account_it_is_and_to_a_token_nothing(editor: httpx.AsyncClient) -> None:
    assert 'data-account=""' in (await editor.get(MUG, headers={"accept": "text/html"})).text


async def test_twenty_equal_files_from_trays_at_once_make_one_picture(editor: httpx.AsyncClient) -> None:
    data = samples.shapes(7)

    async def send(key: str) -> httpx.Response:
        form = {"file": (f"{key}.jpg", data)}
        return await editor.post(f"{MUG}/images", files=form, headers=HTMX | {"idempotency-key": key})

    answers = await asyncio.gather(*(send(f"key-{number}") for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"duplicate"}
    again = await asyncio.gather(*(send(f"key-{number}") for number in range(20)))
    assert sorted(answer.status_code for answer in again) == [201] + [409] * 19
    assert (await editor.get("/api/images/entity/inventory_items/MUG")).json()["total"] == 1
