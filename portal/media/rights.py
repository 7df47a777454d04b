"""Who may have a picture, which version of it, and for how long that stays the answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from litestar.types import Scope

from portal.audit.actors import Actor
from portal.errors import Gone, NotFound, NotReady, Unauthenticated
from portal.media.catalogue import Entry, load_old_version
from portal.media.wish import ORIGINAL, Wish, unknown
from portal.storage.links import Links

Authenticate = Callable[[Scope], Awaitable[Actor | None]]
Freshness = Literal["never", "minute", "day", "immutable"]
RETRY: Final = 2


async def check_right(entry: Entry | None, wish: Wish, scope: Scope, links: Links, authenticate: Authenticate) -> bool:
    """Is the answer everybody's? Raises NotFound, alike for what is not there and what is not theirs; Gone, Unauthenticated."""
    refusal: NotFound | Gone = unknown()
    if entry is not None and not entry.is_trashed and wish.size != ORIGINAL:
        is_public = entry.entity_type not in links.private_types
        if wish.sig is None and wish.exp is None:
            if is_public:
                return True
        else:
            try:
                if links.check(wish.image_id, wish.size, wish.v or "", wish.exp or "", wish.sig or "", time.time()):
                    return False
            except Gone as error:
                refusal = error
    if not _has_credentials(scope) or await authenticate(scope) is None or entry is None:
        raise refusal
    return False


def _freshness(wish: Wish, entry: Entry) -> Freshness:
    """How long this answer stays true. Raises NotFound for a version that never was, NotReady for one that will be."""
    late: Freshness = "minute" if wish.format == "avif" else "day"
    if wish.v is None:
        return late
    if wish.version is None:
        raise NotFound("There is no such version of this picture.")
    version, rendering = wish.version
    if version > entry.wanted[0] or (rendering is not None and (version, rendering) > entry.wanted):
        raise NotFound("There is no such version of this picture.")
    if wish.size == ORIGINAL:
        return "day" if version == entry.wanted[0] else "minute"
    if entry.current is None:
        return "day"
    if rendering is not None and (version, rendering) > entry.current:
        raise NotReady("This version is being rendered. Ask again in a moment.", retry_after=RETRY)
    if (version, rendering) == entry.current and late == "day":
        return "immutable"
    return "minute"


def _names_old_version(wish: Wish, entry: Entry) -> bool:
    """Is the version that the URL names neither shown nor coming?"""
    if wish.version is None or wish.version[0] >= entry.wanted[0]:
        return False
    return wish.size == ORIGINAL or (wish.version[1] is not None and wish.version != entry.current)


async def version_asked_for(
    wish: Wish, entry: Entry, scope: Scope, authenticate: Authenticate
) -> tuple[Entry, Freshness]:
    """The old version for editors, what is shown for everybody else; and how long that stays the answer."""
    if not _names_old_version(wish, entry):
        return entry, _freshness(wish, entry)
    old = await _find_old_version(wish, entry, scope, authenticate)
    return (entry, _freshness(wish, entry)) if old is None else (old, "never")


async def _find_old_version(wish: Wish, entry: Entry, scope: Scope, authenticate: Authenticate) -> Entry | None:
    """The old version that the URL names, for editors; only then the database is asked. Everybody else gets what is shown.

    Raises NotFound for an original that is not kept: another file is no answer.
    """
    if wish.version is None or not await _is_editor(scope, authenticate):
        return None
    old = await load_old_version(wish.image_id, wish.version[0])
    if wish.size == ORIGINAL:
        if old is None:
            raise NotFound("This version is not kept (any more).")
        return old
    return old if old is not None and old.current == wish.version else None


async def _is_editor(scope: Scope, authenticate: Authenticate) -> bool:
    if not _has_credentials(scope):
        return False
    try:
        actor = await authenticate(scope)
    except Unauthenticated:  # a picture that everybody may see is shown to them too
        return False
    return actor is not None and actor.may("editor")


def _has_credentials(scope: Scope) -> bool:
    return any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])
