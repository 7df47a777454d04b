"""Another file for a picture over the API, its versions, and who gets which bytes."""

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

from portal import database
from portal.gallery.renditions import render_all
from portal.gallery.tasks import purge_objects
from portal.media.catalogue import load_entry, load_old_version
from tests import samples
from tests.factories import Studio, make_entity
from tests.waiting import eventually
from tests.web.whole_app import caller, render, whole_app, working_app

PERSONAL = "private, no-store"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_MAX_UPLOAD_MB="1") as app:
        yield app


@pytest.fixture
def studio(db: None, app: Litestar) -> Studio:
    """The app's own store and children."""
    parts = app.state.parts
    return Studio(parts.store, parts.pool)


@pytest.fixture
async def id(studio: Studio) -> str:
    """A picture that is ready, in a public gallery."""
    return str(await studio.add(await make_entity(), samples.jpeg(640, 480), filename="first.jpg"))


async def send(
    client: httpx.AsyncClient, id: str, data: bytes, filename: str = "second.png", **options: Any
) -> httpx.Response:
    headers = options.pop("headers", {})
    return await client.put(f"/api/images/{id}/file", files={"file": (filename, data)}, data=options, headers=headers)


async def get(client: httpx.AsyncClient, id: str, **query: str) -> httpx.Response:
    return await client.get(f"/api/images/serve/{id}", params=query)


