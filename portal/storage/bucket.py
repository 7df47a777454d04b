"""Objects in a bucket: S3, Google Cloud Storage, Azure, by one URL. The one door to obstore.

Nothing waits for ever: a server that is not there, or says nothing, is Unavailable. Keys and secrets have the names that each
provider's own tools use (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME …). An endpoint
that begins with http:// is taken at its word.

A bucket shows an object once it has all of it. What was sent of one that never became whole is not listed, but kept and
charged for: a rule of the bucket should remove incomplete multipart uploads after some days.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import obstore
from obstore import store as kinds
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)

from portal.errors import DiskFull, Gone, PortalError, Unavailable
from portal.storage.disk import plain_words
from portal.storage.store import MARKER, MARKER_TEXT, ObjectEntry

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

SOON: Final = 5.0  # seconds, within which it must have said whether it is there
PAUSE: Final = 3.0  # seconds, for which nobody asks again whether it is there
KNOWN: Final = 5.0  # seconds, for which a marker that was seen is there
_PART: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 4
_PIECE: Final = 1024 * 1024
_CHUNK: Final = 1000
_FULL = re.compile(
    r"status code: 507|InsufficientStorage|InsufficientCapacity|StorageFull|QuotaExceeded|no space left", re.I
)
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_REFUSED = re.compile(r"status code: 40[13]\b")
_STATUS = re.compile(r"status code: ([45]\d\d)")
_KINDS: Final[Mapping[str, Callable[..., ObjectStore]]] = {
    "s3": kinds.S3Store,
    "gs": kinds.GCSStore,
    "az": kinds.AzureStore,
}
_NAMES: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_NO_KEY = re.compile(
    r"169\.254\.169\.254|metadata\.google|metadata/identity"
)  # where a provider's own machines find one


class BucketStore:
    """Objects by key below the prefix of `url` (`s3://bucket/prefix`). `access`: names and values as in an environment.

    Methods raise Unavailable when it does not do what it is asked, DiskFull when there is no room.
    """

    def __init__(self, url: str, access: Iterable[tuple[str, str]] = ()) -> None:
        self.words = url
        self._asked_again_at = self._known_until = 0.0  # by the monotonic clock
        self._reading = _opened(url, dict(access), silence=timedelta(seconds=15), tries=2)
        self._writing = _opened(
            url, dict(access), silence=timedelta(seconds=120), tries=3
        )  # the answer comes after all bytes

    async def open_root(self) -> None:
        """Make or recognise it by its marker. Raises Unavailable too where other things lie below the prefix."""
        async with self._soon():
            if await self._has_marker():
                return
            if await self._has_anything():
                raise self._not_ours()
        await self.put(MARKER, MARKER_TEXT)

    async def is_away(self) -> bool:
        try:
            async with self._soon():
                return not await self._has_marker() and await self._has_anything()
        except Unavailable:
            return True

    async def check(self) -> None:
        async with self._soon():
            if not await self._has_marker():
                await self._has_anything()  # tells of a bucket that is not there
                raise self._not_ours()

    async def stat(self, key: str) -> ObjectEntry | None:
        async with self._soon():
            with self._plain_words():
                try:
                    found = await obstore.head_async(self._reading, key)
                except FileNotFoundError:
                    return None
        return ObjectEntry(key, found["size"], found["last_modified"])

    async def read(self, key: str) -> bytes:
        """Raises Gone when it is not there."""
        return b"".join([piece async for piece in self.pieces(key)])

    async def pieces(self, key: str) -> AsyncIterator[bytes]:
        """Raises Gone when it is not there. Who reads slowly may do so for a day."""
        with self._plain_words():
            try:
                found = await obstore.get_async(self._reading, key)
                async for piece in found.stream(_PIECE):
                    yield piece
                return
            except FileNotFoundError as error:
                gone = error
        await self.check()  # of a bucket that went away nothing is known to be missing
        raise Gone(f"{key} is missing from the bucket.") from gone

    async def put(self, key: str, data: bytes) -> None:
        """Lasting when it returns. One of this name is replaced, whole."""
        with self._plain_words():
            await obstore.put_async(self._writing, key, data, use_multipart=False)

    async def put_file(self, key: str, path: Path) -> None:
        """Of any length, in parts, so that little of it is in memory."""
        with plain_words():
            await asyncio.to_thread(
                lambda: path.open("rb").close()
            )  # what is wrong with the file is no trouble of the bucket
        with self._plain_words():
            await obstore.put_async(self._writing, key, path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

    async def listed(self, prefix: str = "") -> AsyncIterator[list[ObjectEntry]]:
        """All but the marker; nothing where it was never opened. Raises Unavailable where only the marker is missing."""
        if time.monotonic() > self._known_until:  # who lists hundreds of folders asks once
            async with self._soon():
                if not await self._has_marker() and await self._has_anything():
                    raise self._not_ours()
        with self._plain_words():
            async for chunk in self._list(prefix or None, _CHUNK):
                found = [ObjectEntry(each["path"], each["size"], each["last_modified"]) for each in chunk]
                yield [each for each in found if each.key != MARKER]

    async def delete(self, keys: Iterable[str]) -> int:
        """How many were asked for: a bucket does not tell which of them were there. Those that are missing are fine."""
        rest, count = iter(dict.fromkeys(keys)), 0
        while some := list(islice(rest, _CHUNK)):
            await self._delete(some)
            count += len(some)
        return count

    async def _delete(self, keys: Sequence[str]) -> None:
        with self._plain_words():
            try:
                await obstore.delete_async(self._writing, keys)
            except FileNotFoundError:  # some providers stop at the first that is missing
                for key in keys:
                    with contextlib.suppress(FileNotFoundError):
                        await obstore.delete_async(self._writing, key)

    def _list(self, prefix: str | None, size: int) -> AsyncIterator[Sequence[ObjectMeta]]:
        return aiter(
            obstore.list(self._reading, prefix, chunk_size=size)  # pyright: ignore[reportUnknownMemberType] - Arrow's overload
        )

    async def _has_marker(self) -> bool:
        found = await self.stat(MARKER)
        self._known_until = 0.0 if found is None else time.monotonic() + KNOWN
        return found is not None

    async def _has_anything(self) -> bool:
        with self._plain_words():
            async for chunk in self._list(None, 1):
                return bool(chunk)
        return False

    def _not_ours(self) -> Unavailable:
        return Unavailable(
            f"{self.words} does not hold the object {MARKER}: it is not the place of this portal's backups.",
            retry_after=30,
        )

    @contextlib.asynccontextmanager
    async def _soon(self) -> AsyncGenerator[None]:
        """For what a page may wait for. Where nobody answered just now, many questions in a row wait once."""
        if time.monotonic() < self._asked_again_at:
            raise self._silent()
        try:
            async with asyncio.timeout(SOON):
                yield
        except TimeoutError as error:
            raise self._no_answer() from error

    def _no_answer(self) -> Unavailable:
        self._asked_again_at = time.monotonic() + PAUSE
        return self._silent()

    def _silent(self) -> Unavailable:
        return Unavailable(f"{self.words} does not answer.", retry_after=30)

    @contextlib.contextmanager
    def _plain_words(self) -> Generator[None]:
        """What the bucket says, as the portal's errors."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._trouble(error) from Said(error)
        self._asked_again_at = 0.0

    def _trouble(self, error: Exception) -> PortalError:
        said = str(error)
        if _FULL.search(said):
            return DiskFull(f"There is no more room in {self.words}. Free some, or raise its quota, then try again.")
        status = _STATUS.search(said)
        if _NO_BUCKET.search(said):
            words = "does not exist, or this access key does not see it"
        elif _NO_KEY.search(said):
            words = "is not asked: no access key is set for it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for S3)"
        elif isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or _REFUSED.search(said):
            words = "refuses what was asked. Look at its access key, the rights of that, and this machine's clock"
        elif status is not None:
            words = f"answers with error {status[1]}"
        else:
            return self._no_answer()
        return Unavailable(f"{self.words} {words}.", retry_after=30)


