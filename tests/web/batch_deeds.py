"""Requests that change many pictures, and the one that takes such a change back."""

from __future__ import annotations

from typing import Final

import httpx

from portal import database
from tests.web.deeds import Deed, World


async def tag_by_call(w: World) -> httpx.Response:
    return await w.script.post(
        "/api/images/batch", json={"ids": [str(await w.picture())], "action": "tag", "tags": ["front"]}
    )


async def trash_by_form(w: World) -> httpx.Response:
    image = await w.picture(count=2)
    row = await database.fetch_row(
        "SELECT type, e.id FROM image JOIN entity e ON pk = entity WHERE image.id = $1", image
    )
    assert row is not None
    return await w.form(f"/entities/{row['type']}/{row['id']}/batch", ids=str(image), action="trash")


async def take_back(w: World) -> httpx.Response:
    await trash_by_form(w)
    done = await database.fetch_value(
        "SELECT request_id FROM audit WHERE action = 'image.trash' ORDER BY pk DESC LIMIT 1"
    )
    return await w.form(f"/batches/{done}/undo")


BATCH_DEEDS: Final[dict[tuple[str, str], tuple[Deed, str]]] = {
    ("POST", "/api/images/batch"): (tag_by_call, "image.describe"),
    ("POST", "/entities/{type:str}/{id:str}/batch"): (trash_by_form, "image.trash"),
    ("POST", "/batches/{id:str}/undo"): (take_back, "image.restore"),
}
