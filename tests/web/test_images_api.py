"""Reading and changing images over the API: lists, galleries, metadata, order, trash, links, deletion."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery.forms import PictureFields
from portal.gallery.renditions import render_all
from portal.gallery.tasks import purge_objects
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import render, working_app

MUG = "/api/images/entity/inventory_items/MUG"
VISITOR_FIELDS = set("id width height frames alt_text caption is_primary sort_order placeholder renditions".split())


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_DELETES_PER_HOUR="3") as app:
        yield app


@pytest.fixture
async def three(studio: Studio) -> list[str]:
    """The ids of a gallery of three, in its order."""
    ref = await make_entity(id="MUG")
    return [str(await studio.add(ref)) for _ in range(3)]


async def change(client: httpx.AsyncClient, id: str, sent: Any, **headers: str) -> httpx.Response:
    return await client.put(f"/api/images/{id}/metadata", json=sent, headers=headers)


async def gallery(client: httpx.AsyncClient) -> list[tuple[str, bool, int]]:
    images = (await client.get(MUG)).json()["images"]
    return [(image["id"], image["is_primary"], image["sort_order"]) for image in images]


def named(answer: httpx.Response) -> set[str]:
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_field"), answer.text
    return {error["field"] for error in answer.json()["errors"]}


async def test_visitors_see_ready_pictures_and_nothing_else_about_them(
    visitor: httpx.AsyncClient, viewer: httpx.AsyncClient, three: list[str], studio: Studio
) -> None:
    await database.execute("UPDATE image SET status = 'failed' WHERE id = $1", three[2])
    seen = (await visitor.get(MUG)).json()
    assert seen["entity"] == {"type": "inventory_items", "id": "MUG", "name": "Fjord mug"}
    assert [set(image) for image in seen["images"]] == [VISITOR_FIELDS] * 2
    assert (seen["total"], seen["next"]) == (2, None)
    staff = (await viewer.get(MUG)).json()
    assert (staff["total"], [image["id"] for image in staff["images"]]) == (3, three)
    assert staff["entity"]["image_count"] == 3


async def test_private_galleries_look_to_visitors_like_unknown_ones(
    visitor: httpx.AsyncClient, viewer: httpx.AsyncClient, studio: Studio
) -> None:
    await studio.add(await make_entity("customers", "ANA"))
    private = await visitor.get("/api/images/entity/customers/ANA")
    unknown = await visitor.get("/api/images/entity/customers/BOB")
    without_names = [
        {**answer.json(), "request_id": "", "detail": answer.json()["detail"].replace("BOB", "ANA")}
        for answer in (private, unknown)
    ]
    assert without_names[0] == without_names[1]
    assert (private.status_code, unknown.status_code) == (404, 404)
    image = (await viewer.get("/api/images/entity/customers/ANA")).json()["images"][0]
    assert "&sig=" in image["renditions"]["card"]["url"]


async def test_a_gallery_and_the_list_are_read_page_by_page(viewer: httpx.AsyncClient, three: list[str]) -> None:
    for path, order in ((MUG, three), ("/api/images", three[::-1])):
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await viewer.get(path, params={"limit": "2", "cursor": cursor})).json()
            seen += [image["id"] for image in page["images"]]
            assert page["total"] == 3
            if page["next"] is None:
                break
            cursor = page["next"]
        assert seen == order


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=x", "status=lost", "type=mugs", "tag=a%00"]
)
async def test_a_wrong_query_is_named(viewer: httpx.AsyncClient, query: str) -> None:
    assert named(await viewer.get(f"/api/images?{query}")) == {query.partition("=")[0]}


async def test_the_list_is_narrowed_by_state_type_and_tag(viewer: httpx.AsyncClient, studio: Studio) -> None:
    tagged = await studio.add(await make_entity(), fields=PictureFields(tags=("front",)))
    pending = await studio.add(await make_entity("companies"), ready=False)
    for query, found in (("tag=front", tagged), ("status=pending", pending), ("type=companies", pending)):
        answer = (await viewer.get(f"/api/images?{query}")).json()
        assert ([image["id"] for image in answer["images"]], answer["total"]) == ([str(found)], 1), query


async def test_only_what_is_sent_changes_and_null_clears(editor: httpx.AsyncClient, three: list[str]) -> None:
    said = {
        "alt_text": "A mug",
        "decorative": True,
        "caption": "Blue",
        "tags": ["front", "studio"],
        "focal_point": {"x": 0.25, "y": 1},
        "attributes": {"shelf": [1, {"row": "b"}]},
    }
    assert (await change(editor, three[0], said)).status_code == 200
    image = (await change(editor, three[0], {"caption": "Green"})).json()
    assert {name: image[name] for name in said} == said | {"caption": "Green", "focal_point": {"x": 0.25, "y": 1.0}}
    image = (await change(editor, three[0], dict.fromkeys(said) | {"edits": None})).json()
    assert {name: image[name] for name in said} == {
        "alt_text": None,
        "decorative": False,
        "caption": None,
        "tags": [],
        "focal_point": None,
        "attributes": {},
    }


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"sha256": "0"}, "sha256"),
        ({"status": "ready"}, "status"),
        ({"sort_order": 0}, "sort_order"),
        ({"entity": {"type": "customers", "id": "x"}}, "entity"),
        ({"colour": "blue"}, "colour"),
        ({"\ud800": 1}, "?"),
        ({"alt_text": 7}, "alt_text"),
        ({"alt_text": "\ud800"}, "alt_text"),
        ({"caption": "x" * 2001}, "caption"),
        ({"tags": "front"}, "tags"),
        ({"focal_point": {"x": 1.5, "y": 0}}, "focal_point"),
        ({"focal_point": {"x": float("nan"), "y": 0}}, "focal_point"),
        ({"focal_point": {"x": True, "y": 0}}, "focal_point"),
        ({"focal_point": {"x": 10**400, "y": 0}}, "focal_point"),
        ({"is_primary": "yes"}, "is_primary"),
        ({"attributes": [1]}, "attributes"),
        ({"attributes": {"a": float("nan")}}, "attributes"),
        ({"attributes": {"a": "\0"}}, "attributes"),
        ({"attributes": {"\ud800": 1}}, "attributes"),
        ({"attributes": {"a": 10**400}}, "attributes"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_changes(
    editor: httpx.AsyncClient, three: list[str], sent: dict[str, Any], field: str
) -> None:
    before = (await editor.get(f"/api/images/{three[0]}")).json()
    body = json.dumps({"caption": "new"} | sent).encode()
    assert named(await editor.put(f"/api/images/{three[0]}/metadata", content=body)) == {field}
    assert (await editor.get(f"/api/images/{three[0]}")).json() == before


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"{", 400), (b"\xff", 400), (b"[]", 422), (b"1", 422)])
async def test_a_body_that_is_no_object_is_refused(
    editor: httpx.AsyncClient, three: list[str], body: bytes, status: int
) -> None:
    assert (await editor.put(f"/api/images/{three[0]}/metadata", content=body)).status_code == status


async def test_a_change_of_what_was_not_seen_is_stale(editor: httpx.AsyncClient, three: list[str]) -> None:
    seen = (await editor.get(f"/api/images/{three[0]}")).headers["etag"]
    assert (await change(editor, three[0], {"caption": "a"}, **{"If-Match": seen})).status_code == 200
    stale = await change(editor, three[0], {"caption": "b"}, **{"If-Match": seen})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert (await change(editor, three[0], {"caption": "c"}, **{"If-Match": '"never"'})).status_code == 412
    assert (await change(editor, three[0], {"caption": "d"}, **{"If-Match": "*"})).status_code == 200


async def test_becoming_ready_and_primary_overtakes_nobody_who_writes(
    editor: httpx.AsyncClient, studio: Studio
) -> None:
    ref = await make_entity()
    first, second = await studio.add(ref, ready=False), await studio.add(ref, ready=False)
    seen = {id: (await editor.get(f"/api/images/{id}")).headers["etag"] for id in (first, second)}
    await render_all(second, store=studio.store, pool=studio.pool)
    await database.execute("UPDATE image SET status = 'failed' WHERE id = $1", first)
    await render_all(second, store=studio.store, pool=studio.pool)
    await editor.delete(f"/api/images/{first}")
    assert (await editor.get(f"/api/images/{second}")).json()["is_primary"]
    answer = await change(editor, str(second), {"caption": "mine"}, **{"If-Match": seen[second]})
    assert answer.status_code == 200


async def test_one_picture_of_a_gallery_is_always_primary(editor: httpx.AsyncClient, three: list[str]) -> None:
    first, second, _ = three
    for value in (False, None):
        refused = await change(editor, first, {"is_primary": value})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await change(editor, second, {"is_primary": False})).status_code == 200
    assert (await change(editor, second, {"is_primary": True})).json()["is_primary"]
    assert [is_primary for _, is_primary, _ in await gallery(editor)] == [False, True, False]


async def test_order_takes_all_ids_each_once(editor: httpx.AsyncClient, three: list[str]) -> None:
    answer = await editor.put(f"{MUG}/order", json={"ids": three[::-1]})
    assert answer.status_code == 200
    assert [(image["id"], image["sort_order"]) for image in answer.json()["images"]] == [
        (id, place) for place, id in enumerate(three[::-1])
    ]
    for wrong in (three[1:], three[:1] * 3, [*three, str(uuid4())], []):
        refused = await editor.put(f"{MUG}/order", json={"ids": wrong})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    for bad in ({"ids": ["x"]}, {"ids": "x"}, {"ids": [None]}, {}):
        assert named(await editor.put(f"{MUG}/order", json=bad)) == {"ids"}
    assert named(await editor.put(f"{MUG}/order", json={"ids": three, "order": 1})) == {"order"}
    assert (await editor.put(f"{MUG}/order", json=three)).status_code == 400


async def test_trash_takes_out_and_restore_puts_back(
    editor: httpx.AsyncClient, visitor: httpx.AsyncClient, three: list[str]
) -> None:
    first, second, third = three
    trashed = (await editor.post(f"/api/images/{first}/trash")).json()
    assert trashed["trashed_at"].endswith("Z")
    assert not trashed["is_primary"]
    assert await gallery(editor) == [(second, True, 0), (third, False, 1)]
    assert (await editor.get("/api/entities/inventory_items/MUG")).json()["image_count"] == 2
    assert (await visitor.get(f"/api/images/serve/{first}")).status_code == 404
    again = await editor.post(f"/api/images/{first}/trash")
    assert (again.status_code, again.json()["trashed_at"]) == (200, trashed["trashed_at"])
    restored = (await editor.post(f"/api/images/{first}/restore")).json()
    assert (restored["trashed_at"], restored["is_primary"], restored["sort_order"]) == (None, True, 0)
    assert await gallery(editor) == [(first, True, 0), (second, False, 1), (third, False, 2)]


async def test_delete_is_for_good_and_the_next_becomes_primary(
    editor: httpx.AsyncClient, app: Litestar, db: None
) -> None:
    await make_entity(id="MUG")
    ids = []
    for number in (1, 2):
        form = {"entity_type": "inventory_items", "entity_id": "MUG"}
        sent = await editor.post("/api/images/upload", data=form, files={"file": ("a.jpg", samples.distinct(number))})
        ids.append(sent.json()["id"])
        await render(app, ids[-1])
    store = app.state.parts.store
    assert sum(ids[0] in entry.key for entry in store.walk()) == 8
    answer = await editor.delete(f"/api/images/{ids[0]}")
    assert (answer.status_code, answer.content) == (204, b"")
    await purge_objects({}, store=store)
    assert sum(ids[0] in entry.key for entry in store.walk()) == 0
    assert await gallery(editor) == [(ids[1], True, 0)]
    for path in (f"/api/images/{ids[0]}", f"/api/images/serve/{ids[0]}"):
        assert (await editor.get(path)).status_code == 404
    assert (await editor.delete(f"/api/images/{ids[0]}")).status_code == 404
    await editor.post(f"/api/images/{ids[1]}/trash")
    assert (await editor.delete(f"/api/images/{ids[1]}")).status_code == 204


async def test_an_editor_removes_only_so_many_an_hour(
    editor: httpx.AsyncClient, admin: httpx.AsyncClient, studio: Studio
) -> None:
    ref = await make_entity(id="MUG")
    ids = [str(await studio.add(ref, ready=False)) for _ in range(5)]
    assert (await editor.delete(f"/api/images/{ids[0]}")).status_code == 204
    whole = await editor.delete("/api/entities/inventory_items/MUG")
    assert (whole.status_code, whole.json()["code"]) == (429, "rate_limited")
    assert (await editor.post(f"/api/images/{ids[1]}/trash")).status_code == 200
    assert (await editor.post(f"/api/images/{ids[2]}/trash")).status_code == 200
    for answer in (await editor.delete(f"/api/images/{ids[3]}"), await editor.post(f"/api/images/{ids[3]}/trash")):
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 0
    assert (await admin.delete(f"/api/images/{ids[3]}")).status_code == 204
    assert (await admin.delete("/api/entities/inventory_items/MUG")).status_code == 204


async def test_a_link_is_for_one_size_and_never_for_the_original(
    editor: httpx.AsyncClient, visitor: httpx.AsyncClient, app: Litestar, studio: Studio
) -> None:
    id = str(await studio.add(await make_entity("customers", "ANA")))
    answer = await editor.post(f"/api/images/{id}/url", json={"size": "card", "seconds": 60})
    url = answer.json()["url"]
    assert url.startswith(f"/api/images/serve/{id}?size=card&v=1.1&exp=")
    assert "sig" in url.rpartition("&")[2]
    assert answer.json()["expires_at"].endswith("Z")
    for field, sent in (("size", {"size": "original"}), ("seconds", {"seconds": 0}), ("name", {"name": 1})):
        assert named(await editor.post(f"/api/images/{id}/url", json=sent)) == {field}
    assert (await editor.post(f"/api/images/{id}/url")).status_code == 400
    start = url.index(id)
    for place in (*range(start, start + 36), *range(url.index("size"), len(url))):
        for flip in (1, 32):
            letter = chr(ord(url[place]) ^ flip)
            if letter.isalnum() or letter in "-_=&.":
                assert (await visitor.get(url[:place] + letter + url[place + 1 :])).status_code == 404, (place, letter)


async def test_an_expired_link_is_gone(visitor: httpx.AsyncClient, app: Litestar, studio: Studio) -> None:
    id = await studio.add(await make_entity("customers", "ANA"))
    expired = await visitor.get(app.state.parts.links.signed(id, "card", 1, 1, int(time.time()) - 1))
    assert (expired.status_code, expired.json()["code"]) == (410, "gone")
    assert expired.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("id", ["x", "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_image_is_not_found_whatever_is_asked(editor: httpx.AsyncClient, id: str) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/trash"),
        ("POST", "/restore"),
        ("POST", "/url"),
        ("PUT", "/metadata"),
    ):
        answer = await editor.request(method, f"/api/images/{id}{path}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


async def test_head_answers_as_get_does_without_the_body(admin: httpx.AsyncClient, three: list[str]) -> None:
    paths = ["/", "/login", "/docs", "/api/images", f"/api/images/{three[0]}", MUG, "/api/jobs", "/health/live"]
    as_it_is = {"accept-encoding": "identity"}  # squeezed, each answer has another length
    for path in (*paths, "/entities/inventory_items/MUG", "/embed/inventory_items/MUG", "/api/images/none"):
        got, headed = await admin.get(path, headers=as_it_is), await admin.head(path, headers=as_it_is)
        assert (headed.status_code, headed.content) == (got.status_code, b""), path
        assert headed.headers["content-length"] == got.headers["content-length"], path
    refused = await admin.patch("/api/images")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (await admin.head("/api/images/upload")).status_code == 405
