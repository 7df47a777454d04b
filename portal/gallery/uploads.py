"""An upload over HTTP, shared by the API and the page: admitted, read, verified, stored; each file its own outcome."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from litestar import Request

from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Busy, FormError, PortalError, Running
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import Intake, rules_of
from portal.gallery.service import add_image
from portal.gallery.versions import replace_file
from portal.gallery.views import ImageView
from portal.idempotency import Claim
from portal.imaging.pool import RenderPool
from portal.jobs.queue import USUAL
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store
from portal.web.forms import ReceivedFile, Upload, announced_bytes, most_bytes, read_upload

MAX_FILES: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: its image, or why it was refused."""

    filename: str
    image_id: UUID | None
    error: PortalError | None


ADD_FIELDS: Final = frozenset({"entity_type", "entity_id", *PictureFields.__dataclass_fields__})
REPLACE_FIELDS: Final = frozenset({"allow_duplicate"})


def check_names(fields: Mapping[str, str], known: Collection[str] = ADD_FIELDS) -> None:
    """Raises FormError for fields that nobody may write, as `sha256` or `status`."""
    unknown = {name: "There is no such field." for name in fields if name not in known and name != "csrf_token"}
    if unknown:
        raise FormError(unknown)


@asynccontextmanager
async def received(
    request: Request[Any, Any, Any],
    settings: Settings,
    store: Store,
    *,
    max_files: int,
    fields: Collection[str] = ADD_FIELDS,
) -> AsyncIterator[Upload]:
    """The request's fields (of these names) and files on our disk, removed again at the end unless they were stored."""
    largest = max(settings.uploads_of(kind).max_bytes for kind in ENTITY_TYPES)
    intake: Intake = request.app.state.intake
    most = most_bytes(largest, max_files)
    # who does not say may send all that is taken; more than `most` is too large for us, not for the disk
    announced = min(announced_bytes(request) or most, most)
    async with intake.admit(store, settings.free_space_bytes, announced) as promise:
        csrf = request.scope.get("csrf")
        async with read_upload(
            request,
            temp_dir=settings.temp_dir,
            max_bytes=largest,
            max_files=max_files,
            csrf=csrf,
            turn=intake.reading,
            disk=store.disk,
        ) as upload:
            promise.fulfil()
            check_names(upload.fields, fields)
            yield upload


def picture_of(file: ReceivedFile) -> ReceivedPicture:
    """Raises what reading it had found."""
    if file.refused is not None:
        raise file.refused
    return ReceivedPicture(file.path, file.filename, file.bytes, file.sha256)


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
    priority: int = USUAL,
) -> UUID:
    """Raises what `add_image` raises, and what reading the file had found."""
    return await add_image(
        ref,
        picture_of(file),
        fields,
        rules=rules_of(settings, ref.type),
        store=store,
        pool=pool,
        actor=actor,
        claim=claim,
        part=part,
        priority=priority,
    )


async def replace_with(
    image: ImageView,
    file: ReceivedFile,
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    allow_duplicate: bool = False,
    revision: int | None = None,
) -> bool:
    """False when these are the bytes it has. Raises what `replace_file` raises, and what reading the file had found."""
    return await replace_file(
        UUID(image.id),
        picture_of(file),
        rules=rules_of(settings, image.entity.type),
        store=store,
        pool=pool,
        actor=actor,
        deletes_per_hour=settings.deletes_per_hour,
        allow_duplicate=allow_duplicate,
        revision=revision,
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
    priority: int = USUAL,
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
                priority=priority,
            )
            outcomes.append(Outcome(file.filename, image_id, None))
            fields = replace(fields, is_primary=False)  # that was the first of them
        except PortalError as error:
            if error.status >= 500 or error.status == 404 or isinstance(error, Running):
                raise  # not about this file
            outcomes.append(Outcome(file.filename, None, error))
            if isinstance(error, Busy):  # the others would wait as long, each
                return [*outcomes, *(Outcome(other.filename, None, error) for other in files[number + 1 :])]
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
