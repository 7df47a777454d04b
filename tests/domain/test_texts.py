"""Texts of pictures as CSV: what goes out comes in as it was, and what a line asks for is done, or refused by name."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.audit.service import request_id
from portal.errors import FormError, NotFound
from portal.gallery import text_files, texts
from portal.gallery.disposal import trash_image
from portal.gallery.places import lock_gallery
from portal.gallery.service import change_image
from portal.gallery.text_files import COLUMNS, TextLine
from portal.gallery.text_tasks import TEXTS, TextFiles, text_tasks
from portal.gallery.texts import TextReport, Wanted, import_texts, texts_of
from portal.jobs.progress import get_job, start_job
from tests.factories import EDITOR, Studio, make_entity
from tests.waiting import eventually

HOSTILE = [
    '=HYPERLINK("http://x")',
    "'=1+1",
    "''",
    "+49 40",
    "-1",
    "@sum",
    "\t=1",
    "two\nlines",
    'a "quoted", word',
    "Łódź",
]


async def exported(**wanted: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    async for line in texts_of(Wanted(**wanted)):
        writer.writerow(line)
    return out.getvalue()


async def lines(**wanted: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(await exported(**wanted))))


async def bring(text: str, *, dry_run: bool = False) -> TextReport:
    return await import_texts(io.BytesIO(text.encode("utf-8-sig")), actor=EDITOR, dry_run=dry_run)


async def said(image: Any) -> dict[str, Any]:
    row = await database.fetch_row("SELECT alt_text, caption, tags, decorative FROM image WHERE id = $1", image)
    assert row is not None
    return dict(row)


async def test_whatever_people_wrote_goes_out_as_text_and_comes_in_unchanged(studio: Studio) -> None:
    ref = await make_entity()
    for text in HOSTILE:
        image = await studio.add(ref, ready=False)
        tags = ["blue, light", "=mug", "b"]
        await change_image(image, {"alt_text": text.strip(), "caption": text.strip(), "tags": tags}, actor=EDITOR)
    out = await exported()
    assert not [cell for row in csv.reader(io.StringIO(out)) for cell in row if cell[:1] in ("=", "+", "-", "@", "\t")]
    told = await bring(out)
    assert (told.changed, told.unchanged, told.refused, told.errors) == (0, len(HOSTILE), 0, [])


async def test_only_what_a_line_says_otherwise_changes_and_an_empty_cell_clears(studio: Studio) -> None:
    ref = await make_entity()
    image, other = await studio.add(ref, ready=False), await studio.add(ref, ready=False)
    await change_image(image, {"caption": "Mug", "tags": ["a", "b"], "alt_text": "Old"}, actor=EDITOR)
    sheet = f"image_id;alt_text;tags;decorative\r\n{image};Slate blue mug;;no\r\n\r\n{other};;;yes\r\n"
    before = await said(image)
    dry = await bring(sheet, dry_run=True)
    assert (dry.lines, dry.changed, await said(image)) == (2, 2, before)
    first = dry.changes[0]
    assert (first.before, first.after) == (
        {"alt_text": "Old", "tags": "a, b"},
        {"alt_text": "Slate blue mug", "tags": ""},
    )
    assert (await bring(sheet)).changed == 2
    assert await said(image) == {"alt_text": "Slate blue mug", "caption": "Mug", "tags": [], "decorative": False}
    assert (await said(other))["decorative"] is True
    assert (await bring(sheet)).unchanged == 2
    actions = await database.fetch("SELECT action, actor FROM audit WHERE subject_id = $1 ORDER BY pk", str(image))
    assert [tuple(row) for row in actions][-1] == ("image.describe", EDITOR.name)


async def test_of_two_lines_for_one_picture_the_second_is_laid_over_the_first(studio: Studio) -> None:
    image = await studio.add(await make_entity(), ready=False)
    sheet = f"image_id,alt_text\n{image},One\n{image},Two\n{image},Two\n"
    for dry_run in (True, False):
        told = await bring(sheet, dry_run=dry_run)
        assert (told.changed, told.unchanged, told.errors) == (2, 1, [])
    assert (await said(image))["alt_text"] == "Two"


async def test_an_import_that_was_killed_goes_on_and_tells_of_all_that_it_did(studio: Studio, tmp_path: Path) -> None:
    one, other = await make_entity(), await make_entity()
    images = [await studio.add(ref, ready=False) for ref in (one, other)]
    sent, files = tmp_path / "sent.csv", TextFiles(tmp_path)
    sent.write_text(f"image_id,alt_text\nmug,No\n{images[0]},One\n{images[1]},Two\n")
    files.take(name := files.keep(sent))
    is_held, may_go = asyncio.Event(), asyncio.Event()

    async def hold_the_other() -> None:
        async with database.transaction():
            await lock_gallery(other)
            is_held.set()
            await may_go.wait()

    async def run() -> None:
        await text_tasks(tmp_path)[TEXTS].run({"job": str(job_id)})

    async def is_half_done() -> bool:
        return (await said(images[0]))["alt_text"] == "One"

    mark = request_id.set("0123456789abcdef")
    try:
        job_id = await start_job(TEXTS, {"file": name, "lines": 3}, actor=EDITOR)
        holding = asyncio.create_task(hold_the_other())
        await is_held.wait()
        killed = asyncio.create_task(run())
        await eventually(is_half_done)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        may_go.set()
        await holding
        await change_image(images[0], {"alt_text": "Mine"}, actor=SYSTEM)
        for _ in range(2):  # the second time as if it had been killed before its end was noted
            await database.execute("UPDATE job SET state = 'running' WHERE id = $1", job_id)
            await run()
            job = await get_job(job_id)
            assert (job.state, job.error) == ("succeeded", None)
            assert {**(job.result or {}), "errors": []} == {
                "lines": 3,
                "changed": 2,
                "unchanged": 0,
                "refused": 1,
                "errors": [],
            }
    finally:
        request_id.reset(mark)
    assert [(await said(each))["alt_text"] for each in images] == ["Mine", "Two"]
    with pytest.raises(NotFound):
        files.taken(name)


async def test_bad_lines_are_named_and_the_others_applied(studio: Studio) -> None:
    ref = await make_entity()
    image = await studio.add(ref, ready=False)
    gone = "01930000-0000-7000-8000-000000000001"
    told = await bring(
        "image_id,alt_text,decorative\n"
        f"mug,A mug,no\n{gone},A mug,no\n{image},A mug,perhaps\n{image},{'x' * 501},no\n{image}\n{image},A mug,no\n"
        f"{image},{'x' * 20_000},no\n"
    )
    assert [error.line for error in told.errors] == [2, 3, 4, 5, 6, 8]
    assert [error.message.split(".")[0] for error in told.errors] == [
        "image_id: This is no picture's id",
        "There is no picture with this id (any more)",
        "decorative: Use yes or no",
        "alt_text: Use at most 500 characters; these are 501",
        "This line has 1 cells, the header has 3",
        "alt_text: This text is far too long",
    ]
    assert (told.changed, told.refused, (await said(image))["alt_text"]) == (1, 6, "A mug")


async def test_others_are_served_between_the_lines_of_a_file(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await studio.add(await make_entity(), ready=False)
    turns, seen = 0, list[int]()

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def changes_of(line: TextLine, row: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(turns)
        return text_files.changes_of(line, row)

    monkeypatch.setattr(texts, "changes_of", changes_of)
    task = asyncio.create_task(other())
    sent = io.BytesIO(b"image_id,alt_text\n" + f"{image},A mug\n".encode() * 9)
    await import_texts(sent, actor=EDITOR, dry_run=True)
    task.cancel()
    assert len(set(seen)) == 9


def test_of_many_files_that_one_person_has_looked_through_the_newest_wait(tmp_path: Path) -> None:
    files, names = TextFiles(tmp_path), list[str]()
    (sent := tmp_path / "sent.csv").write_text("image_id,alt_text\n")
    other = files.keep(sent, "user:bo@shop.example")
    for moment in range(7):
        sent.unlink()
        sent.write_text("image_id,alt_text\n")
        os.utime(sent, (moment, moment))
        names.append(files.keep(sent, "user:ana@shop.example"))
    for name in names[:2]:
        with pytest.raises(NotFound):
            files.take(name)
    for name in [*names[2:], other]:
        files.take(name)


async def test_what_a_colleague_changed_since_the_export_is_not_overwritten(studio: Studio) -> None:
    image = await studio.add(await make_entity(), ready=False)
    sheet = (await exported()).replace(",no,,,", ",no,Mine,,")
    await change_image(image, {"caption": "Theirs"}, actor=EDITOR)
    told = await bring(sheet)
    assert (told.refused, "was changed since the export" in told.errors[0].message) == (1, True)
    assert (await said(image))["caption"] == "Theirs"
    header, row = sheet.splitlines()
    assert (await bring(f"{header}\n{row.rpartition(',')[0]},\n")).changed == 1
    assert (await said(image))["caption"] == "Mine"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alt_text\nA mug\n", "image_id must be among them"),
        ("image_id,colour\n", "There is no column 'colour'"),
        ("image_id,filename\n", "nothing to change"),
        ("image_id,alt_text,alt_text\n", "stands there twice"),
        ("", "image_id must be among them"),
    ],
)
async def test_a_file_that_cannot_be_used_says_why(db: None, text: str, why: str) -> None:
    with pytest.raises(FormError, match=why):
        await bring(text)


async def test_a_file_in_another_encoding_says_how_to_save_it(db: None) -> None:
    latin = io.BytesIO("image_id,alt_text\n1,Café\n".encode("latin-1"))
    with pytest.raises(FormError, match="Line 2 is not UTF-8"):
        await import_texts(latin, actor=EDITOR, dry_run=True)


async def test_an_export_takes_what_was_asked_for_in_the_order_of_the_galleries(studio: Studio) -> None:
    mug, invoice = await make_entity("inventory_items", "MUG"), await make_entity("invoices", "A-1")
    first, second = await studio.add(mug, ready=False), await studio.add(mug, ready=False)
    paper = await studio.add(invoice, ready=False)
    await change_image(first, {"alt_text": "A mug"}, actor=EDITOR)
    await trash_image(await studio.add(mug, ready=False), actor=EDITOR, deletes_per_hour=9)

    async def ids(**wanted: Any) -> list[str]:
        return [line["image_id"] for line in await lines(**wanted)]

    assert await ids() == [str(first), str(second), str(paper)]
    assert await ids(type="invoices") == [str(paper)]
    assert await ids(type="inventory_items", id="MUG", is_unsaid=True) == [str(second)]
    with pytest.raises(FormError):
        Wanted(type="mugs")


async def test_pages_of_an_export_miss_and_repeat_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.gallery.texts.ENTITIES_AT_ONCE", 2)
    monkeypatch.setattr("portal.gallery.texts.PICTURES_AT_ONCE", 2)
    made = []
    for _ in range(3):
        ref = await make_entity()
        made += [str(await studio.add(ref, ready=False)) for _ in range(3)]
    assert [line["image_id"] for line in await lines()] == made
