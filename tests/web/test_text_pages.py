"""Texts as CSV on their page: out as a file, in after a look, and what became of it."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.errors import NotFound
from portal.gallery import text_pages
from portal.gallery.text_tasks import TEXTS, TextFiles
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

PATH = "/settings/texts"
PLAIN, HTMX = {"accept": "text/html"}, {"accept": "text/html", "hx-request": "true"}
HOSTILE = '"><svg onload=alert(1)>{{7*7}}'


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def editor(db: None, app: Litestar, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    monkeypatch.setattr(text_pages, "PATIENCE", 0.0)  # no worker takes the jobs
    return await caller(app, "editor")


@pytest.fixture
async def image(app: Litestar, db: None) -> str:
    parts = app.state.parts
    return str(await Studio(parts.store, parts.pool).add(await make_entity(name=HOSTILE), ready=False))


async def look(
    client: httpx.AsyncClient, text: str | bytes, headers: dict[str, str] = PLAIN, name: str = "t.csv"
) -> Any:
    return await client.post(PATH, files={"file": (name, text)}, headers=headers)


async def work(app: Litestar) -> None:
    """What the worker would do."""
    job = await database.fetch_value("SELECT id FROM job WHERE kind = $1 AND state = 'queued'", TEXTS)
    await app.state.parts.tasks()[TEXTS].run({"job": str(job)})


def kept(answer: httpx.Response) -> dict[str, str]:
    """The form that applies what was looked through."""
    found = dict(re.findall(r'name="(file|lines)" value="(\w+)"', answer.text))
    assert set(found) == {"file", "lines"}
    return found


@pytest.mark.parametrize("headers", [PLAIN, HTMX], ids=["plain", "htmx"])
async def test_a_file_is_looked_through_then_applied_by_a_job(
    app: Litestar, editor: httpx.AsyncClient, image: str, headers: dict[str, str]
) -> None:
    plan = await look(editor, f"image_id,alt_text\n{image},{HOSTILE.replace(chr(34), '')}\nmug,x\n", headers)
    assert plan.status_code == 200
    assert "1 picture would change" in plan.text
    assert "<b>Line 3</b>" in plan.text
    assert "<svg onload" not in plan.text
    assert await database.fetch_value("SELECT alt_text FROM image") is None
    answer = await editor.post(f"{PATH}/apply", data=kept(plan), headers=headers)
    if headers is PLAIN:
        answer = await editor.get(answer.headers["location"], headers=PLAIN)
    assert "Changing texts" in answer.text
    run = re.search(r'hx-get="([^"]+/runs/[^"]+)"', answer.text)
    assert run
    await work(app)
    done = await editor.get(run[1], headers=headers)
    assert "1 picture changed" in done.text
    assert "<b>Line 3</b>" in done.text
    assert "hx-trigger" not in done.text
    assert await database.fetch_value("SELECT alt_text FROM image") == HOSTILE.replace('"', "")
    again = await editor.post(f"{PATH}/apply", data=kept(plan), headers=headers)
    assert (again.status_code, "Choose it again" in again.text) == (422, True)


async def test_an_export_streams_what_an_import_takes(editor: httpx.AsyncClient, image: str) -> None:
    answer = await editor.get(f"{PATH}/export?type=inventory_items&missing=alt")
    assert answer.headers["content-disposition"].startswith('attachment; filename="texts-')
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["image_id"], row["name"]) == (image, HOSTILE)
    assert "Nothing would change" in (await look(editor, answer.content)).text
    for wrong in ("type=mugs", "missing=image", "id=%00", "id=a/b"):
        assert (await editor.get(f"{PATH}/export?{wrong}", headers=PLAIN)).status_code == 422


async def test_a_list_and_a_gallery_lead_to_their_own_texts(
    app: Litestar, editor: httpx.AsyncClient, image: str
) -> None:
    of_gallery = (await editor.get(f"/api/images/{image}")).json()["entity"]
    places = {
        f"/entities/inventory_items/{of_gallery['id']}": {**of_gallery, "missing": ""},
        "/entities/inventory_items": {"type": "inventory_items", "id": "", "missing": ""},
        "/entities/inventory_items?missing=alt": {"type": "inventory_items", "id": "", "missing": "alt"},
    }
    for path, wanted in places.items():
        link = re.search(rf'href="({PATH}[?][^"]+)"', (await editor.get(path, headers=PLAIN)).text)
        assert link, path
        text = (await editor.get(html.unescape(link[1]), headers=PLAIN)).text
        form = text.partition('action="/settings/texts/export"')[2].partition("</form>")[0]
        sent = dict(re.findall(r'type="hidden" name="(type|id)" value="([^"]*)"', form))
        if chosen := re.search(r'<option value="(\w+)" selected', form):
            sent = {"type": chosen[1], "id": ""}
        assert sent | {"missing": "alt" if 'value="alt" checked' in form else ""} == wanted
    assert (await editor.get(f"{PATH}?type=mugs", headers=PLAIN)).status_code == 422
    for path in places:
        assert f'"{PATH}?' not in (await (await caller(app, "viewer")).get(path, headers=PLAIN)).text


@pytest.mark.parametrize(
    ("name", "text", "status", "why"),
    [
        ("t.csv", b"name\nA mug\n", 422, "image_id must be among them"),
        ("t.csv", "image_id,alt_text\n1,Café".encode("latin-1"), 422, "is not UTF-8"),
        ("t.xlsx", b"PK", 415, "save it as “CSV UTF-8”"),
        ("t.csv", b"x" * (15 * 2**20 + 9), 413, "larger than 15 MB"),
    ],
    ids=["header", "encoding", "workbook", "size"],
)
async def test_a_file_that_cannot_be_used_comes_back_as_the_form(
    editor: httpx.AsyncClient, name: str, text: bytes, status: int, why: str
) -> None:
    plain = await look(editor, text, name=name)
    assert (plain.status_code, why in plain.text, "autofocus" in plain.text) == (status, True, True)
    htmx = await look(editor, text, HTMX, name)
    assert (htmx.status_code, why in htmx.text, 'id="texts"' in htmx.text) == (422, True, True)
    nothing = await editor.post(PATH, files={"other": ("", b"")}, headers=PLAIN)
    assert nothing.status_code in (400, 422)


async def test_nobody_reads_other_files_or_other_jobs_here(editor: httpx.AsyncClient, app: Litestar) -> None:
    for name in ("../secret", "0" * 32, "", "x"):
        assert (await editor.post(f"{PATH}/apply", data={"file": name}, headers=PLAIN)).status_code == 422
    for id in ("x", "01930000-0000-7000-8000-000000000001"):
        assert (await editor.get(f"{PATH}/runs/{id}", headers=PLAIN)).status_code == 404
    viewer = await caller(app, "viewer")
    for path in (PATH, f"{PATH}/export"):
        assert (await viewer.get(path, headers=PLAIN)).status_code == 403


def test_a_file_is_applied_once_or_goes(tmp_path: Path) -> None:
    source = tmp_path / "source.part"
    source.write_bytes(b"image_id")
    files = TextFiles(tmp_path)
    name, other = files.keep(source), files.keep(source)
    files.take(name)
    files.drop(name)  # its time is up while it is being applied
    files.drop(other)
    assert files.taken(name).read_bytes() == b"image_id"
    for each in (name, other, "../source"):
        with pytest.raises(NotFound):
            files.take(each)


async def test_what_waits_to_be_applied_lies_where_clean_up_looks(
    app: Litestar, editor: httpx.AsyncClient, image: str
) -> None:
    name = kept(await look(editor, f"image_id,alt_text\n{image},A mug\n"))["file"]
    assert f"temp/{name}.csv" in [entry.key for entry in app.state.parts.store.walk()]
