"""The page of the quarantine: what repairs took away, and the way back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.errors import NotFound
from portal.maintenance.quarantine import DAYS, held_in_all, list_quarantined, undo
from portal.paging import MAX_LIMIT
from portal.web.parameters import Cursor, PathText, TheActor, TheSettings, TheStore
from portal.web.rendering import AnyRequest, Toast, page, redirect


@get("/maintenance/quarantine", name="maintenance:quarantine", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest, cursor: Cursor = None) -> Template:
    found = await list_quarantined(cursor=cursor, limit=MAX_LIMIT // 4)
    pieces, size = await held_in_all()
    context = {"items": found.items, "next": found.next, "pieces": pieces, "bytes": size, "days": DAYS}
    return await page(request, "maintenance/quarantine.html", **context)


@post(
    "/maintenance/quarantine/{id:str}/undo",
    name="maintenance:undo",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def put_back(
    request: AnyRequest, settings: TheSettings, store: TheStore, actor: TheActor, id: PathText
) -> Response[Any]:
    try:
        held_id = UUID(id)
    except ValueError as error:
        raise NotFound("Nothing with this id is in the quarantine.") from error
    key = await undo(held_id, store=store, quarantine_dir=settings.quarantine_dir, actor=actor)
    to = request.app.route_reverse("maintenance:quarantine")
    return redirect(request, to, toast=Toast(f"{key.rpartition('/')[2]} is back"))


router = Router("/", route_handlers=[show, put_back])
