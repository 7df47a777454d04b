"""Money as amounts: computed in decimal digits, rounded only to its currency's minor unit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

USUAL_PLACES: Final = 2
# ISO 4217's minor units, where they are not 2. Unicode's tables round more currencies, as people do with coins: bills don't.
_PLACES: Final = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
EXACT: Final = Context(prec=100, rounding=ROUND_HALF_UP)  # far beyond a thousand products of two numbers of 15 digits


def places_of(currency: str | None) -> int:
    """How many digits stand after the point."""
    return _PLACES.get(currency or "", USUAL_PLACES)


def amount_of(price: Decimal, quantity: Decimal, currency: str | None) -> Decimal:
    """What a line of an invoice costs; a half is rounded away from zero."""
    product = EXACT.multiply(price, quantity)
    return product.quantize(Decimal(1).scaleb(-places_of(currency)), context=EXACT)


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def difference_of(amount: Decimal, less: Decimal) -> Decimal:
    return EXACT.subtract(amount, less)
