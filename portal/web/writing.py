"""Money, numbers and dates as people of a locale write them."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, localcontext
from functools import cache
from typing import Final

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, get_currency_symbol

from portal.money import EXACT, places_of

_NBSP: Final = "\N{NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"
ENGLISH: Final = Locale("en")
_INTERNATIONAL: Final = Locale("en", "001")  # of nobody's country: "3 November 2026", as the portal's own pages say it


@dataclass(frozen=True)
class Writing:
    """Digits are always 0 to 9. None is an em dash, as in an empty table cell; no digit that was given is left out."""

    locale: Locale = ENGLISH
    zone: tzinfo = UTC

    def money(self, amount: Decimal | int | None, currency: str | None = None) -> str:
        """Decimal("1284.5"), "EUR" -> "€1,284.50"; a currency that nobody knows is named by its code."""
        if amount is None:
            return "—"
        if currency is None:
            return self._written(Decimal(amount), _decimal_pattern(self.locale, places_of(None)))
        symbol = str(get_currency_symbol(currency, self.locale))
        text = self._written(Decimal(amount), _money_pattern(self.locale, places_of(currency)))
        # "SEK 5", "€5": letters keep off digits, as Unicode's rules ask and Babel leaves to its patterns
        before = _NBSP if symbol[-1].isalpha() and re.search(r"¤\d", text) else ""
        after = _NBSP if symbol[0].isalpha() and re.search(r"\d¤", text) else ""
        return text.replace("¤", f"{after}{symbol}{before}")

    def number(self, value: int | float | Decimal | None) -> str:
        """1284 -> "1,284"; a fraction keeps the digits that it has."""
        return "—" if value is None else self._written(Decimal(str(value)), _decimal_pattern(self.locale, 0))

    def plain(self, value: int | float | Decimal) -> str:
        """The same without signs of thousands: for what may be a year or a code."""
        return self._written(Decimal(str(value)), _decimal_pattern(self.locale, 0), in_groups=False)

    def percent(self, value: Decimal) -> str:
        """Decimal("25") -> "25%"."""
        return self._written(EXACT.scaleb(value, -2), _percent_pattern(self.locale))

    def date(self, when: datetime | date | str | None) -> str:
        """ "3 November 2026"; a time by the day that it is in the portal's zone. Text stays as it is."""
        if when is None:
            return "—"
        if isinstance(when, str):
            return when
        if isinstance(when, datetime):
            when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(self.zone).date()
        return format_date(when, "long", locale=_INTERNATIONAL if self.locale == ENGLISH else self.locale)

    def _written(self, value: Decimal, pattern: NumberPattern, *, in_groups: bool = True) -> str:
        with localcontext(EXACT):
            text = pattern.apply(value, self.locale, decimal_quantization=False, group_separator=in_groups)
        return text.replace("-", _MINUS)


@cache
def _money_pattern(locale: Locale, places: int) -> NumberPattern:
    return _with_places(locale.currency_formats["standard"], places)


@cache
def _decimal_pattern(locale: Locale, places: int) -> NumberPattern:
    return _with_places(locale.decimal_formats[None], places)


@cache
def _percent_pattern(locale: Locale) -> NumberPattern:
    return _with_places(locale.percent_formats[None], 0)


def _with_places(pattern: NumberPattern, places: int) -> NumberPattern:
    """The locale's pattern with at least so many digits after the point."""
    changed = copy.copy(pattern)
    changed.frac_prec = (places, places)
    return changed
