"""What the server and its decoding children say to each other: MessagePack with types, each message behind its length.

Not pickle: a child that a hostile picture has taken over must not be able to run code in the server.
"""

from __future__ import annotations

import struct

import msgspec

from portal.imaging.edits import Edits
from portal.imaging.presets import Changes
from portal.imaging.render import Rendered
from portal.imaging.sheet import Drawn, Form, Sheet
from portal.imaging.verify import Limits, Verified

LENGTH = struct.Struct(">I")
LONGEST = 64 * 1024 * 1024  # an answer of more bytes is not one of ours
TAKEN = b"\x06"  # a child has read its task and begins


class VerifyTask(msgspec.Struct, tag="verify", frozen=True):
    path: bytes
    filename: bytes  # UTF-8 with surrogates, as a browser may send anything
    limits: Limits
    cpu_seconds: int
    may_be_heavy: bool


class RenderTask(msgspec.Struct, tag="render", frozen=True):
    path: bytes
    names: tuple[str, ...]
    focal_point: tuple[float, float] | None
    edits: Edits
    changes: Changes
    is_modern: bool  # WebP and AVIF
    cpu_seconds: int
    may_be_heavy: bool


class SheetTask(msgspec.Struct, tag="sheet", frozen=True):
    sheet: Sheet
    form: Form
    paths: tuple[bytes, ...]
    cpu_seconds: int


class VerifyDone(msgspec.Struct, tag="verified", frozen=True):
    verified: Verified


class RenderDone(msgspec.Struct, tag="rendered", frozen=True):
    renditions: list[Rendered]
    seconds: dict[str, float]  # by stage: decode, resize, encode


class SheetDone(msgspec.Struct, tag="drawn", frozen=True):
    drawn: Drawn


class Heavy(msgspec.Struct, tag="heavy", frozen=True):
    """Not begun: ask again when no other heavy picture is being decoded."""


class Refused(msgspec.Struct, tag="refused", frozen=True):
    error: str  # a subclass of FileRefused
    message: str
    detail: str  # for the log


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """Not the picture's fault: the file can't be read, or a bug."""

    errno: int | None
    detail: str


Task = VerifyTask | RenderTask | SheetTask
Answer = VerifyDone | RenderDone | SheetDone | Heavy | Refused | Failed

_task_decoder = msgspec.msgpack.Decoder[Task](Task)
_answer_decoder = msgspec.msgpack.Decoder[Answer](Answer)


def pack(message: Task | Answer) -> bytes:
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def unpack_task(body: bytes) -> Task:
    return _task_decoder.decode(body)


def unpack_answer(body: bytes) -> Answer:
    return _answer_decoder.decode(body)
