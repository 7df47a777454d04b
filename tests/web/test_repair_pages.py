"""Repair as people and scripts ask for it: the API, findings on the page of storage, and the quarantine with its way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.integrity.findings import Finding, open_findings, record_finding
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.maintenance.quarantine import list_quarantined
from portal.maintenance.repair import REPAIR
from tests import samples
from tests.factories import Studio, make_entity
from tests.repairing import Workshop, original, rendition
from tests.web.whole_app import working_app

API = "/api/images/repair"
PAGE = "/maintenance"
HTMX = {"hx-request": "true"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def workshop(db: None, app: Litestar) -> AsyncIterator[Workshop]:
    parts = app.state.parts
    workshop = Workshop(Studio(parts.store, parts.pool), parts.settings)
    yield workshop
    await parts.store.delete(workshop.objects())


@pytest.fixture
async def image_id(workshop: Workshop) -> UUID:
    """A picture whose original is nowhere, and whose card is gone."""
    image_id = await workshop.studio.add(await make_entity(id="MUG", name="Fjord mug"), filename="mug-front.jpg")
    (workshop.root / original(image_id)).unlink()
    (workshop.root / rendition(image_id, "card")).unlink()
    return image_id


async def worked(app: Litestar, answer: Awaitable[httpx.Response]) -> httpx.Response:
    """What was asked for, with a worker that does the job meanwhile."""
    before = await database.fetch_value("SELECT count(*) FROM job")

    async def work_soon() -> None:
        while await database.fetch_value("SELECT count(*) FROM job") == before:  # noqa: ASYNC110 - a row is waited for
            await asyncio.sleep(0.02)
        row = await database.fetch_row("SELECT id, kind FROM job ORDER BY id DESC LIMIT 1")
        assert row is not None
        await app.state.parts.tasks()[row["kind"]].run({"job": str(row["id"])})

    said, _ = await asyncio.gather(answer, work_soon())
    return said


async def test_a_script_tries_and_then_repairs(
    admin: httpx.AsyncClient, app: Litestar, workshop: Workshop, image_id: UUID
) -> None:
    waiting = {"prefer": "wait=30"}
    tried = (await worked(app, admin.post(API, headers=waiting))).json()
    assert (tried["kind"], tried["state"]) == (REPAIR, "succeeded")
    result = tried["result"]
    assert (result["dry_run"], result["checked"], result["planned"], result["gone"]) == (True, True, 1, 1)
    assert (workshop.root / rendition(image_id, "card")).exists() is False
    (missing, _) = await open_findings()
    sent = {"dry_run": False, "finding_ids": [missing.id]}
    done = (await worked(app, admin.post(API, json=sent, headers=waiting))).json()["result"]
    assert done["kinds"]["missing_object"]["repaired"] == 1
    assert done["repairs"] == {"trash": 1}
    assert [(line["finding"], line["outcome"]) for line in done["outcomes"]] == [(missing.id, "repaired")]
    again = (await worked(app, admin.post(API, json=sent, headers=waiting))).json()["result"]
    assert again["outcomes"][0]["outcome"] == "gone"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"dry_run": "no"}, 422),
        ({"finding_ids": "x"}, 422),
        ({"finding_ids": []}, 422),
        ({"finding_ids": ["x"]}, 422),
        ({"finding_ids": [7]}, 422),
        ({"finding_ids": [str(uuid4())]}, 404),
        ({"kinds": ["rust"]}, 422),
        ({"kinds": {}}, 422),
        ({"adopt_into": "inventory_items/MUG"}, 422),
        ({"finding_ids": [str(uuid4())], "adopt_into": "nowhere"}, 422),
        ({"finding_ids": [str(uuid4())], "adopt_into": 7}, 422),
        ({"finding_ids": [str(uuid4())], "adopt_into": False}, 422),
        ({"surprise": 1}, 422),
    ],
)
async def test_a_wrong_wish_starts_nothing(admin: httpx.AsyncClient, sent: dict[str, Any], status: int) -> None:
    assert (await admin.post(API, json=sent)).status_code == status
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_only_admins_repair_and_one_at_a_time(admin: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    for path in (API, f"{PAGE}/findings/repair", f"{PAGE}/findings/check", f"{PAGE}/quarantine/{uuid4()}/undo"):
        assert (await viewer.post(path)).status_code == 403
    async with alone(turns.REPAIR):
        busy = await admin.post(API)
        assert (busy.status_code, "running since" in busy.json()["detail"]) == (409, True)
        assert (await admin.post(f"{PAGE}/findings/repair", data={"do": "all"})).status_code == 409


async def test_the_page_says_what_is_wrong_and_why_we_know(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, app: Litestar, workshop: Workshop, image_id: UUID
) -> None:
    assert "Not every file was read yet" in (await viewer.get(f"{PAGE}/findings")).text
    await workshop.check()
    seen = (await viewer.get(PAGE)).text
    for words in (
        "2 open",
        "Missing original",
        "mug-front.jpg",
        original(image_id),
        "nothing, since today",
        "Its card size",
    ):
        assert words in seen
    assert "Move to trash" not in seen, "who may not act sees no button"
    home = (await viewer.get("/")).text
    assert '2<span class="sr"> findings</span>' in home, "the menu counts them on every page"
    assert "Findings of the last checks" in home
    assert "All else is sound" not in home
    page = (await admin.get(f"{PAGE}?kind=missing_object")).text
    assert "Move to trash" in page
    assert "Its card size" not in page
    assert (await admin.get(f"{PAGE}/findings?kind=rust")).status_code == 200
    assert (await admin.get(f"{PAGE}/findings?kind=missing_object&cursor=x")).status_code == 422


async def test_the_button_repairs_and_the_green_mark_is_dated(
    admin: httpx.AsyncClient, app: Litestar, workshop: Workshop, image_id: UUID
) -> None:
    await workshop.check()
    tried = await worked(app, admin.post(f"{PAGE}/findings/repair", data={"do": "try"}, headers=HTMX))
    assert "1 would be repaired, nothing was changed" in tried.text
    chosen = await admin.post(f"{PAGE}/findings/repair", data={"do": "chosen"}, headers=HTMX)
    assert (chosen.status_code, "Choose at least one" in chosen.text) == (422, True)
    one = next(each.id for each in await open_findings() if each.kind == "missing_object")
    plain = await worked(app, admin.post(f"{PAGE}/findings/repair", data={"one": one, "kind": "missing_object"}))
    assert (plain.status_code, plain.headers["location"]) == (303, "/maintenance?kind=missing_object#findings")
    assert "1 repaired" in (await admin.get(PAGE)).text
    again = await worked(app, admin.post(f"{PAGE}/findings/check", data={"how": "recheck"}, headers=HTMX))
    assert "Looked again" in again.text
    assert 'id="findings-title" tabindex="-1" autofocus' in again.text
    asked = await admin.get(f"{PAGE}/findings")
    assert 'id="findings-title" tabindex="-1">' in asked.text  # so that asking again leaves the focus there
    full = await worked(app, admin.post(f"{PAGE}/findings/check", data={"how": "full"}, headers=HTMX))
    assert "Every file was read and compared today" in full.text
    assert (await admin.post(f"{PAGE}/findings/check", data={"how": "x"})).status_code == 422


async def test_an_orphan_is_adopted_by_form_and_comes_back_by_undo(
    admin: httpx.AsyncClient, app: Litestar, workshop: Workshop
) -> None:
    await make_entity(id="MUG")
    data = samples.jpeg(90, 60)
    key = original(uuid4())
    workshop.leave(key, data)
    (finding,) = await workshop.check()
    assert "Adopt as new…" in (await admin.get(PAGE)).text
    url = f"{PAGE}/findings/{finding.id}/adopt"
    assert (await admin.post(url, data={"entity": "nowhere"})).status_code == 422
    done = await worked(app, admin.post(url, data={"entity": "inventory_items/MUG"}, headers=HTMX))
    assert "1 adopted" in done.text
    shown = (await admin.get(f"{PAGE}/quarantine")).text
    for words in ("1 file", key, "adopted as picture", "Undo"):
        assert words in shown
    (held,) = (await list_quarantined()).items
    undo = f"{PAGE}/quarantine/{held.id}/undo"
    (workshop.root / key).write_bytes(b"others")
    refused = await admin.post(undo, headers={"accept": "application/json"})
    assert (refused.status_code, "Other bytes" in refused.text) == (409, True)
    (workshop.root / key).unlink()
    assert (await admin.post(undo)).headers["location"] == f"{PAGE}/quarantine"
    assert (workshop.root / key).read_bytes() == data
    assert "Nothing was taken away" in (await admin.get(f"{PAGE}/quarantine")).text
    for foreign in ("x", str(uuid4())):
        assert (await admin.post(f"{PAGE}/quarantine/{foreign}/undo")).status_code == 404


async def test_many_findings_are_paged(admin: httpx.AsyncClient) -> None:
    for number in range(45):
        await record_finding(Finding("orphaned_object", f"invoices/{number:02}.txt", None, "no row owns these bytes"))
    whole = (await admin.get(PAGE)).text
    assert whole.count('class="finding"') == 3
    assert "All 45: orphaned object" in whole
    seen: list[str] = []
    url: str | None = f"{PAGE}/findings?kind=orphaned_object"
    while url:
        text = (await admin.get(url)).text
        seen += [f"{number:02}" for number in range(45) if f"invoices/{number:02}.txt</dd>" in text]
        _, found, rest = text.partition(f'hx-get="{PAGE}/findings?kind=orphaned_object&amp;cursor=')
        cursor = rest.partition('"')[0]
        url = f"{PAGE}/findings?kind=orphaned_object&cursor={cursor}" if found else None
    assert sorted(seen) == [f"{number:02}" for number in range(45)]


async def test_the_quarantine_is_named_for_what_was_healed(
    admin: httpx.AsyncClient, workshop: Workshop, tmp_path: Path
) -> None:
    image_id = await workshop.studio.add(await make_entity())
    await workshop.back_up((workshop.root / original(image_id)).read_bytes())
    workshop.flip(original(image_id))
    await workshop.check()
    assert "Heal from backup" in (await admin.get(PAGE)).text
    await workshop.repair()
    shown = (await admin.get(f"{PAGE}/quarantine")).text
    assert "The right bytes are in its place" in shown
    assert ">Undo<" not in shown
