"""Pictures that stand in several galleries: the same file, or one that looks the same.

Which ones these are takes seconds to find among a million pictures, so it is found in the background and kept for a while,
by each process for itself; what a page lists of it is as it is now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from portal import database
from portal.gallery.views import ImageView
from portal.maintenance.advice import Advice, images_by_id
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor
from portal.storage.links import Links

Kind = Literal["same", "alike"]
PATIENCE: Final = 120.0
QUICK: Final = 0.2  # seconds: what is found so quickly is found anew for everybody who asks
WAIT: Final = 0.5  # seconds after its beginning that a reader waits, before the page says that it is looked for
KEPT_SECONDS: Final = 600.0
KEPT_FOR_TIMES: Final = 60
MOST_SHOWN: Final = 6  # pictures of one group
# A fingerprint without any or with all of its bits is that of a plain area.
_GROUPS: Final[dict[Kind, str]] = {
    "same": """
        SELECT sha256 AS key, (count(*) - 1) * max(bytes) AS saved FROM image WHERE trashed_at IS NULL
        GROUP BY sha256 HAVING count(*) > 1 AND min(entity) <> max(entity)""",
    "alike": """
        SELECT fingerprint AS key, 0::bigint AS saved FROM image
        WHERE trashed_at IS NULL AND fingerprint IS NOT NULL AND fingerprint NOT IN (0, -1)
        GROUP BY fingerprint HAVING count(*) > 1 AND min(entity) <> max(entity) AND min(sha256) <> max(sha256)""",
}
_MEMBERS: Final[dict[Kind, str]] = {
    "same": "SELECT id, sha256 AS key FROM image WHERE sha256 = ANY($1::text[]) AND trashed_at IS NULL ORDER BY id",
    "alike": "SELECT id, fingerprint AS key FROM image WHERE fingerprint = ANY($1::bigint[]) AND trashed_at IS NULL ORDER BY id",
}


@dataclass(frozen=True, slots=True)
class Twins:
    """One picture in several galleries. `saved`: what one copy for all would spare; `more` are not listed."""

    images: list[ImageView]
    galleries: list[str]
    saved: int
    more: int


@dataclass(frozen=True, slots=True)
class Found:
    """Of the groups the first 1000, the most bytes first; `total` and `bytes` are those of all."""

    keys: list[Any]
    total: int
    bytes: int
    as_of: datetime
    seconds: float


class TwinFinder:
    """One for each process."""

    def __init__(self) -> None:
        self._found: dict[Kind, tuple[float, Found]] = {}  # until when it is kept
        self._looking: dict[Kind, tuple[float, asyncio.Task[None]]] = {}  # until when one waits for it

    def begin(self) -> None:
        """Look for what nobody knows yet, all kinds at once."""
        for kind in _GROUPS:
            if kind not in self._found:
                self._begin(kind)

    async def find(self, kind: Kind) -> Found | None:
        """None while it is looked for the first time."""
        until, found = self._found.get(kind, (0.0, None))
        if found is None or found.seconds < QUICK or time.monotonic() > until:
            until, task = self._begin(kind)
            if found is None or found.seconds < QUICK:
                await asyncio.wait({task}, timeout=max(until - time.monotonic(), 0))
        return self._found[kind][1] if kind in self._found else None

    def _begin(self, kind: Kind) -> tuple[float, asyncio.Task[None]]:
        if kind not in self._looking:
            task = asyncio.create_task(self._look(kind))
            self._looking[kind] = (time.monotonic() + WAIT, task)
            task.add_done_callback(lambda done: self._end(kind, done))
        return self._looking[kind]

    async def _look(self, kind: Kind) -> None:
        began = time.monotonic()
        with database.patience(PATIENCE):
            rows = await database.fetch(
                f"""SELECT key, count(*) OVER () AS total, sum(saved) OVER ()::bigint AS bytes
                    FROM ({_GROUPS[kind]}) AS found ORDER BY saved DESC, key LIMIT {EXACT_UP_TO}"""  # noqa: S608 - constant statements
            )
        first = rows[0] if rows else {"total": 0, "bytes": 0}
        seconds = time.monotonic() - began
        found = Found([row["key"] for row in rows], first["total"], first["bytes"], datetime.now(UTC), seconds)
        self._found[kind] = (time.monotonic() + max(KEPT_SECONDS, seconds * KEPT_FOR_TIMES), found)

    def _end(self, kind: Kind, task: asyncio.Task[None]) -> None:
        del self._looking[kind]
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away; the next who asks has it tried again


@dataclass(frozen=True, slots=True)
class TwinPage:
    """`as_of` None: it is looked for."""

    page: Page[Twins]
    advice: Advice
    as_of: datetime | None


async def twins(
    finder: TwinFinder, kind: Kind, links: Links, *, cursor: str | None = None, limit: int = 50
) -> TwinPage:
    """The most bytes first. Raises FormError for a foreign cursor."""
    start = (decode_cursor(cursor, [int]) or [0])[0]
    found = await finder.find(kind)
    if found is None:
        return TwinPage(Page([], 0, None), Advice(0, 0), None)
    start = max(start, 0)
    keys = found.keys[start : start + limit]
    following = encode_cursor([start + limit]) if len(found.keys) > start + limit else None
    total = min(found.total, EXACT_UP_TO + 1)
    groups = await _groups(kind, keys, links)
    return TwinPage(Page(groups, total, following), Advice(total, found.bytes), found.as_of)


async def _groups(kind: Kind, keys: Sequence[Any], links: Links) -> list[Twins]:
    """As they are now: what stands in one gallery alone by now is none any more."""
    members: dict[Any, list[UUID]] = {key: [] for key in keys}
    for row in await database.fetch(_MEMBERS[kind], list(keys)):
        members[row["key"]].append(row["id"])
    views = await images_by_id([id for ids in members.values() for id in ids[:MOST_SHOWN]], links)
    groups = [_group(kind, ids, [views[str(id)] for id in ids if str(id) in views]) for ids in members.values()]
    return [each for each in groups if len({image.entity for image in each.images}) > 1]


def _group(kind: Kind, ids: Sequence[UUID], shown: Sequence[tuple[ImageView, str]]) -> Twins:
    saved = (len(ids) - 1) * shown[0][0].bytes if kind == "same" and shown else 0
    return Twins([image for image, _ in shown], [name for _, name in shown], saved, len(ids) - len(shown))
