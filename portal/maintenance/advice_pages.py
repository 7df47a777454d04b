"""Advice as pages and over the API: all lists at once, each of them page by page, each as a table to download."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream, Template

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.gallery.presets import print_box
from portal.maintenance.advice import heavy_originals, silent_galleries, small_prints
from portal.maintenance.advice_report import AdviceReport, advice_report
from portal.maintenance.advice_tables import HEADERS, rows_of
from portal.maintenance.advice_twins import TwinFinder, twins
from portal.paging import Page, read_limit
from portal.storage.links import Links
from portal.web.answers import json_response
from portal.web.csv_answers import csv_response
from portal.web.parameters import Cursor, Http, Limit, PathText, TheLinks
from portal.web.rendering import AnyRequest, page

LISTS: Final = tuple(HEADERS)
ON_A_PAGE: Final = {"duplicates": 20, "lookalikes": 20}  # groups of several pictures
TITLES: Final = {
    "originals": "Originals that shrink most",
    "print": "Too small for print",
    "duplicates": "In several galleries",
    "lookalikes": "Look the same",
    "alt-text": "Without alt text",
}


@dataclass(frozen=True, slots=True)
class AdviceList:
    """`total` exact up to 1000, then 1001. `as_of`: when a kept list was found; null while it is looked for."""

    list: str
    total: int
    next: str | None
    items: list[Any]
    as_of: datetime | None


@get("/maintenance/advice", name="maintenance:advice", include_in_schema=False, **permit("viewer"))
async def advice(request: AnyRequest, links: TheLinks) -> Template:
    report = await advice_report(_finder(request), links)
    return await page(request, "maintenance/advice.html", report=report, titles=TITLES, box=await print_box())


@get("/maintenance/advice/{which:str}", name="maintenance:advice_list", include_in_schema=False, **permit("viewer"))
async def advice_list(request: AnyRequest, links: TheLinks, which: PathText, cursor: Cursor = None) -> Template:
    found = await _read(_known(which), _finder(request), links, cursor or None, ON_A_PAGE.get(which, 50))
    inputs = {"name": which, "found": found, "titles": TITLES, "is_first": not cursor, "box": await print_box()}
    return await page(request, "maintenance/advice_list.html", **inputs)


@get("/maintenance/advice/{which:str}/csv", name="maintenance:advice_csv", include_in_schema=False, **permit("viewer"))
async def advice_csv(request: AnyRequest, links: TheLinks, which: PathText) -> Stream:
    return csv_response(f"{_known(which)}.csv", HEADERS[which], rows_of(which, _finder(request), links))


@get(
    "/api/images/advice",
    summary="What could be better: originals, prints, duplicates, alt text",
    description="Without `list` all of them, each with its first five; with it that one, page by page. Duplicates are found in"
    " the background and kept for some minutes: see `as_of`.",
    responses={200: ResponseSpec(AdviceReport, description="Or one list: `{list, total, next, items, as_of}`")},
    tags=["maintenance"],
    **permit("viewer"),
)
async def advice_api(
    request: Http,
    links: TheLinks,
    name: Annotated[str | None, QueryParameter(name="list", description=f"One of {', '.join(LISTS)}")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[bytes]:
    if not name:
        return json_response(200, await advice_report(_finder(request), links))
    if name not in LISTS:
        raise FormError({"list": f"Use one of {', '.join(LISTS)}."})
    return json_response(200, await _read(name, _finder(request), links, cursor, read_limit(limit)))


def _known(name: str) -> str:
    if name not in LISTS:
        raise NotFound(f"There is no such list. The lists are {', '.join(LISTS)}.")
    return name


def _finder(request: AnyRequest) -> TwinFinder:
    return request.app.state.twin_finder


async def _read(name: str, finder: TwinFinder, links: Links, cursor: str | None, limit: int) -> AdviceList:
    if name in ("duplicates", "lookalikes"):
        kind = "same" if name == "duplicates" else "alike"
        found = await twins(finder, kind, links, cursor=cursor, limit=limit)
        return AdviceList(name, found.page.total, found.page.next, found.page.items, found.as_of)
    listed: Page[Any]
    if name == "originals":
        listed = await heavy_originals(links, cursor=cursor, limit=limit)
    elif name == "print":
        listed = await small_prints(links, cursor=cursor, limit=limit)
    else:
        listed = await silent_galleries(cursor=cursor, limit=limit)
    return AdviceList(name, listed.total, listed.next, listed.items, None)


router = Router("/", route_handlers=[advice, advice_list, advice_csv, advice_api])
