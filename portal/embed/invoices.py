"""An invoice as its card shows it: who, what, and how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from portal.embed.facts import Fact, address_in, day_in, decimal_in, text_in
from portal.entities.kinds import EntityRef, is_entity_id
from portal.errors import NoSuchEntity
from portal.gallery.queries import get_entity
from portal.gallery.views import EntityView, ImageView, LineView
from portal.money import difference_of, sum_of
from portal.storage.links import Links
from portal.web.writing import Writing

# The most lines with which an A4 page still holds all, by the room that a line takes.
_ROOMY, _SNUG, _DENSE = 5, 8, 12
_GOOD: Final = frozenset({"paid", "settled", "betalt", "bezahlt", "payé", "pagado", "pagato"})
_BAD: Final = frozenset({"overdue", "cancelled", "canceled", "void", "unpaid"})
Words = Mapping[str, str]
Narrow = Callable[[ImageView], ImageView]


@dataclass(frozen=True, slots=True)
class Party:
    """Who sells or buys. `contact` is said in one line each."""

    name: str
    tagline: str | None
    address: tuple[str, ...]
    contact: tuple[str, ...]
    logo: ImageView | None


@dataclass(frozen=True, slots=True)
class Status:
    """`tone` is good, bad or plain."""

    word: str
    tone: str


@dataclass(frozen=True, slots=True)
class Total:
    label: str
    amount: Decimal
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceCard:
    """`density` is roomy, snug, dense or long: how many lines share the first page."""

    heading: str
    company: Party | None
    customer: Party | None
    status: Status | None
    facts: list[Fact]
    lines: list[LineView]
    has_prices: bool
    density: str
    totals: list[Total]
    payment: list[Fact]


async def invoice_card(
    invoice: EntityView, *, links: Links, writing: Writing, words: Words, narrow: Narrow, sees_all: bool
) -> InvoiceCard:
    """`narrow` leaves of a picture what may be shown; `sees_all`: private parties, and how to pay."""
    company, customer = await _parties(invoice, links, () if sees_all else links.private_types)
    said = invoice.attributes if sees_all else {}
    totals = totals_of(invoice, said, writing, words)
    is_credit = bool(totals) and totals[-1].amount < 0
    number = invoice.number or invoice.reference or invoice.id
    lines = [_narrowed(line, narrow) for line in invoice.lines]
    return InvoiceCard(
        heading=f"{words['credit_note' if is_credit else 'invoice']} {number}",
        company=_party(company, narrow, sees_all=sees_all) if company else None,
        customer=_customer(customer, narrow, sees_all=sees_all) if customer else None,
        status=_status(said),
        facts=_facts(invoice, said, writing, words, number),
        lines=lines,
        has_prices=any(line.unit_price is not None for line in lines),
        density=density_of(len(lines)),
        totals=totals,
        payment=_payment(said, company if sees_all else None, words),
    )


def density_of(lines: int) -> str:
    if lines <= _ROOMY:
        return "roomy"
    return "snug" if lines <= _SNUG else "dense" if lines <= _DENSE else "long"


def totals_of(invoice: EntityView, said: Mapping[str, Any], writing: Writing, words: Words) -> list[Total]:
    """Net, tax and total as the host says them; what it leaves out, as far as the lines tell it for sure."""
    amounts = [line.amount for line in invoice.lines]
    known = [amount for amount in amounts if amount is not None]
    lines = sum_of(known) if known and len(known) == len(amounts) else None
    total = invoice.total
    if total is None:
        return [] if lines is None else [Total(words["sum"], lines, is_last=True)]
    rate = decimal_in(said, "vat_rate", "tax_rate")
    tax = decimal_in(said, "vat", "tax", "vat_amount", "tax_amount")
    net = decimal_in(said, "net", "subtotal", "net_total")
    if net is None:
        net = lines if tax is None else difference_of(total, tax)
    last = Total(words["credit" if total < 0 else "to_pay"], total, is_last=True)
    if net is None or (net == total and not tax):
        return [last]
    tax = difference_of(total, net) if tax is None else tax
    is_discount = tax != 0 and (tax < 0) != (net < 0)
    label = words["discount" if is_discount else "tax"]
    if rate is not None and not is_discount:
        label = f"{label} {writing.percent(rate if abs(rate) >= 1 or not rate else rate * 100)}"
    return [Total(words["net"], net), Total(label, tax), last]


def _facts(invoice: EntityView, said: Mapping[str, Any], writing: Writing, words: Words, number: str) -> list[Fact]:
    due = day_in(said, "due", "due_date", "due_on", "payment_due")
    reference = invoice.reference if invoice.reference != number else None
    known = (
        ("issued", writing.date(invoice.date) if invoice.date else None),
        ("due", writing.date(due) if due else None),
        ("reference", reference or text_in(said, "order", "order_number", "po_number", "your_reference")),
    )
    return [Fact(words[name], value) for name, value in known if value]


def _payment(said: Mapping[str, Any], company: EntityView | None, words: Words) -> list[Fact]:
    """Where to pay, and on what terms: as the invoice says, else the company."""
    sources = [said, *([company.attributes] if company else [])]
    iban = next(filter(None, (text_in(each, "iban", "account", "bank_account") for each in sources)), None)
    bic = next(filter(None, (text_in(each, "bic", "swift") for each in sources)), None)
    facts = [Fact(words["pay_to"], " · ".join(filter(None, (iban, bic))))] if iban else []
    if terms := text_in(said, "payment_terms", "terms"):
        facts.append(Fact(words["terms"], terms))
    return facts


def _status(said: Mapping[str, Any]) -> Status | None:
    word = text_in(said, "status")
    if word is None:
        return None
    lower = word.casefold()
    return Status(word[:40], "good" if lower in _GOOD else "bad" if lower in _BAD else "plain")


def _narrowed(line: LineView, narrow: Narrow) -> LineView:
    return dataclasses.replace(line, picture=narrow(line.picture)) if line.picture else line


def _party(entity: EntityView, narrow: Narrow, *, sees_all: bool) -> Party:
    """`sees_all`: with its registration and how to reach it, not only where it is."""
    said = entity.attributes
    contact = (entity.reference, text_in(said, "email"), text_in(said, "phone", "telephone")) if sees_all else ()
    return Party(
        name=entity.name,
        tagline=text_in(said, "tagline"),
        address=address_in(said),
        contact=tuple(filter(None, contact)),
        logo=narrow(entity.primary) if entity.primary else None,
    )


def _customer(entity: EntityView, narrow: Narrow, *, sees_all: bool) -> Party:
    """Strangers are told the name, where they may see customers: what else is said of them is staff's and the key's."""
    party = _party(entity, narrow, sees_all=False)
    return party if sees_all else dataclasses.replace(party, address=(), tagline=None)


async def _parties(
    invoice: EntityView, links: Links, hidden: Collection[str]
) -> tuple[EntityView | None, EntityView | None]:
    """Company and customer: those the attributes name, else those found by going up from parent to parent."""
    found: dict[str, EntityView] = {}
    for type, attribute in (("companies", "company"), ("customers", "customer")):
        id = invoice.attributes.get(attribute)
        if type in hidden or not isinstance(id, str) or not is_entity_id(id):
            continue
        if named := await _find_entity(EntityRef(type, id), links):
            found[type] = named
    ref = invoice.parent
    for _ in range(3):
        above = await _find_entity(ref, links) if ref and ref.type not in hidden else None
        if above is None:
            break
        found.setdefault(above.type, above)
        ref = above.parent
    return found.get("companies"), found.get("customers")


async def _find_entity(ref: EntityRef, links: Links) -> EntityView | None:
    try:
        return await get_entity(ref, links)
    except NoSuchEntity:
        return None
