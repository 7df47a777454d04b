"""Who may have a picture, which version of it, and for how long that stays the answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from litestar.types import Scope

from portal.audit.actors import Actor
from portal.errors import Gone, NotFound, NotReady, Unauthenticated
from portal.media.catalogue import Entry, load_old_version, load_pinned_set
from portal.media.wish import ORIGINAL, Wish, unknown
from portal.storage.links import Kind, Links

Authenticate = Callable[[Scope], Awaitable[Actor | None]]
Freshness = Literal["never", "minute", "day", "immutable"]
Right = Literal["everybody's", "reader's", "rendition", "pinned"]
RETRY: Final = 2


async def permitted(
    entry: Entry | None, wish: Wish, scope: Scope, links: Links, authenticate: Authenticate
) -> tuple[Entry, Freshness, bool]:
    """What is answered from, how long that stays the answer, and whether it is everybody's. Raises what the two steps raise."""
    right = await check_right(entry, wish, scope, links, authenticate)
    assert entry is not None  # else check_right has raised
    if right == "pinned":
        return await _pinned_entry(wish, entry), "immutable", False
    found, freshness = await version_asked_for(wish, entry, scope, authenticate)
    return found, freshness, right == "everybody's"


async def check_right(entry: Entry | None, wish: Wish, scope: Scope, links: Links, authenticate: Authenticate) -> Right:
    """By which right is it seen? Raises NotFound, alike for what is not there and what is not theirs; Gone, Unauthenticated."""
    refusal: Gone | None = None
    if entry is not None and wish.size != ORIGINAL:
        if wish.sig is None and wish.exp is None:
            if not entry.is_trashed and entry.entity_type not in links.private_types:
                return "everybody's"
        else:
            try:
                kind = _signed_as(wish, links)
                if kind == "pinned" or (kind == "rendition" and not entry.is_trashed):
                    return kind
            except Gone as error:
                refusal = error
    if not _has_credentials(scope) or await authenticate(scope) is None or entry is None:
        raise refusal or _kept_from(entry, wish, links)
    return "reader's"


def _kept_from(entry: Entry | None, wish: Wish, links: Links) -> NotFound:
    """Said alike of what is not there; the audit knows the difference."""
    is_kept = entry is not None and (
        wish.size == ORIGINAL or wish.sig is not None or entry.entity_type in links.private_types
    )
    return unknown().as_denial() if is_kept else unknown()


def _signed_as(wish: Wish, links: Links) -> Kind | None:
    """None where it is no signature of ours over this. Raises Gone when its time is over."""
    said = (wish.image_id, wish.size, wish.v or "", wish.exp or "", wish.sig or "", time.time())
    kinds: tuple[Kind, ...] = ("rendition", "pinned")
    return next((kind for kind in kinds if links.check(*said, kind)), None)


async def _pinned_entry(wish: Wish, entry: Entry) -> Entry:
    """The very set that an invoice is pinned to, be it outdated or its picture in the trash. Raises NotFound when the pin is off.

    The database is asked each time another set is shown by now: that is rare, and a pin that is taken off is heard of at once.
    """
    if wish.version == entry.current and not entry.is_trashed:
        return entry
    pinned = await load_pinned_set(wish.image_id, wish.v or "")
    if pinned is None:
        raise NotFound("No invoice is pinned to this picture any more.")
    return pinned


def _freshness(wish: Wish, entry: Entry) -> Freshness:
    """How long this answer stays true. Raises NotFound for a version that never was, NotReady for one that will be."""
    if wish.v is None:
        return "day"
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
    if (version, rendering) == entry.current:
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


async def is_stranger(scope: Scope, authenticate: Authenticate) -> bool:
    return await _reader(scope, authenticate) is None


async def _is_editor(scope: Scope, authenticate: Authenticate) -> bool:
    actor = await _reader(scope, authenticate)
    return actor is not None and actor.may("editor")


async def _reader(scope: Scope, authenticate: Authenticate) -> Actor | None:
    if not _has_credentials(scope):
        return None
    try:
        return await authenticate(scope)
    except Unauthenticated:  # a picture that everybody may see is shown to them too
        return None


def _has_credentials(scope: Scope) -> bool:
    return any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])
