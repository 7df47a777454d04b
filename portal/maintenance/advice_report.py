"""All lists of advice at once: of each how much there is, and its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from portal.maintenance.advice import (
    Advice,
    HeavyOriginal,
    SilentGallery,
    SmallPrint,
    count_heavy,
    count_small,
    heavy_originals,
    silent_galleries,
    small_prints,
)
from portal.maintenance.advice_twins import TwinFinder, Twins, twins
from portal.storage.links import Links

FIRST: Final = 5


@dataclass(frozen=True, slots=True)
class OriginalsAdvice:
    about: Advice
    first: list[HeavyOriginal]


@dataclass(frozen=True, slots=True)
class PrintAdvice:
    about: Advice
    first: list[SmallPrint]


@dataclass(frozen=True, slots=True)
class TwinsAdvice:
    """As of a moment: it takes a while to find, and is kept. None: it is looked for."""

    about: Advice
    first: list[Twins]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class AltAdvice:
    """`about` counts pictures, `first` lists galleries."""

    about: Advice
    first: list[SilentGallery]


@dataclass(frozen=True, slots=True)
class AdviceReport:
    originals: OriginalsAdvice
    print: PrintAdvice
    duplicates: TwinsAdvice
    lookalikes: TwinsAdvice
    alt_text: AltAdvice


async def advice_report(finder: TwinFinder, links: Links) -> AdviceReport:
    finder.begin()
    same = await twins(finder, "same", links, limit=FIRST)
    alike = await twins(finder, "alike", links, limit=FIRST)
    heavy = await heavy_originals(links, limit=FIRST, is_counted=False)
    small = await small_prints(links, limit=FIRST, is_counted=False)
    silent = await silent_galleries(limit=FIRST)
    return AdviceReport(
        originals=OriginalsAdvice(await count_heavy(), heavy.items),
        print=PrintAdvice(await count_small(), small.items),
        duplicates=TwinsAdvice(same.advice, same.page.items, same.as_of),
        lookalikes=TwinsAdvice(alike.advice, alike.page.items, alike.as_of),
        alt_text=AltAdvice(Advice(silent.total), silent.items),
    )
