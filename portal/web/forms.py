"""Reading what browsers and scripts send: plain forms into text, multipart into text and temporary files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from portal.errors import BadRequest, Forbidden, PortalError, TooLarge, UnsupportedFormat
from portal.storage.disk import Disk, plain_words

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]

MAX_BODY: Final = 1024 * 1024  # of a request that is no upload, and of an upload's text fields together
MAX_PARTS: Final = 1000
MAX_FIELD: Final = 64 * 1024
MAX_PART_HEADER: Final = 8 * 1024
_WRITE_AT: Final = 256 * 1024  # bytes gathered before a thread writes them
OTHER_SESSION: Final = "This form is from another session. Load the page again and repeat it."
_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_ANY_TIME: Final = contextlib.nullcontext()
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="spool")
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """An upload on disk. `filename` is as the browser sent it; `refused` says why there are no bytes at `path`."""

    path: Path
    filename: str
    bytes: int
    sha256: str
    refused: PortalError | None
    field: str


@dataclass(slots=True)
class Upload:
    """Of a repeated text field the last value counts."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[ReceivedFile] = field(default_factory=list)


async def read_form(request: AnyRequest) -> dict[str, str]:
    """A urlencoded form; the last of repeated values. Raises BadRequest, UnsupportedFormat, TooLarge above 1 MiB."""
    return {name: values[-1] for name, values in (await read_form_lists(request)).items()}


async def read_form_lists(request: AnyRequest) -> dict[str, list[str]]:
    """The same with every value of a repeated field."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    body = await request.body()
    if kind != "application/x-www-form-urlencoded":
        if not body and not kind:
            return {}
        raise UnsupportedFormat("Send the form as application/x-www-form-urlencoded.")
    if len(body) > MAX_BODY:
        raise TooLarge("This form is larger than 1 MB.")
    if options.get("charset", "").lower() not in _CHARSETS:
        raise BadRequest("The form must be sent as UTF-8.")
    found: dict[str, list[str]] = {}
    for name, value in _pairs(body):
        found.setdefault(name, []).append(value)
    return found


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS)
    except ValueError as error:
        raise BadRequest("The form cannot be read: it holds too many fields, or text that is not UTF-8.") from error
    for name, value in pairs:
        _refuse_nul(name, value)
    return pairs


def _refuse_nul(name: str, value: str) -> None:
    if "\0" in name or "\0" in value:
        raise BadRequest("The form holds a NUL character, which cannot be stored.")


@contextlib.asynccontextmanager
async def read_upload(
    request: AnyRequest,
    *,
    temp_dir: Path,
    max_bytes: int,
    max_files: int = 1,
    csrf: str | None = None,
    file_fields: Collection[str] = ("file", "files"),
    turn: contextlib.AbstractAsyncContextManager[None] = _ANY_TIME,
    disk: Disk | None = None,
) -> AsyncIterator[Upload]:
    """A multipart body, streamed to `temp_dir`; whatever still lies there is removed at the end.

    A file above `max_bytes` is dropped while it comes in and listed with `refused`; the others go on. `csrf` is the
    session's token; where no header brought it, it must be the first field (also when this argument is forgotten).
    `turn` is held for each piece that has come, so that those of many uploads take turns.
    Raises BadRequest for a broken body, UnsupportedFormat for another content type, TooLarge when everything together
    is too much, Forbidden; DiskFull and Unavailable when the files cannot be written.
    """
    parser = multipart_parser(request)
    most = most_bytes(max_bytes, max_files)
    if announced_bytes(request) > most:
        raise TooLarge(f"This is more than the {most // 2**20} MB that are taken at once.")
    due: Any = request.scope.get("csrf_due")
    reader = _Reader(temp_dir, max_bytes, max_files, file_fields, (csrf or due) if due else None, disk or Disk())
    try:
        await _read_all(request, parser, reader, most, turn)
        yield reader.upload
    finally:
        await reader.remove_files()


def multipart_parser(request: AnyRequest) -> PushMultipartParser:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise UnsupportedFormat("Send the file as multipart/form-data.")
    boundary = options.get("boundary", "")
    if not 1 <= len(boundary) <= 200 or not boundary.isascii() or not boundary.isprintable():
        raise BadRequest("The upload cannot be read: its boundary is missing or broken.")
    return PushMultipartParser(
        boundary, max_header_size=MAX_PART_HEADER, max_header_count=8, max_segment_count=MAX_PARTS
    )


def most_bytes(max_bytes: int, max_files: int) -> int:
    """Of a whole upload: its files, its text and what stands between them."""
    return max_files * max_bytes + MAX_BODY


def announced_bytes(request: AnyRequest) -> int:
    """0 when the request does not say how long it is."""
    length = request.headers.get("content-length", "")
    return int(length[:18]) if length.isascii() and length.isdigit() else 0


async def _read_all(
    request: AnyRequest,
    parser: PushMultipartParser,
    reader: _Reader,
    most: int,
    turn: contextlib.AbstractAsyncContextManager[None],
) -> None:
    received = 0
    try:
        async for chunk in sent_pieces(request):
            received += len(chunk)
            if received > most:
                raise TooLarge(f"This is more than the {most // 2**20} MB that are taken at once.")
            async with turn:
                for event in parser.parse(chunk):
                    await reader.take(event)
        parser.close()
        reader.check_complete()
    except MultipartError as error:
        raise BadRequest("The upload cannot be read: it is cut off or not valid multipart/form-data.") from error


async def sent_pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    """Straight from the server: Litestar's own stream would hold uploads to the limit of other requests."""
    while True:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended before the upload did.")
        if body := message.get("body"):
            yield body
        if not message.get("more_body"):
            return


