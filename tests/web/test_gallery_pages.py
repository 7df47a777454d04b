"""What is done on a gallery's and on an image's page: each form as a plain POST (303, then the page says what was done)
and for htmx (a fragment that replaces what it changed)."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery.forms import PictureFields
from portal.web.assets import STATIC_ROOT
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import working_app

MUG = "/entities/inventory_items/MUG"
HTMX = {"hx-request": "true"}
PLAIN = {"accept": "text/html"}
HOSTILE = ["<svg onload=alert(1)>", '" onmouseover="x', "{{7777*7777}}", "<b hx-get=/x>"]


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_DELETES_PER_HOUR="5") as app:
        yield app


@pytest.fixture
async def three(studio: Studio) -> list[str]:
    ref = await make_entity(id="MUG")
    return [str(await studio.add(ref, filename=f"{name}.jpg")) for name in ("one", "two", "three")]


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] = PLAIN, /, **fields: Any
) -> httpx.Response:
    body = urlencode(fields, doseq=True).encode()
    return await client.post(
        path, content=body, headers={"content-type": "application/x-www-form-urlencoded", **headers}
    )


async def page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path, headers=PLAIN)
    assert answer.status_code == 200, answer.text
    return answer.text


def cards(text: str) -> list[str]:
    return re.findall(r'id="card-([0-9a-f-]{36})"', text)


def is_fragment(answer: httpx.Response) -> bool:
    return answer.headers["content-type"].startswith("text/html") and "<html" not in answer.text


async def said_after(client: httpx.AsyncClient, answer: httpx.Response, to: str) -> str:
    """The page that a plain form leads to."""
    assert (answer.status_code, answer.headers["location"]) == (303, to), answer.text
    return await page(client, to)


async def test_a_gallery_shows_its_pictures_in_order(editor: httpx.AsyncClient, three: list[str]) -> None:
    whole = await page(editor, MUG)
    assert cards(whole) == three
    assert "3 without alt text" in whole
    grid = await editor.get(f"{MUG}/grid")
    assert is_fragment(grid)
    assert cards(grid.text) == three


async def test_a_viewer_sees_no_form_that_changes_pictures(viewer: httpx.AsyncClient, three: list[str]) -> None:
    for path in (MUG, f"/images/{three[0]}", "/trash", f"/images/{three[0]}/card?edit=1"):
        for action in re.findall(r'<form[^>]* action="([^"]+)"', (await page(viewer, path))):
            assert not re.match(r"/images/.+/(text|primary|move|trash|restore|retry|delete)|.*/(order|images)$", action)


@pytest.mark.parametrize("action", ["primary", "trash", "move", "restore", "retry", "text", "delete", ""])
async def test_every_action_asks_for_an_editor_and_for_an_image(
    viewer: httpx.AsyncClient, editor: httpx.AsyncClient, three: list[str], action: str
) -> None:
    path = f"/images/{three[0]}/{action}".rstrip("/")
    assert (await post(viewer, path)).status_code == 403
    unknown = await post(editor, path.replace(three[0], "019394c4-7d1e-7000-8000-000000000000"), direction="first")
    assert unknown.status_code == 404
    assert "There is no picture with this id" in unknown.text


async def test_primary(editor: httpx.AsyncClient, three: list[str]) -> None:
    answer = await post(editor, f"/images/{three[1]}/primary")
    assert "This picture is now the primary one" in await said_after(editor, answer, MUG)
    assert await database.fetch_value("SELECT id::text FROM image WHERE is_primary") == three[1]
    quick = await post(editor, f"/images/{three[2]}/primary", HTMX)
    assert quick.status_code == 200
    assert is_fragment(quick)
    assert cards(quick.text) == three
    assert "This picture is now the primary one" in quick.text


async def test_moves_and_order(editor: httpx.AsyncClient, three: list[str]) -> None:
    one, two, three_ = three
    moves = [("last", [two, three_, one]), ("earlier", [two, one, three_]), ("first", [one, two, three_])]
    for direction, expected in moves:
        answer = await post(editor, f"/images/{one}/move", direction=direction)
        assert cards(await said_after(editor, answer, MUG)) == expected
    quick = await post(editor, f"/images/{one}/move", HTMX, direction="later")
    assert cards(quick.text) == [two, one, three_]
    assert (await post(editor, f"/images/{one}/move", direction="sideways")).status_code == 409


async def test_trash_can_be_undone_and_emptied_by_hand(editor: httpx.AsyncClient, three: list[str]) -> None:
    answer = await post(editor, f"/images/{three[0]}/trash")
    text = await said_after(editor, answer, MUG)
    assert cards(text) == three[1:]
    assert f'action="/images/{three[0]}/restore"' in text
    assert "one.jpg" in await page(editor, "/trash")
    answer = await post(editor, f"/images/{three[0]}/restore")
    assert cards(await said_after(editor, answer, MUG)) == three
    quick = await post(editor, f"/images/{three[0]}/trash", HTMX)
    assert cards(quick.text) == three[1:]
    assert "hx-swap-oob" in quick.text
    assert f'hx-post="/images/{three[0]}/restore"' in quick.text
    assert cards((await post(editor, f"/images/{three[0]}/restore", HTMX)).text) == three
    await post(editor, f"/images/{three[0]}/trash")
    assert (await post(editor, f"/images/{three[1]}/delete")).status_code == 409
    answer = await post(editor, f"/images/{three[0]}/delete")
    assert "1 picture deleted for good" in await said_after(editor, answer, "/trash")
    assert (await editor.get(f"/images/{three[0]}", headers=PLAIN)).status_code == 404


async def test_an_editors_hour_ends_in_plain_words(editor: httpx.AsyncClient, studio: Studio) -> None:
    ref = await make_entity(id="MUG")
    ids = [await studio.add(ref, ready=False) for _ in range(6)]
    answers = [await post(editor, f"/images/{id}/trash", HTMX) for id in ids]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert "You may remove 5 pictures an hour" in answers[-1].text


async def test_words_are_written_on_the_card(editor: httpx.AsyncClient, three: list[str]) -> None:
    form = (await editor.get(f"/images/{three[0]}/card?edit=1", headers=HTMX)).text
    revision = re.findall(r'name="revision" value="(\d+)"', form)[0]
    quick = await post(editor, f"/images/{three[0]}/text", HTMX, alt_text="A mug", caption="", revision=revision)
    assert quick.status_code == 200
    assert cards(quick.text) == [three[0]]
    assert "Text saved" in quick.text
    plain = await post(editor, f"/images/{three[1]}/text", alt_text="Another mug", decorative="true")
    assert "Text saved" in await said_after(editor, plain, MUG)
    image = (await editor.get(f"/api/images/{three[1]}")).json()
    assert (image["alt_text"], image["decorative"], image["caption"]) == ("Another mug", True, None)


@pytest.mark.parametrize("path", ["text", ""])
async def test_a_stale_or_refused_form_comes_back_with_what_was_typed(
    editor: httpx.AsyncClient, three: list[str], path: str
) -> None:
    target = f"/images/{three[0]}/{path}".rstrip("/")
    await post(editor, target, alt_text="Stored by Bo")
    stale = await post(editor, target, alt_text="Typed by Ana", revision="1")
    assert stale.status_code == 412
    assert "Typed by Ana" in stale.text
    assert "Stored by Bo" in stale.text
    assert "Someone else saved first" in stale.text
    long = "Typed at length. " * 40
    refused = await post(editor, target, alt_text=long, caption="Kept")
    assert refused.status_code == 422
    assert long.strip() in refused.text
    assert 'value="Kept"' in refused.text
    assert "Use at most 500 characters" in refused.text
    assert (await editor.get(f"/api/images/{three[0]}")).json()["alt_text"] == "Stored by Bo"
    again = re.findall(r'name="revision" value="(\d+)"', stale.text)[-1]
    assert (await post(editor, target, alt_text="Typed by Ana", revision=again)).status_code == 303


async def test_the_details_form_is_its_own_fragment(editor: httpx.AsyncClient, three: list[str]) -> None:
    path = f"/images/{three[0]}"
    sent = {"alt_text": "A mug", "caption": "Blue", "tags": "front, studio", "focal_x": "0,25", "focal_y": "1"}
    saved = await post(editor, path, HTMX, **sent)
    assert saved.status_code == 200
    assert is_fragment(saved)
    assert 'id="metadata-form"' in saved.text
    assert "Saved" in saved.text
    image = (await editor.get(f"/api{path}")).json()
    assert (image["tags"], image["focal_point"]) == (["front", "studio"], {"x": 0.25, "y": 1.0})
    refused = await post(editor, path, HTMX, **sent | {"focal_y": "7"})
    assert refused.status_code == 422
    assert is_fragment(refused)
    assert "Use numbers from 0 to 1." in refused.text
    assert 'value="7"' in refused.text
    assert "Saved" in await said_after(editor, await post(editor, path, **sent), path)
    assert (await editor.get(f"/api{path}")).json()["focal_point"] == {"x": 0.25, "y": 1.0}


async def test_a_failed_picture_can_be_tried_again(editor: httpx.AsyncClient, three: list[str]) -> None:
    await database.execute(
        'UPDATE image SET status = \'failed\', error = \'{"code": "failed", "message": "Too odd."}\' WHERE id = $1',
        three[0],
    )
    assert "Too odd." in await page(editor, MUG)
    quick = await post(editor, f"/images/{three[0]}/retry", HTMX)
    assert "Making thumbnails" in quick.text
    assert (await post(editor, f"/images/{three[0]}/retry")).status_code == 303


async def test_a_card_asks_again_only_while_it_is_in_the_making(editor: httpx.AsyncClient, studio: Studio) -> None:
    ref = await make_entity(id="MUG")
    pending, ready = await studio.add(ref, ready=False), await studio.add(ref)
    assert 'hx-trigger="every 1s"' in (await editor.get(f"/images/{pending}/card")).text
    assert 'hx-trigger="every' not in (await editor.get(f"/images/{ready}/card")).text
    assert (await editor.get("/images/x/card", headers=HTMX)).status_code == 404


async def test_a_plain_upload_leads_back_or_says_which_files_were_refused(editor: httpx.AsyncClient, db: None) -> None:
    await make_entity(id="MUG")
    files = [("file", (f"{number}.jpg", samples.distinct(number))) for number in (1, 2)]
    answer = await editor.post(f"{MUG}/images", files=files, headers=PLAIN)
    text = await said_after(editor, answer, MUG)
    assert "2 pictures added" in text
    assert len(cards(text)) == 2
    mixed = [("file", ("3.jpg", samples.distinct(3))), ("file", ("no.jpg", b"hello")), ("file", files[0][1])]
    answer = await editor.post(f"{MUG}/images", files=mixed, headers=PLAIN)
    assert answer.status_code == 422
    assert "2 pictures were not added" in answer.text
    assert "This is text, not a picture." in answer.text
    assert len(cards(answer.text)) == 3
    assert (await editor.post(f"{MUG}/images", files={"other": ("a", b"b")}, headers=PLAIN)).status_code == 400
    assert (await editor.post("/entities/customers/none/images", files=files, headers=PLAIN)).status_code == 404


async def test_a_plain_form_leads_back_to_the_way_that_it_was_sent_from(
    editor: httpx.AsyncClient, three: list[str]
) -> None:
    way = f"{MUG}?q=mug&missing=alt&sort=most"
    address = html.unescape(re.findall(r'formaction="([^"]+)"', await page(editor, way))[0])
    refused = await editor.post(address, files={"file": ("notes.txt", b"what?")}, headers=PLAIN)
    assert (refused.status_code, 'id="flow"' in refused.text) == (422, True)
    assert html.unescape(re.findall(r'formaction="([^"]+)"', refused.text)[0]) == address
    added = await editor.post(address, files={"file": ("new.jpg", samples.jpeg(90, 60))}, headers=PLAIN)
    assert (added.status_code, added.headers["location"]) == (303, way)
    for left, back in (
        (way, way),
        (f"{MUG}/images?missing=alt", f"{MUG}?missing=alt"),
        (f"{MUG}?x=1", MUG),
        ("[", MUG),
    ):
        sent_from = {**PLAIN, "referer": left if left == "[" else f"http://127.0.0.1:8000{left}"}
        answer = await post(editor, f"/images/{three[1]}/primary", sent_from)
        assert answer.headers["location"] == back
    elsewhere = {**PLAIN, "referer": f"http://127.0.0.1:8000/images/{three[1]}?missing=alt"}
    assert (await post(editor, f"/images/{three[1]}/trash", elsewhere)).headers["location"] == MUG


async def test_an_upload_by_the_zone_is_answered_by_its_card(editor: httpx.AsyncClient, db: None) -> None:
    await make_entity(id="MUG")
    zone = HTMX | {"accept": "text/html, application/problem+json", "idempotency-key": "k"}
    file = {"file": ("1.jpg", samples.distinct(1))}
    answer = await editor.post(f"{MUG}/images", files=file, headers=zone)
    assert answer.status_code == 201
    assert len(cards(answer.text)) == 1
    again = await editor.post(f"{MUG}/images", files=file, headers=zone)
    assert cards(again.text) == cards(answer.text)
    refused = await editor.post(f"{MUG}/images", files=file, headers=zone | {"idempotency-key": "l"})
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate")
    notice = await editor.post(f"{MUG}/images", files={"file": ("1.jpg", b"hello")}, headers=HTMX)
    assert notice.status_code == 415
    assert "This is text, not a picture." in notice.text


@pytest.mark.parametrize("text", HOSTILE)
async def test_words_and_names_stay_text(editor: httpx.AsyncClient, studio: Studio, text: str) -> None:
    ref = await make_entity(id="MUG", name=text)
    fields = PictureFields(alt_text=text, caption=text, tags=(text,))
    id = await studio.add(ref, filename=f"{text}.jpg".replace("/", ""), fields=fields)
    for path in (MUG, f"/images/{id}", f"/images/{id}/card?edit=1", f"/search?q={id}", "/"):
        shown = await page(editor, path)
        assert text not in shown or text == "{{7777*7777}}"
        assert "60481729" not in shown
        assert "<svg onload" not in shown
        assert "<b hx-get" not in shown


async def test_the_trash_is_read_page_by_page(editor: httpx.AsyncClient, studio: Studio) -> None:
    ref = await make_entity(id="MUG")
    first = await studio.add(ref, ready=False)
    await database.execute(
        """INSERT INTO image (id, entity, filename, media_type, extension, bytes, width, height, sha256, trashed_at,
                              last_order, uploaded_by)
           SELECT gen_random_uuid(), entity, 'old-' || n || '.jpg', media_type, extension, bytes, width, height, sha256,
                  now() - make_interval(mins => n / 3), 0, uploaded_by
           FROM image, generate_series(1, 120) AS n WHERE image.id = $1""",
        first,
    )
    path, seen = "/trash", []
    while path:
        text = await page(editor, path)
        seen += re.findall(r'id="trash-([0-9a-f-]{36})"', text)
        following = re.findall(r'href="(/trash\?cursor=[^"]+)"', text)
        path = following[0] if following else ""
    assert len(set(seen)) == 120


async def test_the_page_names_every_module_before_one_asks_for_the_next(
    editor: httpx.AsyncClient, three: list[str]
) -> None:
    text = await page(editor, MUG)
    named = set(re.findall(r'<script type="module" src="[^"]*/js/([^"]+)"', text))
    wanted = set[str]().union(*(imported_by(f"{name}.js") for name in ("upload-zone", "sortable-gallery", "bulk-bar")))
    assert wanted <= named
    assert "modulepreload" not in text  # without script a browser refuses it, and says so


def imported_by(module: str) -> set[str]:
    """By itself, or by what it imports."""
    found, left = set[str](), [module]
    while left:
        text = (STATIC_ROOT / "js" / left.pop()).read_text()
        new = set(re.findall(r'from "\./([^"]+)"', text)) - found
        found |= new
        left += new
    return found
