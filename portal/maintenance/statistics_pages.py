"""The page of statistics, and its tables to download."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from litestar import Router, get
from litestar.response import Stream, Template

from portal.accounts.guards import permit
from portal.entities.kinds import KINDS
from portal.errors import NotFound
from portal.maintenance.chart_stack import StackedChart, stacked
from portal.maintenance.extremes import best_and_worst
from portal.maintenance.figures import Figures
from portal.maintenance.history import PARTS, Amount, noted_days
from portal.maintenance.statistics import Statistics
from portal.web.csv_answers import csv_response
from portal.web.parameters import PathText, TheLinks
from portal.web.rendering import AnyRequest, page

MONTHS: Final = 24  # in the chart; the table has all
_ALL_DAYS: Final = 36_500
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@get("/maintenance/statistics", name="maintenance:statistics", include_in_schema=False, **permit("viewer"))
async def statistics(request: AnyRequest, links: TheLinks) -> Template:
    figures: Figures = request.app.state.figures
    found = await figures.statistics()
    best, worst = await best_and_worst(links)
    return await page(
        request,
        "maintenance/statistics.html",
        found=found,
        kinds=[(KINDS[name].label, amount) for name, amount in found.by_entity_type.items()],
        months=_months(found.by_month),
        best=best,
        worst=worst,
    )


def _months(by_month: Mapping[str, Amount]) -> StackedChart:
    """The last ones with those in between in which nothing was added."""
    names = _names(min(by_month), max(by_month))[-MONTHS:] if by_month else []
    return stacked(
        [[by_month.get(name, Amount()).count] for name in names],
        [f"{_MONTH_NAMES[int(name[5:]) - 1]} {name[:4]}" for name in names],
        is_bytes=False,
        label_every=4 if len(names) > 8 else 1,
    )


def _names(first: str, last: str) -> list[str]:
    start, end = (int(each[:4]) * 12 + int(each[5:]) - 1 for each in (first, last))
    return [f"{each // 12:04}-{each % 12 + 1:02}" for each in range(start, end + 1)]


def _amounts(pick: Callable[[Statistics], Mapping[str, Amount]]) -> Callable[[Statistics], Iterable[Sequence[Any]]]:
    return lambda found: ((name, amount.count, amount.bytes) for name, amount in pick(found).items())


# By name: what the first column holds, and the rows.
_TABLES: Final[Mapping[str, tuple[str, Callable[[Statistics], Iterable[Sequence[Any]]]]]] = {
    "types": ("entity type", _amounts(lambda found: found.by_entity_type)),
    "statuses": ("status", _amounts(lambda found: found.by_status)),
    "renditions": ("rendition", _amounts(lambda found: found.by_rendition)),
    "months": ("month", _amounts(lambda found: found.by_month)),
}


@get(
    "/maintenance/statistics/{file:str}",
    name="maintenance:statistics_csv",
    include_in_schema=False,
    **permit("viewer"),
)
async def download(request: AnyRequest, file: PathText) -> Stream:
    """`types.csv`, `statuses.csv`, `renditions.csv`, `months.csv`, and of the history `days.csv`."""
    table = file.removesuffix(".csv")
    if file == "days.csv":
        header = ["day", *(f"{part} {what}" for part in PARTS for what in ("count", "bytes"))]
        return csv_response("storage-days.csv", header, _days())
    if table not in _TABLES or table == file:
        raise NotFound("There is no table of this name.")
    first, rows = _TABLES[table]
    figures: Figures = request.app.state.figures
    return csv_response(f"storage-{table}.csv", [first, "count", "bytes"], _streamed(rows(await figures.statistics())))


async def _streamed(rows: Iterable[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
    for row in rows:
        yield row


async def _days() -> AsyncIterator[Sequence[Any]]:
    for day in await noted_days(_ALL_DAYS):
        amounts = [day.parts.get(part) for part in PARTS]
        yield [day.day.isoformat(), *(value for each in amounts for value in _pair(each))]


def _pair(amount: Amount | None) -> tuple[int | None, int | None]:
    """Empty cells where a part was not noted yet."""
    return (amount.count, amount.bytes) if amount else (None, None)


router = Router("/", route_handlers=[statistics, download])