class _Reader:
    """Takes the parser's events: a part's head, its bytes, its end."""

    def __init__(
        self,
        temp_dir: Path,
        max_bytes: int,
        max_files: int,
        file_fields: Collection[str],
        csrf: str | None,
        disk: Disk,
    ) -> None:
        self.upload = Upload()
        self._temp_dir, self._max_bytes, self._max_files, self._file_fields = (
            temp_dir,
            max_bytes,
            max_files,
            file_fields,
        )
        self._csrf, self._disk = csrf, disk
        self._text_left = MAX_BODY
        self._head: MultipartSegment | None = None
        self._text = bytearray()
        self._file: _FileWriter | None = None
        self._paths: list[_FileWriter] = []

    async def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if event is None:
            await self._end()
        elif isinstance(event, bytes | bytearray):
            await self._add(event)
        else:
            self._begin(event)

    def _begin(self, head: MultipartSegment) -> None:
        _check_head(head)
        self._head, self._text, self._file = head, bytearray(), None
        if head.filename is None:
            return
        if self._csrf is not None:
            raise Forbidden(OTHER_SESSION)
        if head.name not in self._file_fields:
            raise BadRequest(f"Send files as the field {' or '.join(self._file_fields)}.")
        if len(self._paths) > self._max_files:
            raise BadRequest(f"Send at most {self._max_files} file{'s' if self._max_files != 1 else ''} at once.")
        self._file = _FileWriter(self._temp_dir / f"{secrets.token_hex(16)}.part", self._max_bytes, self._disk)
        self._paths.append(self._file)

    async def _add(self, data: bytes | bytearray) -> None:
        if self._file is not None:
            await self._file.add(data)
            return
        self._text_left -= len(data)
        if len(self._text) + len(data) > MAX_FIELD or self._text_left < 0:
            raise TooLarge("A text field is longer than 64 KB.")
        self._text += data

    async def _end(self) -> None:
        assert self._head is not None
        name = self._head.name or ""
        if self._file is not None:
            await self._end_file(self._file, name, self._head.filename or "")
            return
        try:
            value = self._text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest("A text field holds bytes that are not UTF-8.") from error
        _refuse_nul(name, value)
        if self._csrf is not None:
            self._check_csrf(name, value)
        self.upload.fields[name] = value

    def _check_csrf(self, name: str, value: str) -> None:
        if name != "csrf_token" or not secrets.compare_digest(value.encode(), (self._csrf or "").encode()):
            raise Forbidden(OTHER_SESSION)
        self._csrf = None

    async def _end_file(self, writer: _FileWriter, name: str, filename: str) -> None:
        await writer.finish()
        if not filename and not writer.bytes:
            self._paths.remove(writer)  # a file field that was left empty
            await writer.remove()
            return
        if len(self.upload.files) >= self._max_files:
            raise BadRequest(f"Send at most {self._max_files} file{'s' if self._max_files != 1 else ''} at once.")
        refused = None
        if writer.is_too_large:
            refused = TooLarge(f"This file is larger than {self._max_bytes / 2**20:g} MB.")
        self.upload.files.append(ReceivedFile(writer.path, filename, writer.bytes, writer.sha256, refused, name))

    def check_complete(self) -> None:
        if self._csrf is not None:
            raise Forbidden(OTHER_SESSION)

    async def remove_files(self) -> None:
        for writer in self._paths:
            await writer.remove()


