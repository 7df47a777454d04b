"""Cards of invoices, items and customers: what they say, in which language, on which paper; and the codes that lead to them."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import httpx
import pytest
import zxingcpp
from babel import Locale
from PIL import Image

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.settings import Settings
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal

SHOP = "https://shop.example.com"
HOSTILE = "<svg onload=alert(1)>{{7777*7777}}\"'"
INVOICE = EntityRef("invoices", "INV-1")
LINES = [
    {"description": "Mug", "quantity": "2", "unit_price": "642.25"},
    {"description": "By weight", "quantity": "0.333", "unit_price": "10"},
]


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.fixture
async def viewer(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with await portal.caller("viewer") as client:
        yield client


async def say(ref: EntityRef, name: str = "Spring terrace", **fields: Any) -> EntityRef:
    await put_entity(ref, parse_entity(ref, {"name": name, **fields}), SYSTEM)
    return ref


async def key_of(ref: EntityRef, *, whole_type: bool = False, **more: Any) -> str:
    asked: dict[str, Any] = {"presets": None, "parents": [SHOP], "expires_at": None, "captions": True, **more}
    scope = Scope(ref.type, None if whole_type else ref.id)
    return (await issue_key(scope, private_types=("invoices", "customers"), actor=SYSTEM, **asked))[1]


def text_of(page: httpx.Response) -> str:
    """What people read of it, in one line."""
    assert page.status_code == 200, page.text
    body = re.sub(r"<svg.*?</svg>|<head>.*?</head>", "", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def shown_in(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as picture:
        (found,) = zxingcpp.read_barcodes(picture.convert("L"))
    return found.text


@pytest.mark.parametrize(
    ("locale", "language", "direction", "said"),
    [
        ("en", "en", "ltr", ["Invoice 7", "3 November 2026", "€1,284.50", "0.333", "Tax 25%"]),
        ("de_AT", "de-AT", "ltr", ["Rechnung 7", "3. November 2026", "€ 1.284,50", "0,333", "Steuer 25 %"]),
        ("nb", "nb", "ltr", ["Faktura 7", "3. november 2026", "1 284,50 €", "Avgift 25 %"]),
        ("ja", "ja", "ltr", ["請求書 7", "2026年11月3日", "€1,284.50"]),
        ("ar", "ar", "rtl", ["فاتورة 7", "3 نوفمبر 2026", "1,284.50 €"]),
        ("pl", "en", "ltr", ["Invoice 7", "3 listopada 2026", "1 284,50 €"]),  # a language without words of ours
    ],
)
async def test_an_invoice_speaks_the_locale(
    config: Settings, studio: Studio, locale: str, language: str, direction: str, said: list[str]
) -> None:
    portal = small_portal(config.replace(locale=Locale.parse(locale)), studio)
    attributes = {"net": "1287.83", "vat": "321.96", "vat_rate": 25, "due": "2026-12-03T10:00:00Z"}
    more: dict[str, Any] = {"number": "7", "date": "2026-11-03", "currency": "EUR", "total": "1609.79"}
    await say(INVOICE, lines=LINES, attributes=attributes, **more)
    async with await portal.caller("viewer") as viewer:
        page = await viewer.get(f"/cards/{INVOICE}")
    assert f'<html lang="{language}" dir="{direction}"' in page.text
    text = text_of(page)
    for words in said:
        assert words in text
    assert "2026-1" not in text


@pytest.mark.parametrize(
    ("currency", "price", "quantity", "amount"),
    [
        ("JPY", "1500", "3", "¥4,500"),
        ("KWD", "1.255", "1", "KWD 1.255"),
        ("QQQ", "12", "1", "QQQ 12.00"),
        (None, "12", "0.333", "4.00"),
        ("EUR", "-19.995", "1", "−€20.00"),
        ("EUR", "999999999999999", "999999999999999", "€999,999,999,999,998,000,000,000,000,001.00"),
    ],
)
async def test_amounts_are_exact_in_every_currency(
    viewer: httpx.AsyncClient, currency: str | None, price: str, quantity: str, amount: str
) -> None:
    line = {"description": "Mug", "quantity": quantity, "unit_price": price}
    await say(INVOICE, lines=[line], currency=currency)
    assert amount in text_of(await viewer.get(f"/cards/{INVOICE}"))


@pytest.mark.parametrize(
    ("total", "attributes", "said"),
    [
        ("105", {}, ["Net €100.00", "Tax €5.00", "To pay €105.00"]),
        ("90", {}, ["Net €100.00", "Discount −€10.00", "To pay €90.00"]),
        ("100", {}, ["To pay €100.00"]),
        ("100", {"vat": "20", "vat_rate": "25 %"}, ["Net €80.00", "Tax 25% €20.00", "To pay €100.00"]),
        (
            "-125",
            {"net": "-100", "tax_rate": 0.25},
            ["Credit note", "Net −€100.00", "Tax 25% −€25.00", "Credit −€125.00"],
        ),
        (None, {}, ["Sum €100.00"]),
    ],
)
async def test_totals_are_the_hosts_and_what_follows_from_them(
    viewer: httpx.AsyncClient, total: str | None, attributes: dict[str, Any], said: list[str]
) -> None:
    lines = [{"description": "Mug", "quantity": "4", "unit_price": "25"}]
    await say(INVOICE, lines=lines, currency="EUR", total=total, attributes=attributes)
    text = text_of(await viewer.get(f"/cards/{INVOICE}"))
    for words in said:
        assert words in text
    assert ("Net" in text) == any("Net" in words for words in said)


async def test_an_invoice_names_who_sells_who_buys_and_how_to_pay(
    viewer: httpx.AsyncClient, portal: SmallPortal
) -> None:
    attributes: dict[str, Any] = {
        "address": "Kaigata 14, 1767 Halden",
        "iban": "NO83 3000",
        "email": "post@halden.example",
    }
    company = await say(EntityRef("companies", "HALDEN"), "Halden Supply", reference="NO 918", attributes=attributes)
    picture = await portal.studio.add(company)
    where = {"street": "Torget 2", "postcode": 1767, "city": "Halden", "country": "Norway"}
    customer = await say(EntityRef("customers", "K-1"), "Café Brygga", attributes={"address": where})
    parent = {"type": customer.type, "id": customer.id}
    more: dict[str, Any] = {"due": "on sight", "status": "Paid", "terms": "30 days"}
    await say(INVOICE, parent=parent, attributes={"company": "HALDEN", **more}, total="1", reference="Terrace")
    page = await viewer.get(f"/cards/{INVOICE}")
    text = text_of(page)
    for words in (
        "Halden Supply, Kaigata 14, 1767 Halden · NO 918 · post@halden.example",
        "For Café Brygga Torget 2 1767 Halden Norway",
        "Due on sight",
        "Pay to NO83 3000",
        "Terms 30 days",
    ):
        assert words in text
    assert 'class="status good"' in page.text
    assert f"{picture}?size=icon" in page.text


async def test_a_key_hands_out_no_size_that_it_may_not_not_even_the_companys_sign(
    visitor: httpx.AsyncClient, portal: SmallPortal
) -> None:
    company, item = await make_entity("companies", "HALDEN"), await make_entity()
    for ref in (company, item):
        await portal.studio.add(ref, samples.jpeg(1200, 900 + len(ref.id)))
    lines = [{"description": "Mug", "quantity": "1", "item": item.id}]
    await say(INVOICE, attributes={"company": "HALDEN"}, lines=lines)
    await portal.studio.add(INVOICE, samples.jpeg(1000, 700))
    keys = {ref: await key_of(ref, presets=["small"]) for ref in (INVOICE, item)}
    for key in keys.values():
        for paper in ("a4", "label"):
            page = await visitor.get(f"/cards/k/{key}?paper={paper}")
            sizes = set(re.findall(r"/api/images/serve/[^\"]*?size=(\w+)", page.text))
            assert sizes == {"small"}, page.text


async def test_nothing_odd_breaks_a_card_or_gets_into_it(viewer: httpx.AsyncClient) -> None:
    odd: dict[str, Any] = {
        "address": {"street": ["x"], "city": HOSTILE},
        "due": ["2026-11-03"],
        "due_date": "2026-99-99",
        "status": HOSTILE,
        "vat": {"amount": 3},
        "vat_rate": True,
        "net": "1e400",
        "iban": {"no": 1},
        "company": {"id": "HALDEN"},
        "customer": "not an id!",
        "price": "12.3.4",
        "currency": "euro",
        "stock": None,
        HOSTILE: HOSTILE,
        "": "nameless",
        "nested": {"deep": "DEEP"},
        "list": ["LISTED"],
        "long": "LONG" * 200,
        "yes": True,
        "weight": 12.5,
        "made": 2026,
        "since": "2019-05-17",
    }
    lines = [
        {"description": HOSTILE, "quantity": "-0.333"},
        {"description": "x" * 500, "quantity": "1", "item": "NONE"},
    ]
    for ref in (INVOICE, EntityRef("inventory_items", "ODD"), EntityRef("customers", "ODD")):
        await say(ref, HOSTILE, attributes=odd, **({"lines": lines, "total": "5"} if ref == INVOICE else {}))
        for paper in ("a4", "a5", "label", "label-small", "../..", "%00"):
            page = await viewer.get(f"/cards/{ref}?paper={paper}&theme=blue")
            text = text_of(page)
            assert "<svg onload" not in page.text
            assert "60481729" not in text
            for left_out in ("DEEP", "LISTED", "LONGLONG", "nameless"):
                assert left_out not in text
    text = text_of(await viewer.get("/cards/inventory_items/ODD"))
    for words in ("Yes Yes", "Weight 12.5", "Made 2026", "Since 17 May 2019", "Price 12.3.4"):
        assert words in text


async def test_an_entity_of_which_nothing_is_known_has_a_card(viewer: httpx.AsyncClient) -> None:
    for kind in ("invoices", "inventory_items", "customers"):
        ref = await make_entity(kind, "BARE", name="Bare")
        for paper in ("a4", "label", "label-small"):
            page = await viewer.get(f"/cards/{ref}?paper={paper}")
            assert "BARE" in text_of(page)
            assert "None" not in text_of(page)


async def test_an_item_says_its_price_and_stock_and_shows_its_pictures(
    viewer: httpx.AsyncClient, portal: SmallPortal
) -> None:
    attributes: dict[str, Any] = {"price": "14.5", "currency": "EUR", "stock": 1200, "burning_time": "40 h"}
    item = await say(EntityRef("inventory_items", "CND-1"), "Candle", attributes=attributes)
    ids = [await portal.studio.add(item) for _ in range(2)]
    page = await viewer.get(f"/cards/{item}")
    assert "SKU CND-1 €14.50 In stock 1,200 Burning time 40 h" in text_of(page)
    assert f"{ids[0]}?size=gallery" in page.text
    assert f"{ids[1]}?size=card" in page.text
    label = await viewer.get(f"/cards/{item}?paper=label")
    assert "Candle CND-1 €14.50" in text_of(label)


@pytest.mark.parametrize("kind", ["inventory_items", "customers"])
async def test_a_key_tells_customers_what_they_may_know_and_staff_all(
    viewer: httpx.AsyncClient, visitor: httpx.AsyncClient, kind: str
) -> None:
    told = {"Price": "14.50", "Colour": "TOLD-1", "burning time": "TOLD-2", "width_cm": "TOLD-3", "e-mail": "HID-1"}
    hidden = {"supplier": "HID-2", "purchase_price": "4.44", "cost": "5.55", "note": "HID-3", "credit_limit": "6.66"}
    hidden |= {"Stock": "777", "stock": "888", "margin_cm": "HID-4", "cost_price": "9.99"}
    ref = await say(EntityRef(kind, "A-1"), "Thing", attributes={**hidden, **told, "email": "TOLD-4"})
    for key in (await key_of(ref), f"{await key_of(ref, whole_type=True)}?id={ref.id}&paper=a4"):
        text = text_of(await visitor.get(f"/cards/k/{key}"))
        for words in ("TOLD-1", "TOLD-2", "TOLD-3", "TOLD-4"):
            assert words in text
        for words in ("HID-", *(value for value in hidden.values())):
            assert words not in text
    seen = text_of(await viewer.get(f"/cards/{ref}"))
    assert all(value in seen for value in ("HID-2", "HID-3", "5.55"))  # the first twelve


async def test_a_key_without_captions_says_them_nowhere(visitor: httpx.AsyncClient, portal: SmallPortal) -> None:
    item = await make_entity()
    for ref in (await say(INVOICE, lines=[{"description": "Mug", "quantity": "1", "item": item.id}]), item):
        for _ in range(2):
            await portal.studio.add(ref)
        await database.execute("UPDATE image SET caption = 'UNSAID'")
        key = await key_of(ref, captions=False)
        pages = [
            f"/{start}/k/{key}{query}" for start in ("cards", "embed") for query in ("", "?captions=1&layout=strip")
        ]
        for path in (*pages, f"/oembed?url={portal.settings.base_url}/embed/k/{key}"):
            answer = await visitor.get(path)
            assert answer.status_code == 200
            assert "UNSAID" not in answer.text, path


async def test_the_paper_is_the_urls_else_the_contents(viewer: httpx.AsyncClient, visitor: httpx.AsyncClient) -> None:
    item = await make_entity()
    await make_entity("invoices", INVOICE.id)
    for path, paper in (
        (f"{INVOICE}", "a4"),
        (f"{item}", "a5"),
        (f"{item}?paper=a3", "a5"),
        (f"{item}?paper=a4", "a4"),
        (f"{INVOICE}?paper=a5", "a5"),
        (f"{item}?paper=label", "label"),
        (f"{item}?paper=label-small", "label-small"),
    ):
        page = await viewer.get(f"/cards/{path}")
        assert re.findall(r'/css/paper-([\w-]+)\.css"', page.text) == [paper]
        assert 'href="?paper=label"' in page.text
    assert "?paper=" not in (await visitor.get(f"/cards/{item}")).text  # a shop's guests are not asked about paper


async def test_a_pinned_invoice_says_of_when_its_pictures_are(
    visitor: httpx.AsyncClient, viewer: httpx.AsyncClient, portal: SmallPortal
) -> None:
    await portal.studio.add(await make_entity("invoices", INVOICE.id))
    assert "Pictures as of" not in text_of(await viewer.get(f"/cards/{INVOICE}"))
    page = await visitor.get(f"/cards/k/{await key_of(INVOICE)}")
    today = datetime.now(UTC)
    assert f"Pictures as of {today.day} {today:%B %Y}" in text_of(page)


@pytest.mark.parametrize("kind", ["inventory_items", "invoices", "customers"])
async def test_codes_of_every_kind_can_be_scanned(
    portal: SmallPortal, viewer: httpx.AsyncClient, visitor: httpx.AsyncClient, kind: str
) -> None:
    ref, base = await make_entity(kind, "A.1"), portal.settings.base_url
    key, for_all = await key_of(ref), await key_of(ref, whole_type=True)
    for path, url in (
        (f"/qr/{ref}", f"{base}/cards/{ref}"),
        (f"/qr/k/{key}", f"{base}/cards/k/{key}"),
        (f"/qr/k/{for_all}", f"{base}/cards/k/{for_all}?id={ref.id}"),
    ):
        client, query = (viewer, "") if key not in path and for_all not in path else (visitor, f"?id={ref.id}")
        png, svg = await client.get(f"{path}.png{query}"), await client.get(f"{path}.svg{query}")
        assert shown_in(png.content) == url
        assert svg.text.startswith("<svg ")
        is_public = client is viewer and kind == "inventory_items"
        for answer in (png, svg):
            assert answer.headers["cache-control"] == ("public, max-age=86400" if is_public else "private, max-age=300")
            assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        head = await client.head(f"{path}.png{query}")
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("size", "side"),
    [("64", 64), ("500", 500), ("1", 64), ("99999", 1024), ("-5", None), ("x", None), ("9" * 30, None), ("", None)],
)
async def test_a_codes_size_is_bounded(visitor: httpx.AsyncClient, db: None, size: str, side: int | None) -> None:
    ref = await make_entity()
    usual = await visitor.get(f"/qr/{ref}.png")
    answer = await visitor.get(f"/qr/{ref}.png", params={"size": size})
    with Image.open(io.BytesIO(answer.content)) as picture, Image.open(io.BytesIO(usual.content)) as other:
        assert picture.size == (other.size if side is None else (side, side))
    assert shown_in(answer.content) == shown_in(usual.content)


async def test_a_code_is_for_who_may_see_the_card(visitor: httpx.AsyncClient, viewer: httpx.AsyncClient) -> None:
    invoice, company = await make_entity("invoices", INVOICE.id), await make_entity("companies")
    key = await key_of(invoice)
    for path in (
        f"{invoice}.svg",
        f"k/{key}",
        f"k/{key}.gif",
        f"k/{key[:-1]}_.svg",
        "k/.svg",
        f"k/{await key_of(company)}.svg",
        f"k/{key}.svg?id=OTHER",
        f"k/{await key_of(invoice, whole_type=True)}.png",
        f"k/{await key_of(invoice, whole_type=True)}.png?id=NONE",
    ):
        assert (await visitor.get(f"/qr/{path}")).status_code == 404, path
    assert (await viewer.get(f"/qr/{invoice}.svg")).status_code == 200
