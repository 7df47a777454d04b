"""The search over everything: words, filters, what follows, what is suggested."""

from __future__ import annotations

import pytest

from portal import database
from portal.entities.forms import EntityInput
from portal.entities.kinds import EntityRef
from portal.entities.queries import forget_counts
from portal.entities.service import put_entity
from portal.errors import FormError
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields
from portal.overview import conditions, galleries_found, pictures_found
from portal.overview.search import Found, search_everything, suggestions
from portal.storage.links import Links
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))


async def search(text: str) -> Found:
    return await search_everything(text, LINKS)


async def pictures(text: str) -> list[str]:
    return [hit.image.id for hit in (await search(text)).images]


async def galleries(text: str) -> list[str]:
    return [view.id for view in (await search(text)).entities]


async def test_search_finds_entities_and_pictures_together(studio: Studio) -> None:
    ref = await make_entity(name="Fjord mug")
    fields = PictureFields(alt_text="Speckled mug from above", tags=("studio",))
    image_id = await studio.add(ref, filename="IMG_1234.jpg", fields=fields)
    for q in ("mug", "SPECK", "studio", "img_12", "above mug", str(image_id), f"/images/{image_id}"):
        assert await pictures(q) == [str(image_id)], q
    found = await search("fjo")
    assert [(view.ref, view.primary.id if view.primary else None) for view in found.entities] == [(ref, str(image_id))]
    assert found.images == []
    hit = (await search("speck")).images[0]
    assert (hit.entity_name, hit.image.entity) == ("Fjord mug", ref)


@pytest.mark.usefixtures("db")
async def test_the_very_id_or_number_comes_first_then_names_that_begin_so() -> None:
    ref = EntityRef("invoices", "X")
    await put_entity(ref, EntityInput("Invoice", number="INV-7"), EDITOR)
    for number in range(70, 73):
        await make_entity("invoices", f"INV-{number}", f"Another INV-{number}")
    await make_entity("invoices", "Y", "INV-79 begins so")
    assert await galleries("inv-7") == ["X", "Y", "INV-70", "INV-71", "INV-72"]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "'", "&|!:*()\\", "'; --", "\ud800", "<->", "a" * 5000, "tag:%", "tag:\\", 'type:"', "{}"],
    ids=lambda text: ascii(text)[:16],
)
async def test_search_survives(text: str) -> None:
    await make_entity()
    found = await search(text)
    assert found.entities == found.images == []
    await search(f"mug{text} {text}mug")
    await suggestions(text)


async def test_filters_narrow_what_is_found(studio: Studio) -> None:
    mug, bare = await make_entity(id="MUG", name="Fjord mug"), await make_entity(id="BARE", name="Fjord bowl")
    invoice = await make_entity("invoices", "INV-1", "Fjord invoice")
    said = await studio.add(mug, fields=PictureFields(alt_text="A mug", tags=("Dark blue", "studio")))
    plain = await studio.add(mug, filename="plain.jpg", ready=False)
    receipt = await studio.add(invoice, filename="receipt.jpg", ready=False)
    await database.execute("UPDATE image SET status = 'failed' WHERE id = $1", receipt)
    assert await galleries("fjord type:invoices") == ["INV-1"]
    assert await galleries("type:invoices type:items fjord") == ["BARE", "INV-1", "MUG"]
    assert await galleries("missing:image") == ["BARE"]
    assert await pictures("missing:image") == []
    assert await galleries("missing:alt type:item") == ["MUG"]
    assert await pictures("missing:alt") == [str(receipt), str(plain)]
    assert await pictures("missing:alt fjord mug") == [str(plain)]  # the words are its gallery's
    assert (
        await pictures('tag:"dark blue"')
        == await pictures("tag:DARK")
        == await pictures("tag:studio mug")
        == [str(said)]
    )
    assert await pictures("tag:studio tag:other") == []
    assert await pictures("is:failed") == [str(receipt)]
    assert await pictures("is:waiting") == [str(plain)]
    assert await pictures("is:failed type:items") == []
    assert await pictures("is:primary") == [str(receipt), str(said)]
    assert await galleries("is:failed") == []
    assert await galleries("missing:primary") == [bare.id]


