"""Deeds around lists that somebody keeps."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import httpx

from portal import database
from tests.web.deeds import Deed, World, form


async def kept_view(w: World) -> UUID:
    await w.form("/entity-views/customers", name="Mine", missing="image")
    return await database.fetch_value("SELECT id FROM saved_view")


async def rename_view(w: World) -> httpx.Response:
    return await w.form(f"/entity-views/customers/{await kept_view(w)}", name="Others")


async def delete_view(w: World) -> httpx.Response:
    return await w.form(f"/entity-views/customers/{await kept_view(w)}/delete")


LIST_DEEDS: Final[dict[tuple[str, str], tuple[Deed, str]]] = {
    ("POST", "/entity-views/{type:str}"): (form("/entity-views/customers", name="Mine"), "view.add"),
    ("POST", "/entity-views/{type:str}/{view:uuid}"): (rename_view, "view.change"),
    ("POST", "/entity-views/{type:str}/{view:uuid}/delete"): (delete_view, "view.delete"),
}
