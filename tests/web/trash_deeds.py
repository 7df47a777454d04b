"""What is done with the trash as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import httpx

from tests.web.deeds import Deed, World


async def restore(w: World) -> httpx.Response:
    return await w.form("/trash/restore", ids=str(await w.picture(trashed=True)))


async def delete(w: World) -> httpx.Response:
    return await w.form("/trash/delete", ids=str(await w.picture(trashed=True)), as_of=datetime.now(UTC).isoformat())


TRASH_DEEDS: Final[dict[tuple[str, str], tuple[Deed, str]]] = {
    ("POST", "/trash/restore"): (restore, "image.restore"),
    ("POST", "/trash/delete"): (delete, "job.start"),
}
