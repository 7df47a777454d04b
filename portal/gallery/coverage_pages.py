"""The coverage board: how much of each type has what it needs, each figure a way to who lacks it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Router, get
from litestar.response import Template

from portal.accounts.guards import permit
from portal.entities.coverage import coverage
from portal.entities.kinds import KINDS
from portal.gallery.presets import print_box
from portal.web.rendering import page

# By what a list calls `missing`: the column's heading, and what those who lack it are.
MEASURES: Final = {
    "image": ("With a picture", "without"),
    "primary": ("With a primary", "without"),
    "alt": ("All alt texts", "lack some"),
    "low_resolution": ("Fit for print", "too small"),
}


@get("/coverage", name="entities:coverage", **permit("viewer"), include_in_schema=False)
async def show(request: Request[Any, Any, Any]) -> Template:
    box = await print_box()
    kinds = await coverage(box)
    poorest = next((KINDS[each.type] for each in kinds if each.without_picture), None)
    return await page(request, "entities/coverage.html", kinds=kinds, measures=MEASURES, box=box, poorest=poorest)


router = Router(path="/", route_handlers=[show])