@pytest.mark.parametrize(("walked", "few"), [(1, 0), (1, 1000), (1000, 0)])
async def test_common_words_and_rare_ones_are_found_alike(
    studio: Studio, walked: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, other = await make_entity(name="Fjord mug"), await make_entity("companies", "C", "Fjord Ltd")
    tags = [("steel",), ("steel", "new"), ()]
    ids = [
        str(await studio.add(ref, ready=False, fields=PictureFields(alt_text=f"A kettle {each}", tags=each)))
        for each in tags
    ]
    last = str(await studio.add(other, ready=False, fields=PictureFields(alt_text="A red kettle")))
    for limit in ("WALKED", "FARTHEST"):  # from the newest back; beyond that an index tells
        monkeypatch.setattr(pictures_found, limit, walked)
    monkeypatch.setattr(conditions, "FEW", few)
    assert await pictures("kettle") == [last, *reversed(ids)]
    assert await pictures("red kettle") == [last]
    assert await pictures("kettle type:companies") == [last]
    assert await pictures("kettle tag:steel type:items") == [ids[1], ids[0]]
    assert await pictures("type:items") == list(reversed(ids))
    assert await pictures("oak kettle") == []
    assert await pictures("fjord tag:steel") == [ids[1], ids[0]]  # the gallery is called so
    assert await pictures("kettle tag:steel is:waiting") == [ids[1], ids[0]]
    assert await pictures("fjord is:primary") == [last, ids[0]]


async def test_what_follows_is_what_was_not_shown(studio: Studio) -> None:
    ref = await make_entity()
    ids = [str(await studio.add(ref, ready=False, fields=PictureFields(alt_text="A kettle"))) for _ in range(5)]
    shown: list[str] = []
    cursor = None
    for expected in (2, 2, 1):
        found = await search_everything("kettle", LINKS, part="images", cursor=cursor, limit=2)
        assert len(found.images) == expected
        shown += [hit.image.id for hit in found.images]
        cursor = found.more_images
    assert (shown, cursor) == (list(reversed(ids)), None)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("q", ["oak type:companies", "oak type:companies missing:image"])
@pytest.mark.parametrize(
    ("best", "sample", "walked"), [(1000, 2000, 9), (2, 2000, 9), (1, 1, 9), (1, 1, 1)]
)  # `walked`: from the newest back; beyond that an index tells
async def test_galleries_follow_too_whether_ranked_or_too_many_for_that(
    best: int, sample: int, walked: int, q: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_counts()
    for limit in ("WALKED", "WALKED_LACKING"):
        monkeypatch.setattr(galleries_found, limit, (walked,))
    monkeypatch.setattr(galleries_found, "EXACT_UP_TO", best)
    monkeypatch.setattr(conditions, "EXACT_UP_TO", best)
    monkeypatch.setattr(conditions, "_SAMPLE", sample)
    names = {id: f"Oak shelf {id}" for id in ("A", "B", "C", "D")} | {"oak": "Named so"}
    for id, name in names.items():
        await make_entity("companies", id, name)
        await make_entity("customers", f"{id}-2", "Ana")
    shown: list[str] = []
    cursor = None
    while True:
        found = await search_everything(q, LINKS, part="entities", cursor=cursor, limit=2)
        shown += [view.id for view in found.entities]
        cursor = found.more_entities
        if cursor is None:
            break
    assert shown[0] == "oak"  # its very id: before all others
    assert sorted(shown) == sorted(names)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("cursor", ["x", "nWzFd", "WzFd", "n" + "A" * 400])
async def test_a_foreign_cursor_is_refused_in_words(cursor: str) -> None:
    with pytest.raises(FormError) as refused:
        await search_everything("mug", LINKS, part="images", cursor=cursor)
    assert "cursor" in refused.value.errors


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("cursor", ["x", "rWzFd", "WyJhIl0", "W251bGxd", "n" + "A" * 400])
async def test_so_it_is_among_galleries(cursor: str) -> None:
    with pytest.raises(FormError) as refused:
        await search_everything("mug", LINKS, part="entities", cursor=cursor)
    assert "cursor" in refused.value.errors


async def test_the_trash_is_not_searched(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, fields=PictureFields(alt_text="Teapot"), ready=False)
    await trash_image(image_id, actor=EDITOR, deletes_per_hour=10)
    assert await pictures("teapot") == []


async def test_what_may_be_written_next_is_suggested(studio: Studio) -> None:
    await studio.add(await make_entity(), ready=False, fields=PictureFields(tags=("Dark blue", "50% off", "50 off")))
    texts = {
        text: [each.text for each in await suggestions(text)]
        for text in ("mug tag:d", "mug inv", "missing:", "m", "mug ")
    }
    assert texts["mug tag:d"] == ['mug tag:"Dark blue"']
    assert texts["mug inv"] == ["mug type:inventory_items", "mug type:invoices"]
    assert set(texts["missing:"]) == {"missing:image", "missing:primary", "missing:alt"}
    assert texts["m"] == texts["mug "] == []
    assert 'tag:"Dark blue"' in [each.text for each in await suggestions("dark")]
    assert [each.text for each in await suggestions("tag:50%")] == ['tag:"50% off"']
    assert "type:invoices" in [each.text for each in await suggestions("")]
