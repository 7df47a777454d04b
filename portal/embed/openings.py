"""What it means that somebody opens a frame or a card by its key."""

from __future__ import annotations

from typing import Final

import structlog

from portal.accounts.guards import actor_of
from portal.entities.kinds import EntityRef
from portal.gallery.pins import pin_at_first_opening
from portal.web.heads import method_of
from portal.web.parameters import Http

log = structlog.get_logger()

# What browsers that fetch ahead say: the standard's name, and those of older ones.
_PURPOSES: Final = ("sec-purpose", "purpose", "x-purpose", "x-moz")


async def note_opening(request: Http, ref: EntityRef) -> None:
    """Somebody opens this by its key: an invoice is pinned then, the first time. The one GET that changes anything.

    Staff only look at what will be sent, a HEAD or a browser that fetches ahead at nothing. The page comes whatever happens.
    """
    if ref.type != "invoices" or actor_of(request) is not None or method_of(request.scope) != "GET":
        return
    if any(word in request.headers.get(name, "").lower() for name in _PURPOSES for word in ("prefetch", "preview")):
        return
    try:
        await pin_at_first_opening(ref)
    except Exception as error:  # whatever it is: the next opening tries again
        log.warning("not pinned", invoice=ref.id, cause=repr(error))
