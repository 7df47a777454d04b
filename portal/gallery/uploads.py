"""An upload over HTTP, shared by the API and the page: admitted, read, verified, stored; each file its own outcome."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from litestar import Request

from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Busy, FormError, PortalError, Running
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import rules_of
from portal.gallery.service import add_image, refuse_when_disk_is_full
from portal.idempotency import Claim
from portal.imaging.pool import RenderPool
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store
from portal.web.forms import ReceivedFile, Upload, read_upload

MAX_FILES: Final = 100
AT_ONCE: Final = 256  # uploads that one process reads at the same time; each holds a small buffer and a file


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: its image, or why it was refused."""

    filename: str
    image_id: UUID | None
    error: PortalError | None


class Intake:
    """How many uploads are under way. Beyond AT_ONCE the next one is told to come back."""

    def __init__(self) -> None:
        self._under_way = 0

    @asynccontextmanager
    async def admit(self, store: Store, settings: Settings) -> AsyncIterator[None]:
        """Raises Busy, DiskFull; before a byte of the body is read."""
        if self._under_way >= AT_ONCE:
            raise Busy("Many uploads are under way. This one can start in a moment.", retry_after=1)
        self._under_way += 1
        try:
            await refuse_when_disk_is_full(store, settings.free_space_bytes)
            yield
        finally:
            self._under_way -= 1


def check_names(fields: Mapping[str, str]) -> None:
    """Raises FormError for fields that nobody may write, as `sha256` or `status`."""
    known = {"csrf_token", "entity_type", "entity_id", *PictureFields.__dataclass_fields__}
    unknown = {name: "There is no such field." for name in fields if name not in known}
    if unknown:
        raise FormError(unknown)


@asynccontextmanager
async def received(
    request: Request[Any, Any, Any], settings: Settings, store: Store, *, max_files: int
) -> AsyncIterator[Upload]:
    """The request's fields and files on our disk, removed again at the end unless they were stored."""
    largest = max(settings.uploads_of(kind).max_bytes for kind in ENTITY_TYPES)
    intake: Intake = request.app.state.intake
    async with intake.admit(store, settings):
        csrf = request.scope.get("csrf")
        async with read_upload(
            request, temp_dir=settings.temp_dir, max_bytes=largest, max_files=max_files, csrf=csrf
        ) as upload:
            check_names(upload.fields)
            yield upload


async def add_file(
    ref: EntityRef,
    file: ReceivedFile,
    fields: PictureFields,
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    claim: Claim | None,
    part: str = "0",
) -> UUID:
    """Raises what `add_image` raises, and what reading the file had found."""
    if file.refused is not None:
        raise file.refused
    picture = ReceivedPicture(file.path, file.filename, file.bytes, file.sha256)
    rules = rules_of(settings, ref.type)
    return await add_image(
        ref, picture, fields, rules=rules, store=store, pool=pool, actor=actor, claim=claim, part=part
    )


async def add_files(
    ref: EntityRef,
    files: list[ReceivedFile],
    fields: PictureFields,
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    claim: Claim | None,
) -> list[Outcome]:
    """One after the other, in the order sent; a refused file does not stop the others."""
    outcomes: list[Outcome] = []
    for number, file in enumerate(files):
        try:
            image_id = await add_file(
                ref,
                file,
                fields,
                settings=settings,
                store=store,
                pool=pool,
                actor=actor,
                claim=claim,
                part=str(number),
            )
            outcomes.append(Outcome(file.filename, image_id, None))
            fields = replace(fields, is_primary=False)  # that was the first of them
        except PortalError as error:
            if error.status >= 500 or error.status == 404 or isinstance(error, Running):
                raise  # not about this file
            outcomes.append(Outcome(file.filename, None, error))
    return outcomes


def body_hash(fields: Mapping[str, str], files: list[ReceivedFile]) -> str:
    """What makes two uploads the same request: fields, names and bytes; not the boundary between them."""
    digest = hashlib.sha256()
    for name, value in sorted(fields.items()):
        if name != "csrf_token":
            digest.update(f"{name}={value}\0".encode("utf-8", "surrogatepass"))
    for file in files:
        digest.update(f"{file.filename}\0{file.bytes}\0{file.sha256}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
