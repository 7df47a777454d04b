"""The page about storage and integrity: what lies where, what is wrong with it, what can go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import Router, get
from litestar.response import Template

from portal.accounts.guards import permit
from portal.maintenance import finding_pages, statistics_pages, storage_pages
from portal.maintenance.backup_views import proof_view
from portal.maintenance.health_pages import health_inputs
from portal.web.rendering import AnyRequest, page

Part = Callable[[AnyRequest], Awaitable[dict[str, Any]]]
"""What a fragment of the page needs, by the names on its line 1."""


async def proof_inputs(request: AnyRequest) -> dict[str, Any]:
    """For admins, who alone see backups. Where backups lie is not asked: it may be far away."""
    shown = request.scope["user"]  # behind a guard
    return {"proof": await proof_view()} if shown is not None and shown.may("admin") else {}


PARTS: Final[tuple[Part, ...]] = (
    storage_pages.storage_inputs,
    storage_pages.cleanup_inputs,
    finding_pages.findings_inputs,
    proof_inputs,
    health_inputs,
)


@get("/maintenance", name="maintenance:show", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest) -> Template:
    inputs: dict[str, Any] = {}
    for part in PARTS:
        inputs |= await part(request)
    return await page(request, "maintenance/show.html", **inputs)


router = Router("/", route_handlers=[show, finding_pages.router, storage_pages.router, statistics_pages.router])
