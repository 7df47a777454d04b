"""A ZIP over HTTP: sent as it is made, kept by nobody."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import Request
from litestar.response import Stream

from portal.gallery.zips import ZipRoom, zip_of
from portal.storage.store import Store
from portal.web.heads import method_of

ZIP: Final = "application/zip"
_room: Final = ZipRoom()  # of this process


def zip_answer(request: Request[Any, Any, Any], ids: Sequence[UUID], name: str, store: Store) -> Stream:
    """`name` as in `name.zip`. Raises Busy."""
    who = request.scope["user"].name
    _room.refuse_when_full(who)
    headers = {
        "Content-Disposition": f'attachment; filename="{re.sub("[^A-Za-z0-9._-]", "_", name)}.zip"',
        "Cache-Control": "no-store",
    }
    pieces = [] if method_of(request.scope) == "HEAD" else zip_of(ids, store, _room, who)
    return Stream(pieces, media_type=ZIP, headers=headers)
