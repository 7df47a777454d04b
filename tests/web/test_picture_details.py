"""The form of a picture's details: two people at once, what is refused, tags offered, attributes in rows, where it leads."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app

HTMX = {"hx-request": "true"}
PLAIN = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
async def three(editor: httpx.AsyncClient, studio: Studio) -> list[str]:
    """The pictures of one gallery, in their order."""
    ref = await make_entity(id="MUG", name="Fjord mug")
    return [str(await studio.add(ref, filename=f"{name}.jpg")) for name in ("one", "two", "three")]


async def opened(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """What the form holds, as a browser would send it."""
    text = (await client.get(f"/images/{id}", headers=PLAIN)).text
    form = text[text.index('id="metadata-form"') : text.index("</form>", text.index('id="metadata-form"'))]
    names = ("revision", "was", "caption", "tags", "focal_x", "focal_y")
    fields: dict[str, Any] = {
        name: html.unescape(re.findall(rf'<input[^>]*(?:name="{name}"[^>]*value|value)="([^"]*)"[^>]*', part)[0])
        for name in names
        for part in [next(tag for tag in re.findall(r"<input[^>]*>", form) if f'name="{name}"' in tag)]
    }
    words = re.search(r"<textarea[^>]*>([^<]*)</textarea>", form)
    assert words
    return fields | {
        "alt_text": html.unescape(words[1]),
        "attribute": [html.unescape(each) for each in re.findall(r'name="attribute" value="([^"]*)"', form)],
        "value": [html.unescape(each) for each in re.findall(r'name="value" value="([^"]*)"', form)],
    }


async def send(client: httpx.AsyncClient, id: str, fields: dict[str, Any], headers: dict[str, str] = PLAIN):
    return await client.post(f"/images/{id}", content=urlencode(fields, doseq=True).encode(), headers=FORM | headers)


async def stored(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    return (await client.get(f"/api/images/{id}")).json()


async def write(client: httpx.AsyncClient, id: str, **fields: Any) -> None:
    answer = await client.put(f"/api/images/{id}/metadata", json=fields)
    assert answer.status_code == 200, answer.text


async def test_two_people_who_change_different_things_both_get_theirs(editor: httpx.AsyncClient, three: list[str]):
    form = await opened(editor, three[0])
    await write(editor, three[0], caption="Theirs", tags=["blue"], attributes={"shelf": "B"})
    answer = await send(editor, three[0], form | {"alt_text": "Mine"}, HTMX)
    assert answer.status_code == 200
    assert "What somebody else changed meanwhile stands, too" in answer.text
    image = await stored(editor, three[0])
    assert (image["alt_text"], image["caption"], image["tags"]) == ("Mine", "Theirs", ["blue"])
    assert image["attributes"] == {"shelf": "B"}


async def test_of_two_texts_for_the_same_one_is_chosen(editor: httpx.AsyncClient, three: list[str]):
    form = await opened(editor, three[0])
    await write(editor, three[0], alt_text='Their "mug"', caption="Theirs")
    mine = form | {"alt_text": "My mug", "caption": "Mine", "tags": "tall"}
    answer = await send(editor, three[0], mine, HTMX)
    assert answer.status_code == 412
    assert "the script editor changed the same while you wrote" in answer.text
    assert "<q>Their &#34;mug&#34;</q>" in answer.text
    assert "My mug" in answer.text
    assert 'name="take_tags"' not in answer.text
    assert re.search(r'name="take_alt_text" value="mine" checked autofocus', answer.text)
    assert (await stored(editor, three[0]))["caption"] == "Theirs"
    page = await send(editor, three[0], mine)
    assert (page.status_code, "<q>Theirs</q>" in page.text, "<html" in page.text) == (412, True, True)
    again = {name: re.findall(rf'name="{name}" value="([^"]*)"', answer.text)[0] for name in ("revision", "was")}
    again["was"] = html.unescape(again["was"])
    answer = await send(editor, three[0], mine | again | {"take_alt_text": "theirs", "take_caption": "mine"}, HTMX)
    assert answer.status_code == 200
    image = await stored(editor, three[0])
    assert (image["alt_text"], image["caption"], image["tags"]) == ('Their "mug"', "Mine", ["tall"])


async def test_a_form_that_was_refused_still_notices_what_was_stored_meanwhile(
    editor: httpx.AsyncClient, three: list[str]
):
    form = await opened(editor, three[0])
    await write(editor, three[0], alt_text="Theirs")
    refused = await send(editor, three[0], form | {"alt_text": "long " * 200}, HTMX)
    assert refused.status_code == 422
    kept = {
        name: html.unescape(re.findall(rf'name="{name}" value="([^"]*)"', refused.text)[0])
        for name in ("revision", "was")
    }
    assert kept == {"revision": form["revision"], "was": form["was"]}
    assert (await send(editor, three[0], form | kept | {"alt_text": "Mine"}, HTMX)).status_code == 412


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"alt_text": "long " * 200}, "Use at most 500 characters"),
        ({"caption": "long " * 500}, "Use at most 2000 characters"),
        ({"tags": ",".join(map(str, range(51)))}, "Use at most 50 tags."),
        ({"attribute": ["", "a"], "value": ["lost", ""]}, "Give “lost” a name."),
        ({"attribute": ["a", "a"], "value": ["1", "2"]}, "“a” stands here twice."),
        ({"attribute": ["a" * 101], "value": ["1"]}, "Use at most 100 characters for a name."),
        ({"attribute": ["size"], "value": ["2 by 3"]}, "“size” holds more than a text: write it as JSON."),
        ({"attribute": ["size"], "value": ["[" * 20_000]}, "“size” holds more than a text: write it as JSON."),
        ({"focal_x": "0.5", "focal_y": ""}, "Give both numbers"),
        ({"focal_x": "nan", "focal_y": "2"}, "Use numbers from 0 to 1."),
    ],
    ids=["alt", "caption", "tags", "nameless", "twice", "long name", "no JSON", "deep", "half a point", "no point"],
)
async def test_what_is_refused_keeps_what_was_typed_and_takes_the_focus(
    editor: httpx.AsyncClient, three: list[str], wrong: dict[str, Any], said: str
):
    await write(editor, three[0], attributes={"size": [2, 3]})
    typed = {"caption": "Kept as typed", "tags": "kept, too"}
    answer = await send(editor, three[0], await opened(editor, three[0]) | typed | wrong, HTMX)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)
    assert answer.text.count(" autofocus") == 1
    assert answer.text.count("aria-invalid") >= 1
    for name, text in typed.items():
        assert name in wrong or f'value="{text}"' in answer.text
    image = await stored(editor, three[0])
    assert (image["alt_text"], image["caption"], image["attributes"]) == (None, None, {"size": [2, 3]})


async def test_attributes_keep_their_kinds_and_go_when_their_row_goes(editor: httpx.AsyncClient, three: list[str]):
    before = {"shelf": "12", "weight": 3, "fragile": True, "size": [2, 3], "gone": "x", "poem": "two\nlines"}
    await write(editor, three[0], attributes=before)
    form = await opened(editor, three[0])
    rows = dict(zip(form["attribute"], form["value"], strict=True))
    assert rows == {
        "shelf": "12",
        "weight": "3",
        "fragile": "true",
        "size": "[2, 3]",
        "gone": "x",
        "poem": "twolines",
        "": "",
    }
    del rows["gone"]
    rows |= {"weight": "4.5", "size": "[4]", "shelf": "13", "fragile": "a bit", "colour": "12"}
    answer = await send(editor, three[0], form | {"attribute": list(rows), "value": list(rows.values())})
    assert answer.status_code == 303
    after = {"shelf": "13", "weight": 4.5, "fragile": "a bit", "size": [4], "poem": "two\nlines", "colour": "12"}
    assert (await stored(editor, three[0]))["attributes"] == after


async def test_a_form_that_changes_nothing_leaves_no_trace(editor: httpx.AsyncClient, three: list[str]):
    await write(editor, three[0], attributes={"a": 1}, tags=["x, y", "z"], focal_point={"x": 0.123456789, "y": 1})
    before = await stored(editor, three[0])
    assert (await send(editor, three[0], await opened(editor, three[0]))).status_code == 303
    assert await stored(editor, three[0]) == before


async def test_known_tags_are_offered_by_how_they_begin_and_before_that_those_beside(
    app: Litestar, editor: httpx.AsyncClient, three: list[str]
):
    await write(editor, three[0], tags=["Front", "frozen", "50%_off", "<b>"])
    await write(editor, three[1], tags=["frozen"])
    viewer = await caller(app, "viewer")

    async def offered(q: str) -> list[str]:
        answer = await viewer.get(f"/images/{three[2]}/tags", params={"q": q})
        assert answer.status_code == 200
        return [html.unescape(each) for each in re.findall(r'data-tag="([^"]*)"', answer.text)]

    assert await offered("FRO") == ["Front", "frozen"]
    assert await offered("50%") == ["50%_off"]
    assert await offered("%") == []
    assert (await offered(""))[0] == "frozen"
    assert await offered("x" * 5000) == []


async def test_the_page_says_its_place_and_leads_to_both_neighbours(editor: httpx.AsyncClient, three: list[str]):
    text = (await editor.get(f"/images/{three[1]}", headers=PLAIN)).text
    assert "<span>2 of 3</span>" in text
    assert f'href="/images/{three[0]}" rel="prev"' in text
    assert f'href="/images/{three[2]}" rel="next"' in text


async def test_save_and_next_goes_on_and_from_the_last_one_back_to_the_gallery(
    editor: httpx.AsyncClient, three: list[str]
):
    plain = await send(editor, three[0], {"alt_text": "A mug", "then": "next"})
    assert (plain.status_code, plain.headers["location"]) == (303, f"/images/{three[1]}#alt-text")
    quick = await send(editor, three[2], {"alt_text": "Another", "then": "next"}, HTMX)
    assert (quick.status_code, quick.headers["hx-redirect"]) == (200, "/entities/inventory_items/MUG")
    assert (await stored(editor, three[2]))["alt_text"] == "Another"


async def test_made_primary_on_its_page_it_stays_on_its_page(editor: httpx.AsyncClient, three: list[str]):
    await write(editor, three[1], alt_text="Stays", decorative=True)
    answer = await send(editor, three[1], {"is_primary": "true"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/images/{three[1]}")
    image = await stored(editor, three[1])
    assert (image["is_primary"], image["alt_text"], image["decorative"]) == (True, "Stays", True)


async def test_history_shows_the_texts_before_and_after(editor: httpx.AsyncClient, three: list[str]):
    await write(editor, three[0], alt_text="Blue mug")
    await write(editor, three[0], alt_text="Slate <mug>", tags=["a", "b"], caption='["x"]')
    text = (await editor.get(f"/images/{three[0]}", headers=PLAIN)).text
    assert "<del>Blue mug</del> <ins>Slate &lt;mug&gt;</ins>" in text
    assert "<ins>a, b</ins>" in text
    assert "<ins>[&#34;x&#34;]</ins>" in text


async def test_what_the_camera_said_is_told_in_words(editor: httpx.AsyncClient, three: list[str]):
    facts = {
        "camera": "Pocket 2",
        "exposure": "1/125 s",
        "aperture": 2.8,
        "iso": 200,
        "taken_at": "2026-01-02T03:04:05",
    }
    await database.execute("UPDATE image SET exif = $2 WHERE id = $1", three[0], json.dumps(facts))
    text = (await editor.get(f"/images/{three[0]}", headers=PLAIN)).text
    for said in ("Pocket 2", "1/125 s", "f/2.8", "2026-01-02 03:04"):
        assert said in text
    assert "Camera</h3>" in text
    assert "Camera</h3>" not in (await editor.get(f"/images/{three[1]}", headers=PLAIN)).text


async def test_the_html_for_another_site_has_lasting_links_and_none_for_private_pictures(
    editor: httpx.AsyncClient, three: list[str], studio: Studio
):
    await write(editor, three[0], alt_text='A "mug"')
    text = html.unescape((await editor.get(f"/images/{three[0]}", headers=PLAIN)).text)
    assert f"/api/images/serve/{three[0]}?size=gallery" in text
    assert 'alt="A &quot;mug&quot;"' in text
    private = await studio.add(await make_entity("invoices", "7"), samples.jpeg(320, 200))
    text = (await editor.get(f"/images/{private}", headers=PLAIN)).text
    assert "Show it on another site" not in text
    assert "Private: a copied link works for an hour." in text
