"""An import of texts, looked through before."""

from __future__ import annotations

import re
from typing import Final

import httpx

from tests.web.deeds import World


async def look_through(w: World) -> httpx.Response:
    image = await w.picture()
    file = {"file": ("texts.csv", f"image_id,alt_text\n{image},A mug\n".encode())}
    data = {"csrf_token": w.csrf}
    return await w.person.post("/settings/texts", data=data, files=file, headers={"accept": "text/html"})


async def apply(w: World) -> httpx.Response:
    found = re.search(r'name="file" value="(\w+)"', (await look_through(w)).text)
    assert found
    return await w.form("/settings/texts/apply", file=found[1], lines="1")


TEXT_DEEDS: Final = {("POST", "/settings/texts/apply"): (apply, "job.start")}