async def versions(client: httpx.AsyncClient, id: str, **query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/images/{id}/versions", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_another_file_answers_with_the_image_as_it_is_now(editor: httpx.AsyncClient, id: str, app: Litestar):
    data = samples.png(300, 200)
    answer = await send(editor, id, data)
    image = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{image["revision"]}"'
    assert (image["id"], image["version"], image["status"]) == (id, 2, "ready")
    assert (image["filename"], image["media_type"], image["width"]) == ("second.png", "image/png", 300)
    assert image["sha256"] == hashlib.sha256(data).hexdigest()
    assert image["renditions"]["card"]["url"].endswith("v=1.1")
    await render(app, id)
    image = (await editor.get(f"/api/images/{id}")).json()
    assert image["renditions"]["card"]["url"].endswith("v=2.1")
    again = await send(editor, id, data, headers={"If-Match": '"1"'})
    assert (again.status_code, again.json()) == (200, image)


async def test_versions_are_listed_newest_first_page_by_page(editor: httpx.AsyncClient, id: str, studio: Studio):
    for number in range(3):
        await send(editor, id, samples.distinct(number), "new.jpg")
    whole = await versions(editor, id)
    assert ([each["version"] for each in whole["versions"]], whole["total"], whole["next"]) == ([4, 3, 2, 1], 4, None)
    newest, *_, oldest = whole["versions"]
    assert set(oldest) == set(
        "version is_current is_pinned filename media_type bytes width height frames sha256 edits focal_point placeholder "
        "renditions uploaded_by created_at replaced_at".split()
    )
    assert [each["is_current"] for each in whole["versions"]] == [True, False, False, False]
    assert (newest["replaced_at"], oldest["replaced_at"][-1]) == (None, "Z")
    assert newest["uploaded_by"] == "token:editor"
    first = await versions(editor, id, limit="3")
    second = await versions(editor, id, limit="3", cursor=first["next"])
    assert [each["version"] for each in first["versions"] + second["versions"]] == [4, 3, 2, 1]
    assert (second["total"], second["next"]) == (4, None)
    for query in ("limit=0", "limit=x", "cursor=x"):
        assert code(await editor.get(f"/api/images/{id}/versions?{query}")) == (422, "bad_field")


async def test_an_old_version_is_brought_back(editor: httpx.AsyncClient, id: str, app: Litestar):
    first = (await editor.get(f"/api/images/{id}")).json()
    await editor.put(f"/api/images/{id}/metadata", json={"edits": {"rotate": 90}, "focal_point": {"x": 0, "y": 1}})
    await send(editor, id, samples.png())
    answer = await editor.post(f"/api/images/{id}/versions/1/restore")
    image = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{image["revision"]}"')
    assert (image["version"], image["sha256"], image["filename"]) == (3, first["sha256"], "first.jpg")
    assert (image["edits"], image["focal_point"]) == ({"rotate": 90}, {"x": 0.0, "y": 1.0})
    again = await editor.post(f"/api/images/{id}/versions/1/restore")
    assert (again.status_code, again.json()) == (200, image)
    await render(app, id)
    shown = (await get(editor, id)).content
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.size == (480, 640)


@pytest.mark.parametrize("number", ["7", "0", "-1", "x", "1.1", "9" * 30, "١"])
async def test_a_version_that_is_not_kept_is_not_found(editor: httpx.AsyncClient, id: str, number: str):
    assert code(await editor.post(f"/api/images/{id}/versions/{number}/restore")) == (404, "not_found")


async def test_lost_bytes_of_an_old_version_are_gone(editor: httpx.AsyncClient, id: str, studio: Studio):
    await send(editor, id, samples.png())
    (key,) = (each.key for each in studio.store.walk() if each.key.endswith(f"{id}-v1.jpg"))
    await studio.store.delete([key])
    assert code(await editor.post(f"/api/images/{id}/versions/1/restore")) == (410, "gone")
    assert code(await get(editor, id, size="original", v="1")) == (410, "gone")


async def test_what_is_no_good_file_is_refused_as_an_upload_is(editor: httpx.AsyncClient, id: str, studio: Studio):
    big = samples.noisy(1600, 1200)
    assert len(big) > 2**20
    for data, filename, status in (
        (samples.truncated(), "x.jpg", (422, "not_an_image")),
        (b"", "x.jpg", (422, "empty_file")),
        (b"text", "x.txt", (415, "unsupported_format")),
        (samples.png(), "x.jpg", (422, "extension_mismatch")),
        (samples.with_php(), "x.jpg", (422, "hostile_content")),
        (big, "x.jpg", (413, "too_large")),
    ):
        assert code(await send(editor, id, data, filename)) == status, filename
    for fields in (
        {"alt_text": "no"},
        {"sha256": "0"},
        {"entity_id": "MUG"},
        {"allow_duplicate": "maybe"},
        {"revision": "1"},
    ):
        assert code(await send(editor, id, samples.png(), **fields)) == (422, "bad_field")
    assert code(await editor.put(f"/api/images/{id}/file", data={"allow_duplicate": "1"}, files={})) == (
        415,
        "unsupported_format",
    )
    two = [("file", ("a.png", samples.png())), ("file", ("b.png", samples.png()))]
    assert (await editor.put(f"/api/images/{id}/file", files=two)).status_code == 400
    assert (await editor.get(f"/api/images/{id}")).json()["version"] == 1
    assert [each.key for each in studio.store.walk() if each.key.startswith("temp/")] == []


async def test_others_changes_duplicates_and_the_trash_stand_in_the_way(
    editor: httpx.AsyncClient, id: str, studio: Studio
):
    assert code(await send(editor, id, samples.png(), headers={"If-Match": '"99"'})) == (412, "stale")
    assert code(await editor.post(f"/api/images/{id}/versions/1/restore", headers={"If-Match": '"99"'})) == (
        412,
        "stale",
    )
    ref = await make_entity(id="TWINS")
    twin = await studio.add(ref, samples.png(), filename="x.png")
    mine = await studio.add(ref, samples.jpeg())
    refused = await send(editor, str(mine), samples.png())
    assert (*code(refused), refused.json()["image_id"]) == (409, "duplicate", str(twin))
    assert (await send(editor, str(mine), samples.png(), allow_duplicate="true")).status_code == 200
    await editor.post(f"/api/images/{id}/trash")
    assert code(await send(editor, id, samples.png())) == (409, "conflict")
    assert code(await editor.post(f"/api/images/{id}/versions/1/restore")) == (409, "conflict")
    assert (await versions(editor, id))["total"] == 1


async def test_a_full_disk_takes_no_other_file(id: str, app: Litestar):
    full = await caller(await whole_app(app.state.settings.data_dir, PORTAL_FREE_SPACE_MB="1000000"), "editor")
    assert code(await send(full, id, samples.png())) == (507, "disk_full")
    await send(await caller(app, "editor"), id, samples.png())
    assert code(await full.post(f"/api/images/{id}/versions/1/restore")) == (507, "disk_full")


@pytest.mark.parametrize("missing", ["x", "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_image_has_no_versions(editor: httpx.AsyncClient, missing: str):
    assert code(await send(editor, missing, samples.png())) == (404, "not_found")
    assert code(await editor.get(f"/api/images/{missing}/versions")) == (404, "not_found")
    assert code(await editor.post(f"/api/images/{missing}/versions/1/restore")) == (404, "not_found")


async def test_viewers_neither_see_nor_change_versions(viewer: httpx.AsyncClient, id: str):
    assert code(await send(viewer, id, samples.png())) == (403, "forbidden")
    assert code(await viewer.get(f"/api/images/{id}/versions")) == (403, "forbidden")
    assert code(await viewer.post(f"/api/images/{id}/versions/1/restore")) == (403, "forbidden")


async def test_editors_get_the_bytes_of_an_old_version_and_all_others_what_is_shown(
    editor: httpx.AsyncClient, viewer: httpx.AsyncClient, visitor: httpx.AsyncClient, id: str, app: Litestar
):
    old = (await get(visitor, id, size="card", v="1.1")).content
    await send(editor, id, samples.png(300, 200))
    await render(app, id)
    now = (await get(visitor, id, size="card", v="2.1")).content
    assert now != old
    url = (await versions(editor, id))["versions"][1]["renditions"]["card"]["url"]
    kept = await editor.get(url)
    assert (kept.status_code, kept.content, kept.headers["cache-control"]) == (200, old, PERSONAL)
    assert (await editor.head(url)).headers["content-length"] == str(len(old))
    part = await editor.get(url, headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, old[:10])
    for client in (viewer, visitor, await _with_header(app, authorization="Bearer pt_nobody")):
        answer = await client.get(url)
        assert (answer.content, answer.headers["cache-control"]) == (now, "public, max-age=60")
    for v in ("1", "1.1"):
        answer = await get(visitor, id, size="card", v=v)
        assert (answer.content, answer.headers["cache-control"]) == (now, "public, max-age=60")
    assert (await get(editor, id, size="card", v="1")).content == now
    for v in ("3.1", "2.2", "0", "x"):
        assert code(await get(editor, id, size="card", v=v)) == (404, "not_found")


async def _with_header(app: Litestar, **headers: str) -> httpx.AsyncClient:
    client = await caller(app, None)
    client.headers.update(headers)
    return client


async def test_an_old_original_is_for_editors_too(
    editor: httpx.AsyncClient, viewer: httpx.AsyncClient, visitor: httpx.AsyncClient, id: str, app: Litestar
):
    new = samples.png(300, 200)
    await send(editor, id, new)
    await render(app, id)
    old = await get(editor, id, size="original", v="1")
    assert (old.status_code, old.content, old.headers["content-type"]) == (200, samples.jpeg(640, 480), "image/jpeg")
    assert 'filename="first.jpg"' in old.headers["content-disposition"]
    assert old.headers["cache-control"] == PERSONAL
    current = await get(editor, id, size="original", v="2")
    assert (current.content, current.headers["cache-control"]) == (new, "private, max-age=300")
    seen = await get(viewer, id, size="original", v="1")
    assert (seen.content, seen.headers["cache-control"]) == (new, "private, max-age=60")
    assert code(await get(visitor, id, size="original", v="1")) == (404, "not_found")
    await database.execute("DELETE FROM image_version")
    assert code(await get(editor, id, size="original", v="1")) == (404, "not_found")


async def test_an_old_version_of_a_private_picture_is_for_editors(
    editor: httpx.AsyncClient, visitor: httpx.AsyncClient, studio: Studio, app: Litestar
):
    id = str(await studio.add(await make_entity("invoices"), samples.jpeg(640, 480)))
    await send(editor, id, samples.png(300, 200))
    await render(app, id)
    url = (await versions(editor, id))["versions"][1]["renditions"]["large"]["url"]
    assert "&sig=" in url
    old, seen = await editor.get(url), await visitor.get(url)
    assert old.headers["cache-control"] == PERSONAL
    assert old.content != seen.content
    assert (seen.status_code, seen.headers["cache-control"]) == (200, "private, max-age=60")
    assert code(await visitor.get(url.partition("&exp=")[0])) == (404, "not_found")


async def test_the_print_size_follows_the_edits_of_its_own_version(
    editor: httpx.AsyncClient, visitor: httpx.AsyncClient, id: str, app: Litestar
):
    await editor.put(
        f"/api/images/{id}/metadata", json={"edits": {"crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}}}
    )
    assert _size(await get(visitor, id, size="print")) == (640, 480)  # what is shown still, before the crop is rendered
    await render(app, id)
    assert _size(await get(visitor, id, size="print")) == (320, 480)
    await send(editor, id, samples.png(300, 200))
    assert _size(await get(visitor, id, size="print")) == (320, 480)
    await render(app, id)
    assert _size(await get(visitor, id, size="print")) == (300, 200)
    assert _size(await get(editor, id, size="print", v="1.2")) == (320, 480)


async def test_a_set_that_does_not_say_what_it_was_made_of_is_what_its_row_wants_while_that_wants_nothing_else(
    editor: httpx.AsyncClient, id: str, app: Litestar
):
    """As sets are that were made before pictures could be edited."""
    await editor.put(f"/api/images/{id}/metadata", json={"focal_point": {"x": 0.25, "y": 0.75}})
    await render(app, id)
    await database.execute("UPDATE image SET renditions = renditions - 'made_of'")
    assert await _print_point(id) == ((0.25, 0.75),)
    await editor.put(f"/api/images/{id}/metadata", json={"focal_point": {"x": 1, "y": 1}})
    assert await _print_point(id) is None
    await send(editor, id, samples.png())
    old = await load_old_version(UUID(id), 1)
    assert old
    assert old.print_from is None


async def _print_point(id: str) -> tuple[Any] | None:
    entry = await load_entry(UUID(id))
    assert entry
    return entry.print_from and (entry.print_from.focal_point,)


def _size(answer: httpx.Response) -> tuple[int, int]:
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as picture:
        return picture.size


async def test_a_deleted_picture_leaves_no_version_behind(editor: httpx.AsyncClient, id: str, studio: Studio):
    await send(editor, id, samples.png())
    assert (await editor.delete(f"/api/images/{id}")).status_code == 204
    await purge_objects({}, store=studio.store)
    assert [each.key for each in studio.store.walk() if id in each.key] == []
    assert await database.fetch_value("SELECT count(*) FROM image_version") == 0
    assert code(await get(editor, id, size="original", v="1")) == (404, "not_found")


@pytest.mark.parametrize(
    ("edits", "word"),
    [
        ({"turn": 1}, "turn"),
        ({"rotate": 91}, "clockwise"),
        ({"flip": "diagonal"}, "horizontal"),
        ({"crop": {"x": 0.5, "y": 0, "width": 0.6, "height": 1}}, "inside"),
        ({"crop": {"x": 0, "y": 0, "width": 0.001, "height": 1}}, "at least"),
        ("rotate", "rotate, flip, crop"),
    ],
)
async def test_edits_that_cannot_be_are_named(editor: httpx.AsyncClient, id: str, edits: Any, word: str):
    answer = await editor.put(f"/api/images/{id}/metadata", json={"edits": edits, "caption": "no"})
    assert code(answer) == (422, "bad_field")
    (error,) = answer.json()["errors"]
    assert error["field"] == "edits"
    assert word in error["message"]
    assert (await editor.get(f"/api/images/{id}")).json()["caption"] is None


async def test_edits_are_changed_as_other_metadata_is(editor: httpx.AsyncClient, id: str, app: Litestar):
    sent = {"rotate": 0, "flip": "vertical", "crop": {"x": 0.25, "y": 0, "width": 0.5, "height": 1}}
    kept = {"flip": "vertical", "crop": {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0}}
    answer = await editor.put(f"/api/images/{id}/metadata", json={"edits": sent})
    assert answer.json()["edits"] == kept
    assert (answer.json()["width"], answer.json()["height"]) == (640, 480)
    await render(app, id)
    image = (await editor.get(f"/api/images/{id}")).json()
    assert (image["renditions"]["optimized"]["width"], image["renditions"]["optimized"]["height"]) == (320, 480)
    assert image["renditions"]["card"]["url"].endswith("v=1.2")
    for nothing in (None, {}):
        answer = await editor.put(f"/api/images/{id}/metadata", json={"edits": nothing})
        assert answer.json()["edits"] == {}


async def test_waiting_for_another_file_is_waiting_for_its_renditions(
    editor: httpx.AsyncClient, id: str, studio: Studio
):
    waiting = asyncio.create_task(send(editor, id, samples.png(300, 200), headers={"Prefer": "wait=30"}))
    await eventually(lambda: database.fetch_value("SELECT version = 2 FROM image WHERE id = $1", UUID(id)))
    assert not waiting.done()
    await render_all(UUID(id), store=studio.store, pool=studio.pool)
    assert (await waiting).json()["renditions"]["card"]["url"].endswith("v=2.1")


async def test_an_idempotency_key_restores_once(editor: httpx.AsyncClient, id: str):
    await send(editor, id, samples.png())
    key = {"Idempotency-Key": "once"}
    first = await editor.post(f"/api/images/{id}/versions/1/restore", headers=key)
    await send(editor, id, samples.png(), allow_duplicate="1")
    second = await editor.post(f"/api/images/{id}/versions/1/restore", headers=key)
    assert second.json() == first.json()
    assert (await editor.get(f"/api/images/{id}")).json()["version"] == 4
