"""The pages about sizes: what each is made by, what a change would come to, and the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Router, get, post
from litestar.response import Response, Template

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.gallery.presets import presets_in_force
from portal.imaging.presets import LEAST_QUALITY, LEAST_SIDE, MOST_QUALITY, MOST_SIDE, Measure
from portal.maintenance.preset_changes import (
    FIELDS,
    PresetView,
    cancel_change,
    catch_up,
    change_preset,
    get_preset,
    list_presets,
    read_measure,
    reset_preset,
)
from portal.maintenance.preset_estimate import Estimated, estimate_change
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.parameters import PathText, TheActor, ThePool, TheSettings, TheStore
from portal.web.rendering import AnyRequest, Toast, is_htmx, page, redirect

PATH: Final = "/maintenance/presets"
BOUNDS: Final = {
    "width": (LEAST_SIDE, MOST_SIDE),
    "height": (LEAST_SIDE, MOST_SIDE),
    "quality": (LEAST_QUALITY, MOST_QUALITY),
}


@get("/", name="maintenance:presets", include_in_schema=False, **permit("viewer"))
async def presets(request: AnyRequest) -> Template:
    return await page(request, "maintenance/presets.html", found=await list_presets())


@get("/list", name="maintenance:preset_list", include_in_schema=False, **permit("viewer"))
async def preset_list(request: AnyRequest) -> Template:
    return await page(request, "maintenance/_preset_list.html", found=await list_presets())


@get("/{size:str}", name="maintenance:preset", include_in_schema=False, **permit("viewer"))
async def preset(request: AnyRequest, size: PathText) -> Template:
    return await _page(request, await get_preset(size))


@post(
    "/{size:str}/estimate",
    name="maintenance:estimate_preset",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def estimate(
    request: AnyRequest, settings: TheSettings, store: TheStore, pool: ThePool, size: PathText
) -> Template:
    """Nothing changes: it takes some seconds of rendering, which is why it is no GET."""
    shown, sent = await get_preset(size), await read_form(request)
    try:
        measure = await _measure(size, sent)
    except FormError as error:
        if wants_json(request):
            raise
        return await _page(request, shown, sent=sent, errors=error.errors, status_code=422)
    found = await estimate_change(size, measure, store=store, pool=pool, workers=settings.workers)
    return await _page(request, shown, sent=sent, found=found)


@post("/{size:str}", name="maintenance:change_preset", include_in_schema=False, **permit("admin"))
async def change(request: AnyRequest, actor: TheActor, size: PathText) -> Response[Any]:
    await get_preset(size)
    await change_preset(size, await _measure(size, await read_form(request)), actor=actor)
    return redirect(request, PATH, toast=Toast(f"“{size}” is made anew in the background."))


@post("/{size:str}/reset", name="maintenance:reset_preset", include_in_schema=False, **permit("admin"))
async def reset(request: AnyRequest, actor: TheActor, size: PathText) -> Response[Any]:
    await reset_preset(size, actor=actor)
    return redirect(request, PATH, toast=Toast(f"“{size}” is made anew as it is delivered."))


@post("/{size:str}/cancel", name="maintenance:cancel_preset", include_in_schema=False, **permit("admin"))
async def cancel(request: AnyRequest, actor: TheActor, size: PathText) -> Response[Any]:
    await cancel_change(size, actor=actor)
    return redirect(request, PATH, toast=Toast(f"The change of “{size}” is taken back."))


@post("/", name="maintenance:catch_up_presets", include_in_schema=False, **permit("admin"))
async def catch_up_presets(request: AnyRequest, actor: TheActor) -> Response[Any]:
    await catch_up(actor=actor)
    return redirect(request, PATH, toast=Toast("Pictures are made anew in the background."))


async def _measure(name: str, sent: Mapping[str, str]) -> Measure:
    """Raises FormError; an empty field is one that was forgotten."""
    return read_measure({field: sent.get(field, "") for field in FIELDS}, (await presets_in_force())[name])


async def _page(
    request: AnyRequest,
    shown: PresetView,
    *,
    sent: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    found: Estimated | None = None,
    status_code: int = 200,
) -> Template:
    """The whole page, or for htmx the part that the form renews."""
    values = {field: (sent or {}).get(field, str(getattr(shown.in_force, field))) for field in FIELDS}
    inputs = {"preset": shown, "values": values, "errors": errors or {}, "found": found, "bounds": BOUNDS}
    template = "maintenance/_preset_form.html" if is_htmx(request) else "maintenance/preset.html"
    return await page(request, template, status_code=status_code, **inputs)


router = Router(
    path=PATH, route_handlers=[presets, preset_list, preset, estimate, change, reset, cancel, catch_up_presets]
)