class Said(Exception):
    """What the library said, for the log: its first lines, and no query of a URL, which may be a signature."""

    def __init__(self, error: Exception) -> None:
        super().__init__(re.sub(r"\?[^\s\"')]*", "?…", str(error).partition("\n\nDebug source:")[0])[:500])


def _opened(url: str, access: Mapping[str, str], *, silence: timedelta, tries: int) -> ObjectStore:
    """Asks nobody yet. `silence`: how long it may say nothing."""
    scheme, _, rest = url.partition("://")
    name, _, prefix = rest.partition("/")
    access = {key: value for key, value in access.items() if key.startswith(_NAMES[scheme]) and value}
    endpoints = [value for key, value in access.items() if "ENDPOINT" in key]
    if not all(map(_is_address, endpoints)):  # the library would end in a panic
        raise Unavailable(
            f"The endpoint of the bucket {name} is no address; expected something like https://s3.example.com"
        )
    is_plain = any(each.startswith("http://") for each in endpoints)
    options: dict[str, Any] = {
        "prefix": prefix or None,
        "client_options": {
            "connect_timeout": timedelta(seconds=3),
            "read_timeout": silence,
            "timeout": timedelta(days=1),
            **({"allow_http": True} if is_plain else {}),
        },
        "retry_config": {
            "max_retries": tries,
            "retry_timeout": silence,
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
        },
    }
    return _made(_KINDS[scheme], name, access, options)


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of its port
        return False


def _made(kind: Callable[..., ObjectStore], name: str, config: dict[str, str], options: dict[str, Any]) -> ObjectStore:
    while True:
        try:
            return kind(name, config=config, **options)
        except UnknownConfigurationKeyError as error:  # meant for the provider's other tools
            unknown = re.search(r"'(\w+)'", str(error))
            config = {key: value for key, value in config.items() if unknown is None or key.lower() != unknown[1]}
        except BaseError as error:
            raise Unavailable(
                f"The settings of the bucket {name} cannot be used: look at its endpoint and keys."
            ) from Said(error)
