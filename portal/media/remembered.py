"""Answers that are given again: most requests for a picture are one that was answered a moment ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from litestar.types import ASGIApp, Receive, Scope, Send

from portal.histogram import Histogram
from portal.media.answers import unchanged_headers
from portal.media.catalogue import Catalogue, Entry, Source
from portal.media.hot import HotBytes
from portal.media.rights import Freshness
from portal.media.usage import Usage
from portal.media.wish import MOUNT, Wish

MOST: Final = 4096  # answers, about 2 KB each
LONGEST: Final = 500  # bytes of path, query and Accept
_LASTING: Final[frozenset[Freshness]] = frozenset({"day", "immutable"})
# By these an answer may be another one than before.
_SPECIAL: Final = frozenset({b"range", b"if-match", b"if-range", b"if-modified-since", b"if-unmodified-since"})

Message = Mapping[str, Any]
Headers = list[tuple[bytes, bytes]]
_END: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}


class _Answer(NamedTuple):
    entry: Entry
    wish: Wish
    source: Source
    whole: Message
    unchanged: Message


class Remembered:
    """What a plain GET of something that everybody may see was answered, by path, query and Accept.

    It holds as long as the catalogue has the very entry that it was made of, and the bytes are in memory.
    """

    def __init__(
        self, catalogue: Catalogue, usage: Usage, hot: HotBytes | None = None, taken: Histogram | None = None
    ) -> None:
        self._catalogue, self._usage, self.hot = catalogue, usage, hot or HotBytes()
        counts = taken or Histogram()
        self._at_once, self._classes = (
            counts.buckets,
            counts.classes,
        )  # without looking at a clock: nothing is waited for
        self._answers: dict[tuple[str, bytes, bytes], _Answer] = {}

    @property
    def count(self) -> int:
        return len(self._answers)

    def keep(
        self, scope: Any, wish: Wish, entry: Entry, source: Source, headers: Headers, freshness: Freshness
    ) -> None:
        """Called with what everybody gets of an image as it is now; keeps it where it stays so."""
        asked = _asked(scope)
        if freshness not in _LASTING or asked is None or self._catalogue.held(entry.image_id) is not entry:
            return
        path, query, accept = asked[0]
        if len(path) + len(query) + len(accept) > LONGEST:
            return
        if len(self._answers) >= MOST:
            del self._answers[next(iter(self._answers))]
        length = (b"content-length", b"%d" % source.bytes)
        self._answers[asked[0]] = _Answer(
            entry,
            wish,
            source,
            {"type": "http.response.start", "status": 200, "headers": [*headers, length]},
            {"type": "http.response.start", "status": 304, "headers": unchanged_headers(headers)},
        )

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app`, asked only for what was not answered before."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith(MOUNT) and await self._again(scope, send):
                return
            await app(scope, receive, send)

        return call

    async def _again(self, scope: Any, send: Any) -> bool:
        asked = _asked(scope)
        if asked is None:
            return False
        question, known = asked
        answer = self._answers.get(question)
        if answer is None:
            return False
        entry, wish, source, whole, unchanged = answer
        data = self.hot.get(source.key)
        if data is None or self._catalogue.held(entry.image_id) is not entry:
            del self._answers[question]
            return False
        if known == source.etag:
            self._at_once[0] += 1
            self._classes[3] += 1
            self._usage.count(wish.image_id, wish.size, source.media_type, 0, True)
            await send(unchanged)
            await send(_END)
        elif known is None:
            self._at_once[0] += 1
            self._classes[2] += 1
            self._usage.count(wish.image_id, wish.size, source.media_type, source.bytes, True)
            await send(whole)
            await send({"type": "http.response.body", "body": data, "more_body": False})
        return known is None or known == source.etag


def _asked(scope: Any) -> tuple[tuple[str, bytes, bytes], bytes | None] | None:
    """Path, query and Accept, and the tag that is known already; None for what is no plain GET."""
    if scope["method"] != "GET":
        return None
    accept, known = b"", None
    for name, value in scope["headers"]:
        if name == b"accept" and not accept:
            accept = value
        elif name == b"if-none-match" and known is None:
            known = value
        elif name in _SPECIAL or name in (b"accept", b"if-none-match"):
            return None
    return (scope["path"], scope["query_string"], accept), known
