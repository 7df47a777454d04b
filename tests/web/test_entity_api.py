"""`/api/entities` and `/api/search` as scripts see them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.entities.kinds import KINDS
from portal.gallery.forms import PictureFields
from tests.factories import Studio, make_entity
from tests.web.whole_app import whole_app

MUG = "/api/entities/inventory_items/MUG-1"
INVOICE = "/api/entities/invoices/INV-1"
FIELDS = {
    "type",
    "id",
    "name",
    "reference",
    "parent",
    "attributes",
    "image_count",
    "primary",
    "created_at",
    "updated_at",
}
INVOICE_FIELDS = {"number", "date", "currency", "total", "lines"}


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


def fields_of(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    return {error["field"] for error in answer.json()["errors"]}


async def test_put_creates_then_replaces_the_whole(editor: httpx.AsyncClient) -> None:
    made = await editor.put(MUG, json={"name": "Mug", "reference": "A", "attributes": {"colour": "blue"}})
    assert made.status_code == 201
    replaced = await editor.put(MUG, json={"name": "Blue mug"})
    assert replaced.status_code == 200
    entity = replaced.json()
    assert set(entity) == FIELDS
    assert (entity["name"], entity["reference"], entity["attributes"]) == ("Blue mug", None, {})
    assert entity["created_at"].endswith("Z")
    assert (await editor.get(MUG)).json() == entity


async def test_an_invoice_gives_each_line_its_items_primary_picture(editor: httpx.AsyncClient, studio: Studio) -> None:
    item = await make_entity(id="MUG-1")
    image_id = await studio.add(item)
    lines = [
        {"item": "MUG-1", "description": "Mug", "quantity": "2", "unit_price": "14.50"},
        {"item": "NOT-YET", "description": "Bowl", "quantity": 0.5},
    ]
    body = {"name": "I", "number": "1", "date": "2026-11-03", "currency": "EUR", "total": "29.00", "lines": lines}
    answer = await editor.put(INVOICE, json=body)
    assert answer.status_code == 201
    invoice = answer.json()
    assert set(invoice) == FIELDS | INVOICE_FIELDS
    assert (invoice["total"], invoice["date"]) == ("29.00", "2026-11-03")
    mug, bowl = invoice["lines"]
    assert mug["picture"]["id"] == str(image_id)
    assert set(mug["picture"]["renditions"]) >= {"icon", "card", "optimized"}
    assert (mug["item_name"], mug["quantity"], mug["unit_price"], mug["amount"]) == ("Fjord mug", "2", "14.50", "29.00")
    assert (bowl["picture"], bowl["item_name"], bowl["quantity"], bowl["amount"]) == (None, None, "0.5", None)


async def test_every_bad_field_is_named(editor: httpx.AsyncClient) -> None:
    body = {"name": "", "total": "12,50", "image_count": 4, "lines": [{"description": "x"}]}
    assert fields_of(await editor.put(INVOICE, json=body)) == {"name", "total", "image_count", "lines[0].quantity"}
    assert fields_of(await editor.put(MUG, json={"name": "Mug", "total": "1"})) == {"total"}
    assert fields_of(await editor.put("/api/entities/customers/RE 2026", json={"name": "A"})) == {"id"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"a"', b"\xff", b'{"name": "\xff"}', b"[" * 100_000],
    ids=lambda body: ascii(body[:9]),
)
async def test_body_that_is_no_object_is_a_bad_request(editor: httpx.AsyncClient, body: bytes) -> None:
    answer = await editor.put(MUG, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("text", ['"\\u0000"', '"\\ud800"', "NaN", "1e999", '"\\u202e"'])
async def test_what_the_database_cannot_hold_is_the_senders_to_mend(editor: httpx.AsyncClient, text: str) -> None:
    for name in ("name", "reference", "attributes", "total"):
        body = (
            f'{{"name": "Mug", "{name}": {{"a": {text}}}}}'
            if name == "attributes"
            else f'{{"name": "M", "{name}": {text}}}'
        )
        answer = await editor.put(INVOICE, content=body.encode(), headers={"content-type": "application/json"})
        assert fields_of(answer) == {name}


async def test_unknown_entities_and_types_are_not_found(viewer: httpx.AsyncClient) -> None:
    for path in (
        "inventory_items/NO",
        "items/MUG-1",
        "invoices/NO",
        "inventory_items/..%2F",
        f"customers/{quote('ø')}",
    ):
        answer = await viewer.get(f"/api/entities/{path}")
        assert answer.status_code == 404, path
    assert (await viewer.get("/api/entities/inventory_items/NO")).json()["code"] == "no_such_entity"


async def test_stale_put_is_refused_by_its_tag(editor: httpx.AsyncClient) -> None:
    tag = (await editor.put(MUG, json={"name": "A"})).headers["etag"]
    assert (await editor.put(MUG, json={"name": "B"}, headers={"if-match": tag})).status_code == 200
    assert (await editor.put(MUG, json={"name": "C"}, headers={"if-match": tag})).status_code == 412
    assert (await editor.put(MUG, json={"name": "C"}, headers={"if-match": '"never ours"'})).status_code == 412
    assert (await editor.get(MUG)).json()["name"] == "B"


async def test_delete_takes_pictures_and_counts_along(editor: httpx.AsyncClient, studio: Studio) -> None:
    await studio.add(await make_entity(id="MUG-1"))
    assert (await editor.delete(MUG)).status_code == 204
    assert (await editor.delete(MUG)).status_code == 404
    assert await database.fetch_value("SELECT count(*) FROM image") == 0


async def test_roles_are_asked_for(
    visitor: httpx.AsyncClient, viewer: httpx.AsyncClient, editor: httpx.AsyncClient
) -> None:
    await make_entity(id="MUG-1")
    for path in ("/api/entities", MUG, "/api/search?q=mug"):
        assert [(await client.get(path)).status_code for client in (visitor, viewer, editor)] == [401, 200, 200]
    for client, status in ((visitor, 401), (viewer, 403)):
        assert (await client.put(MUG, json={"name": "X"})).status_code == status
        assert (await client.delete(MUG)).status_code == status
        answer = await client.post("/api/entities/import", content=b"", headers={"content-type": "text/csv"})
        assert answer.status_code == status


async def test_list_pages_through_everything(viewer: httpx.AsyncClient) -> None:
    for number in range(7):
        await make_entity("customers", f"c{number}", f"Customer {number}")
    await make_entity("companies", "x", "Company")
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await viewer.get("/api/entities", params={"type": "customers", "limit": 3, "cursor": cursor})
        page = answer.json()
        assert set(page) == {"entities", "total", "next"}
        assert page["total"] == 7
        found += [entity["id"] for entity in page["entities"]]
        cursor = page["next"]
    assert found == [f"c{number}" for number in range(7)]
    assert (await viewer.get("/api/entities")).json()["total"] == 8


async def test_list_filters_by_what_is_missing(viewer: httpx.AsyncClient, studio: Studio) -> None:
    await make_entity(id="BARE")
    await studio.add(await make_entity(id="SHOWN"), fields=PictureFields(alt_text="A mug"), ready=False)
    await studio.add(await make_entity(id="UNSAID"), ready=False)
    found = {
        missing: [row["id"] for row in (await viewer.get(f"/api/entities?missing={missing}")).json()["entities"]]
        for missing in ("image", "primary", "alt")
    }
    assert found["image"] == ["BARE"]
    assert "BARE" in found["primary"]
    assert found["alt"] == ["UNSAID"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "type=items", "missing=all", "sort=price", "cursor=x"]
)
async def test_wrong_queries_are_named(viewer: httpx.AsyncClient, query: str) -> None:
    assert fields_of(await viewer.get(f"/api/entities?{query}")) == {query.partition("=")[0]}


@pytest.mark.parametrize(
    "text",
    ["'", "&|!:*()\\", "\0", "'; DROP TABLE entity; --", "%", "\ud7ff", "a" * 3000],
    ids=lambda text: ascii(text)[:16],
)
async def test_search_survives_whatever_is_typed(viewer: httpx.AsyncClient, text: str) -> None:
    await make_entity()
    for path in ("/api/entities", "/api/search"):
        answer = await viewer.get(path, params={"q": f"mug {text}"})
        assert answer.status_code == 200, answer.text


async def test_search_gives_entities_and_images_each_with_its_picture(
    viewer: httpx.AsyncClient, studio: Studio
) -> None:
    image_id = await studio.add(await make_entity(name="Fjord mug"), fields=PictureFields(alt_text="Mug from above"))
    found = (await viewer.get("/api/search?q=mu")).json()
    assert [entity["primary"]["id"] for entity in found["entities"]] == [str(image_id)]
    assert [image["id"] for image in found["images"]] == [str(image_id)]
    assert found["images"][0]["renditions"]["icon"]["url"].startswith("/api/images/serve/")
    assert (await viewer.get("/api/search")).json() == {
        "entities": [],
        "images": [],
        "next": {"entities": None, "images": None},
    }


async def test_import_takes_a_body_or_a_form(editor: httpx.AsyncClient) -> None:
    csv = b"type,id,name\ncustomers,1,Ana\ncustomers,2,\n"
    first = await editor.post("/api/entities/import", content=csv, headers={"content-type": "text/csv"})
    assert first.status_code == 200
    report = first.json()
    assert (report["created"], report["refused"], report["errors"][0]["line"]) == (1, 1, 3)
    lines = json.dumps({"type": "customers", "id": "1", "name": "Anna"}).encode()
    second = await editor.post("/api/entities/import", files={"file": ("a.jsonl", lines, "application/jsonl")})
    assert second.json()["changed"] == 1
    third = await editor.post("/api/entities/import", content=lines, headers={"content-type": "application/x-ndjson"})
    assert third.json()["unchanged"] == 1


async def test_strict_import_with_a_bad_row_changes_nothing(editor: httpx.AsyncClient) -> None:
    csv = b"type,id,name\ncustomers,1,Ana\ncustomers,2,\n"
    answer = await editor.post("/api/entities/import?strict=1", content=csv, headers={"content-type": "text/csv"})
    assert fields_of(answer) == {"line 3"}
    assert await database.fetch_value("SELECT count(*) FROM entity") == 0


async def test_import_takes_more_than_an_ordinary_request_and_less_than_without_end(editor: httpx.AsyncClient) -> None:
    row = json.dumps({"type": "customers", "id": "1", "name": "A", "attributes": {"note": "x" * 60_000}}) + "\n"
    headers = {"content-type": "application/jsonl"}

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield row.encode()

    answer = await editor.post("/api/entities/import", content=row.encode() * 30, headers=headers)
    assert (answer.status_code, answer.json()["unchanged"]) == (200, 29)
    answer = await editor.post("/api/entities/import", content=chunks(400), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_import_of_something_else_is_refused(editor: httpx.AsyncClient) -> None:
    url = "/api/entities/import"
    assert (await editor.post(url, content=b"x", headers={"content-type": "image/png"})).status_code == 415
    assert (await editor.post(url, files={"file": ("a.xlsx", b"PK")})).status_code == 415
    latin = "type,id,name\ncustomers,1,José\n".encode("latin-1")
    assert fields_of(await editor.post(url, content=latin, headers={"content-type": "text/csv"})) == {"file"}


async def test_every_type_takes_the_whole_alphabet_of_ids(editor: httpx.AsyncClient) -> None:
    for type in KINDS:
        path = f"/api/entities/{type}/Az09._-~:"
        assert (await editor.put(path, json={"name": "A"})).status_code == 201
        entity: dict[str, Any] = (await editor.get(path)).json()
        assert (entity["type"], entity["id"]) == (type, "Az09._-~:")
