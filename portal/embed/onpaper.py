"""How high a card's sheet is at most on paper: a frame of another page is given its height before it is printed.

For frames 150 to 190 mm wide. The same millimetres stand in card-print.css, sheet-print.css and paper-….css; what is too
much stays white.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portal.embed.invoices import InvoiceCard
from portal.embed.profiles import Profile
from portal.gallery.views import ImageView, LineView

_WIDE: Final = 190
_SPARE: Final = 4
_PIXELS: Final = 96 / 25.4


@dataclass(frozen=True, slots=True)
class _Paper:
    """In mm: a line of text, the room between sections, a code, a face, a row's picture with its padding by density."""

    text: float
    gap: float
    code: float
    face: float
    columns: int
    rows: dict[str, float]


_PAPERS: Final = {
    "a4": _Paper(4.53, 7, 28, 76, 4, {"roomy": 28.1, "snug": 18.2, "dense": 12.5, "long": 18.2}),
    "a5": _Paper(3.62, 3.5, 23, 50, 3, {"roomy": 19.1, "snug": 10.8, "dense": 8.1, "long": 10.8}),
}


def invoice_height(card: InvoiceCard, images: Sequence[ImageView], paper: str) -> int | None:
    """CSS pixels; None for a paper whose height no frame needs, as a label's."""
    if paper not in _PAPERS:
        return None
    of = _PAPERS[paper]
    company, customer, text = card.company, card.customer, of.text
    head = 3.2 * text
    if company:
        head += (_lines(company.name, 24) + _lines(company.tagline or "", 24) - 1) * text
    to = 1 + _lines(customer.name, 40) + sum(_lines(line, 40) for line in customer.address) if customer else 0
    facts = 2.2 * math.ceil(len(card.facts) / 3)
    size, most = (text * 0.86, 40) if card.density == "dense" else (text, 32)
    rows = sum(max(of.rows[card.density], _beside(line, size, most)) for line in card.lines)
    pay = (1.5 * len(card.totals) + 1.35 * len(card.payment)) * text + 8
    small = sum(len(part) + 3 for part in (company.name, *company.address, *company.contact)) if company else 0
    sections = [
        head,
        (to + facts) * text,
        rows + 1.7 * text if card.lines else 0,
        max(of.code, pay),
        _shots(images, of),
        2 + math.ceil(small / 100 + 1) * 0.9 * text,
    ]
    return _pixels(sections, of)


def profile_height(card: Profile, paper: str, *, has_box: bool) -> int | None:
    """As `invoice_height`. `has_box`: it has a place for a picture even without one."""
    if paper not in _PAPERS:
        return None
    of = _PAPERS[paper]
    facts = sum(max(_lines(fact.label, 12), _lines(fact.value, 18)) + 1 for fact in card.facts)
    what = (5 + 1.7 * _lines(card.heading, 16) + len(card.address) + facts) * of.text
    face = of.face + 4 if card.face or has_box else 0
    if card.face:
        face += _lines(card.face.caption or "", 34) * of.text
    most = 6 if paper == "a5" else 12
    others = _shots(card.others[:most], of) + (2 * of.text if len(card.others) > most else 0)
    return _pixels([max(what, face), others, of.code, 1.5 * of.text], of)


def _shots(images: Sequence[ImageView], of: _Paper) -> float:
    rows = [images[start : start + of.columns] for start in range(0, len(images), of.columns)]
    picture = _WIDE / of.columns * 0.75 + 3
    words = [max(_lines(image.caption or "", 100 // of.columns) for image in row) for row in rows]
    return sum(picture + lines * of.text for lines in words) + (2 * of.text if rows else 0)


def _beside(line: LineView, text: float, most: int) -> float:
    """The words beside a line's picture: its name, and below it what it says and the item's number."""
    name = line.item_name or line.description
    below = f"{line.description} · {line.item or ''}" if line.item or name != line.description else ""
    return (1.05 * _lines(name, most - 6) + 0.9 * _lines(below, most)) * text + 2


def _lines(words: str, most: int) -> int:
    """Of at most so many letters; those of wide scripts count twice."""
    return math.ceil(sum(2 if ord(letter) > 0x2E7F else 1 for letter in words) / most)


def _pixels(sections: Sequence[float], of: _Paper) -> int:
    there = [height for height in sections if height]
    return math.ceil((sum(there) + of.gap * (len(there) - 1) + _SPARE) * _PIXELS)
