"""`Idempotency-Key` on every POST of the API: repeated, altered, at the same moment, after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.embed.keys import Grants
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

ONE = "/api/images/upload"
MANY = "/api/images/upload/multiple"
MUG = {"entity_type": "inventory_items", "entity_id": "MUG"}
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    await make_entity(id="MUG")
    return await caller(app, "editor")


async def upload(client: httpx.AsyncClient, data: bytes, key: str, path: str = ONE, **fields: str) -> httpx.Response:
    name = "file" if path == ONE else "files"
    return await client.post(path, data=MUG | fields, files={name: ("mug.jpg", data)}, headers={"Idempotency-Key": key})


def is_replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


@pytest.mark.parametrize("path", [ONE, MANY])
async def test_an_upload_sent_again_gives_the_first_answer(editor: httpx.AsyncClient, path: str) -> None:
    first = await upload(editor, samples.jpeg(), "k", path)
    again = await upload(editor, samples.jpeg(), "k", path)
    assert (first.status_code, is_replayed(first)) == (201, False)
    assert (again.status_code, again.text, is_replayed(again)) == (201, first.text, True)
    assert again.headers["cache-control"] == "no-store"
    assert await database.fetch_value("SELECT count(*) FROM image") == 1


async def test_a_key_is_for_one_body(editor: httpx.AsyncClient) -> None:
    await upload(editor, samples.distinct(1), "k")
    for changed in (
        await upload(editor, samples.distinct(2), "k"),
        await upload(editor, samples.distinct(1), "k", alt_text="A mug"),
    ):
        assert (changed.status_code, is_replayed(changed)) == (422, False)
        assert "another body" in changed.json()["detail"]


async def test_a_key_is_for_one_actor_and_one_route(editor: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await upload(editor, samples.jpeg(), "k")
    assert (await upload(admin, samples.jpeg(), "k")).json()["code"] == "duplicate"
    assert (await admin.post("/api/images/cleanup", headers={"Idempotency-Key": "k"})).status_code == 202


async def test_a_key_at_work_is_a_conflict(editor: httpx.AsyncClient) -> None:
    data = samples.noisy(1600, 1200)
    answers = await asyncio.gather(*(upload(editor, data, "k") for _ in range(4)))
    assert [answer.status_code for answer in answers if not is_replayed(answer)].count(201) == 1
    refused = [answer for answer in answers if answer.status_code != 201]  # who comes when it is done is told of it
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (409, "conflict", "1")
    assert await database.fetch_value("SELECT count(*) FROM image") == 1


async def test_a_process_that_died_is_not_running(editor: httpx.AsyncClient) -> None:
    first = (await upload(editor, samples.jpeg(), "k")).json()
    await database.execute(  # as a kill before the answer leaves it
        "UPDATE idempotency SET status = NULL, body = NULL, process = 1, stored = jsonb_build_object('0', $1::text)",
        first["id"],
    )
    retried = await upload(editor, samples.jpeg(), "k")
    assert (retried.status_code, retried.json()["id"]) == (201, first["id"])
    assert await database.fetch_value("SELECT count(*) FROM image") == 1


async def test_what_was_refused_is_decided_anew(editor: httpx.AsyncClient) -> None:
    assert (await upload(editor, b"hello", "k")).status_code == 415
    assert (await upload(editor, samples.jpeg(), "k")).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
async def test_a_key_that_cannot_be_one_is_named(editor: httpx.AsyncClient, key: str) -> None:
    answer = await upload(editor, samples.jpeg(), key)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_a_job_is_started_once_and_still_says_where_it_is(admin: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    first = await admin.post("/api/images/cleanup", json={}, headers=key)
    again = await admin.post("/api/images/cleanup", json={}, headers=key)
    assert (again.status_code, again.text, is_replayed(again)) == (202, first.text, True)
    assert again.headers["location"] == first.headers["location"]
    assert (await admin.post("/api/images/cleanup", json={"dry_run": False}, headers=key)).status_code == 422
    assert await database.fetch_value("SELECT count(*) FROM job") == 1


async def test_trash_restored_meanwhile_is_not_trashed_by_a_late_repetition(
    editor: httpx.AsyncClient, studio: Studio
) -> None:
    id = await studio.add(await make_entity())
    key = {"Idempotency-Key": "k"}
    first = await editor.post(f"/api/images/{id}/trash", headers=key)
    await editor.post(f"/api/images/{id}/restore")
    again = await editor.post(f"/api/images/{id}/trash", headers=key)
    assert again.text == first.text
    assert (await editor.get(f"/api/images/{id}")).json()["trashed_at"] is None


async def test_an_import_is_applied_once(editor: httpx.AsyncClient) -> None:
    rows = "type,id,name\ncustomers,ANA,Ana Berg\n"
    headers = CSV | {"Idempotency-Key": "k"}
    first = await editor.post("/api/entities/import", content=rows, headers=headers)
    again = await editor.post("/api/entities/import", content=rows, headers=headers)
    assert first.json()["created"] == 1, first.text
    assert (again.text, is_replayed(again)) == (first.text, True)
    for path, content in (("", f"{rows}customers,BO,Bo\n"), ("?strict=1", rows)):
        answer = await editor.post(f"/api/entities/import{path}", content=content, headers=headers)
        assert answer.status_code == 422
    form = await editor.post("/api/entities/import", files={"file": ("a.csv", rows)}, headers={"Idempotency-Key": "k"})
    assert is_replayed(form)


async def test_an_embed_key_is_made_once_and_said_again_though_nobody_kept_it(editor: httpx.AsyncClient) -> None:
    sent: dict[str, Any] = {"scope": {"type": "inventory_items", "id": "MUG"}}
    headers = {"Idempotency-Key": "k"}
    first = await editor.post("/api/embeds", json=sent, headers=headers)
    again = await editor.post("/api/embeds", json=sent, headers=headers)
    assert (first.status_code, again.status_code, is_replayed(again)) == (201, 201, True)
    assert again.json() == first.json()
    key = first.json()["key"]
    assert (await Grants().find_key(key)).scope.id == "MUG"
    kept = await database.fetch_row("SELECT * FROM idempotency")
    assert kept is not None
    assert key not in str(dict(kept))
    assert (await editor.post("/api/embeds", json=sent | {"captions": False}, headers=headers)).status_code == 422
    other = await editor.post("/api/embeds", json=sent, headers={"Idempotency-Key": "l"})
    assert other.json()["key"] != key


async def test_a_revoked_embed_key_is_not_said_again(editor: httpx.AsyncClient) -> None:
    sent, headers = {"scope": {"type": "inventory_items"}}, {"Idempotency-Key": "k"}
    made = (await editor.post("/api/embeds", json=sent, headers=headers)).json()
    assert (await editor.delete(f"/api/embeds/{made['id']}")).status_code == 204
    assert (await editor.post("/api/embeds", json=sent, headers=headers)).status_code == 410