def _check_head(head: MultipartSegment) -> None:
    if not head.name or len(head.name) > 200:
        raise BadRequest("A part of the upload has no name.")
    if "\0" in head.name:
        raise BadRequest("A part of the upload has a broken name.")
    if (head.header("Content-Transfer-Encoding") or "").strip().lower() not in _PLAIN_ENCODINGS:
        raise BadRequest("Send the file's bytes as they are, without a transfer encoding.")
    kind, options = parse_options_header(head.header("Content-Type") or "")
    if head.filename is None and (options.get("charset", "").lower() not in _CHARSETS or kind.startswith("multipart/")):
        raise BadRequest("Text fields must be sent as UTF-8.")


def _in_thread(work: Callable[..., None], *arguments: bytes) -> asyncio.Future[None]:
    """In threads of their own: what else needs one does not wait behind uploads."""
    return asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)


class _FileWriter:
    """Bytes on their way to a file of mode 0600; hashed and written in a thread, a few hundred KB at a time."""

    def __init__(self, path: Path, max_bytes: int, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self.bytes = 0
        self.is_too_large = False
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._descriptor: int | None = None
        self._writing: asyncio.Future[None] | None = None

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def add(self, data: bytes | bytearray) -> None:
        self.bytes += len(data)
        if self.is_too_large:
            return
        if self.bytes > self._max_bytes:
            self.is_too_large = True
            self._buffer.clear()
            await self.remove()
            return
        self._buffer += data
        if len(self._buffer) >= _WRITE_AT:
            await self._in_thread(self._write, bytes(self._buffer))
            self._buffer.clear()

    async def finish(self) -> None:
        if not self.is_too_large:
            await self._in_thread(self._write_last, bytes(self._buffer))
            self._buffer.clear()

    async def remove(self) -> None:
        """Waits for the thread first, which may be about to make the file, also when the request is cancelled."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await asyncio.shield(_in_thread(self._close_and_unlink))

    async def _in_thread(self, work: Any, data: bytes) -> None:
        self._writing = _in_thread(work, data)
        try:
            await asyncio.shield(self._writing)
        finally:
            if self._writing.done():
                self._writing = None

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        with plain_words():
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._descriptor = self._disk.open(self.path, flags, 0o600)
            self._disk.write_all(self._descriptor, data)

    def _write_last(self, data: bytes) -> None:
        self._write(data)
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _close_and_unlink(self) -> None:
        try:
            self._close()
            self._disk.unlink(self.path)
        except FileNotFoundError:
            return  # stored, or never begun
        except OSError as error:  # the answer stands all the same; a clean-up finds the file
            log.warning("an upload's temporary file stays", cause=repr(error))
