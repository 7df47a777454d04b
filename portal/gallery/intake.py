"""What this portal takes in, by entity type, and how much of it at the same time; the one way to be a safe picture."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from portal.errors import Busy, DiskFull, TooLarge, TooManyPixels, UnsupportedFormat
from portal.gallery.forms import ReceivedPicture
from portal.imaging.formats import DANGEROUS, format_of_extension
from portal.imaging.pool import RenderPool
from portal.imaging.scan import Address, scan
from portal.imaging.verify import PATTERNS, Limits, Verified
from portal.settings import MB, Settings, UploadRules
from portal.storage.disk import plain_words
from portal.storage.store import Store

AT_ONCE: Final = 256  # uploads that one process has in hand at the same time; each holds a small buffer and a file
READ_AT_ONCE: Final = 4  # pieces of some 100 KB


@dataclass(frozen=True, slots=True)
class Rules:
    """`scanner` None: no virus scanner is configured."""

    max_bytes: int = UploadRules.max_bytes
    limits: Limits = field(default_factory=Limits)
    scanner: Address | None = None


def rules_of(settings: Settings, entity_type: str) -> Rules:
    uploads = settings.uploads_of(entity_type)
    limits = Limits(
        max_pixels=uploads.max_pixels,
        extensions=uploads.allowed_extensions,
        dangerous=DANGEROUS | uploads.dangerous_extensions,
        patterns=(*PATTERNS, *(pattern.lower() for pattern in uploads.scan_patterns)),
    )
    return Rules(uploads.max_bytes, limits, settings.clamd)


async def verify_upload(received: ReceivedPicture, rules: Rules, pool: RenderPool) -> Verified:
    """All that is asked of a file before it is stored, in its order: size, name, content, every frame, viruses.

    Raises FileRefused; Unavailable when it can't be asked at the moment.
    """
    refuse_too_large(received.bytes, rules.max_bytes)
    with plain_words():  # what the file's disk refuses is no picture's fault
        verified = await pool.verify(received.path, received.filename, rules.limits)
        if rules.scanner is not None:
            await scan(rules.scanner, received.path)
    return verified


def refuse_unfit(row: Mapping[str, Any], rules: Rules) -> None:
    """A picture that is here already, where other rules hold. Raises FileRefused."""
    refuse_too_large(row["bytes"], rules.max_bytes)
    format = format_of_extension(row["extension"])
    if format is None or not format.extensions & rules.limits.extensions:
        raise UnsupportedFormat(f"This is a {format} picture, which is not taken there.")
    if row["width"] * row["height"] > rules.limits.max_pixels:
        raise TooManyPixels(f"This picture has more than {rules.limits.max_pixels // 1_000_000} megapixels.")


def refuse_too_large(bytes: int, most: int) -> None:
    """Raises TooLarge."""
    if bytes > most:
        raise TooLarge(f"This file is larger than {most // 2**20} MB.")


def receive(source: BinaryIO, filename: str, path: Path, most: int) -> ReceivedPicture:
    """Copy what somebody offers to `path`, where uploads lie. Blocking. Raises TooLarge."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while piece := source.read(MB):
            size += len(piece)
            refuse_too_large(size, most)
            digest.update(piece)
            target.write(piece)
    return ReceivedPicture(path, filename, size, digest.hexdigest())


class Promise:
    """Room on the disk that an upload under way may need."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes

    def fulfil(self) -> None:
        """All of it has arrived: from now on the disk itself knows."""
        self.bytes = 0


class Intake:
    """The uploads that this process has in hand. Beyond AT_ONCE the next one is told to come back.

    `reading` is held for each piece of them: our event loop has others to serve, who wait for all pieces in hand.
    """

    def __init__(self) -> None:
        self.reading = asyncio.Semaphore(READ_AT_ONCE)
        self._promises: set[Promise] = set()

    @property
    def in_hand(self) -> int:
        return len(self._promises)

    @asynccontextmanager
    async def admit(self, store: Store, floor: int, announced: int) -> AsyncIterator[Promise]:
        """Raises Busy, and DiskFull when `announced` bytes would not fit beside those of the others; before a byte is read."""
        if len(self._promises) >= AT_ONCE:
            raise Busy("Many uploads are under way. This one can start in a moment.", retry_after=1)
        promise = Promise(announced)
        self._promises.add(promise)
        try:
            await refuse_when_disk_is_full(store, floor, sum(each.bytes for each in self._promises))
            yield promise
        finally:
            self._promises.remove(promise)


async def refuse_when_disk_is_full(store: Store, floor: int, coming: int = 0) -> None:
    """Raises DiskFull when fewer than `floor` bytes will be free once `coming` ones are there; deletes still work then."""
    free = await store.free_bytes()
    if free - coming < floor:
        on_their_way = f", {coming / 2**20:.0f} MB are on their way" if free >= floor else ""
        raise DiskFull(
            f"The disk is nearly full: {free // 2**20} MB are free{on_their_way} and {floor // 2**20} MB are kept back. "
            "Free some space, then try again."
        )
