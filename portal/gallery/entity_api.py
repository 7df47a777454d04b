"""`/api/entities`: the host system's things that own pictures."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Final

from litestar import Request, Response, Router, delete, get, post, put
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import PathParameter, QueryParameter

from portal.accounts.guards import permit
from portal.entities.forms import MOST_LINES, NAME_LENGTH, parse_entity
from portal.entities.import_files import ImportKind
from portal.entities.imports import ImportReport, import_rows
from portal.entities.kinds import KINDS, EntityRef, is_entity_id, parse_ref
from portal.entities.listing import list_entities
from portal.entities.queries import forget_counts
from portal.entities.service import put_entity
from portal.errors import BadRequest, FormError, Stale, TooLarge, UnsupportedFormat
from portal.gallery.disposal import delete_entity
from portal.gallery.entity_objects import (
    EntityList,
    EntityObject,
    InvoiceForPrint,
    InvoiceObject,
    entity_object,
    object_for_print,
)
from portal.gallery.issued import entity_for_print
from portal.gallery.presets import print_box
from portal.gallery.prints import read_for
from portal.gallery.queries import entity_views, get_entity
from portal.idempotency import Claim
from portal.paging import read_limit
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.answers import json_response, read_json
from portal.web.forms import read_upload
from portal.web.once import once
from portal.web.parameters import Force, PathText, TheActor, TheLinks, TheSettings

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_YES: Final = {"1", "true", "yes", "on"}
_KINDS_OF_BODY: Final[dict[str, ImportKind]] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
    "application/json": "jsonl",
    "text/plain": "csv",
}
_KINDS_OF_NAME: Final[dict[str, ImportKind]] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}
_INVOICE: Final = {
    "name": "Invoice 2026-001, Café Brygga",
    "reference": "RE/2026-001",
    "parent": {"type": "customers", "id": "K-1002"},
    "number": "2026-001",
    "date": "2026-11-03",
    "currency": "EUR",
    "total": "36.25",
    "lines": [{"item": "MUG-FJORD-BL", "description": "Fjord mug", "quantity": "2", "unit_price": "14.50"}],
    "attributes": {"vat_rate": "25"},
}
_ITEM: Final = {
    "name": "Fjord mug, slate blue",
    "parent": {"type": "categories", "id": "TABLEWARE"},
    "attributes": {"colour": "slate blue"},
}
_TEXT: Final = Schema(type=OpenAPIType.STRING)
_AMOUNT: Final = Schema(type=[OpenAPIType.STRING, OpenAPIType.NUMBER], description="a number or its text, as 14.50")
_LINE: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={"item": _TEXT, "description": _TEXT, "quantity": _AMOUNT, "unit_price": _AMOUNT},
    required=["description", "quantity"],
)
_BODY: Final = Schema(
    type=OpenAPIType.OBJECT,
    description="What is left out is cleared. `number` to `lines` belong to invoices. Unknown and read-only fields: 422.",
    properties={
        "name": Schema(type=OpenAPIType.STRING, min_length=1, max_length=NAME_LENGTH),
        "reference": _TEXT,
        "parent": Schema(type=OpenAPIType.OBJECT, properties={"type": _TEXT, "id": _TEXT}, required=["type", "id"]),
        "attributes": Schema(type=OpenAPIType.OBJECT, description="at most 64 KiB, ten levels deep"),
        "number": _TEXT,
        "date": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE),
        "currency": Schema(type=OpenAPIType.STRING, pattern="^[A-Z]{3}$"),
        "total": _AMOUNT,
        "lines": Schema(type=OpenAPIType.ARRAY, items=_LINE, max_items=MOST_LINES),
    },
    required=["name"],
)


@dataclass
class _PutOperation(Operation):
    """The body is read by hand, so that each bad field gets its sentence; /docs learns of it here."""

    def __post_init__(self) -> None:
        examples: dict[str, Any] = {
            "item": Example(summary="An item", value=_ITEM),
            "invoice": Example(summary="An invoice", value=_INVOICE),
        }
        body = OpenAPIMediaType(schema=_BODY, examples=examples)
        self.request_body = RequestBody(content={"application/json": body}, required=True)


@dataclass
class _ImportOperation(Operation):
    """The file is read by hand, as it comes in."""

    def __post_init__(self) -> None:
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, properties={"file": binary}, required=["file"])
        row = '{"type": "customers", "id": "K-1001", "name": "Ingrid Solheim"}'
        content = {
            "text/csv": OpenAPIMediaType(schema=_TEXT, example="type,id,name\ncustomers,K-1001,Ingrid Solheim\n"),
            "application/jsonl": OpenAPIMediaType(schema=_TEXT, example=f"{row}\n"),
            "multipart/form-data": OpenAPIMediaType(schema=form),
        }
        self.request_body = RequestBody(content=content, required=True)


For = Annotated[str | None, QueryParameter(name="for", description="`print` adds what is printed of pictures.")]
OneEntity = EntityObject | InvoiceObject | InvoiceForPrint
TypeName = Annotated[str, PathParameter(description=f"One of {', '.join(KINDS)}.")]


@get(
    "/",
    **permit("viewer"),
    operation_id="ListEntities",
    summary="List and search entities",
    description="By name, all types type by type; `sort=updated` gives the last changed first; `most` and `fewest` go by how many"
    " pictures there are.",
    responses={200: ResponseSpec(EntityList, description="One page")},
)
async def list_all(
    links: TheLinks,
    type: Annotated[str | None, QueryParameter(description=f"One of {', '.join(KINDS)}.")] = None,
    q: Annotated[str, QueryParameter(description="Beginnings of words of name, id, reference or number.")] = "",
    missing: Annotated[
        str, QueryParameter(description="Only those without: image, primary, alt; low_resolution: too small for print.")
    ] = "",
    sort: Annotated[str, QueryParameter(description="name, updated, most or fewest")] = "name",
    cursor: Annotated[str | None, QueryParameter(description="`next` of the page before")] = None,
    limit: Annotated[str | None, QueryParameter(description="1 to 200; 50 unless told")] = None,
) -> Response[bytes]:
    page = await list_entities(
        type=type or None,
        q=q,
        missing=missing,
        sort=sort or "name",
        cursor=cursor,
        limit=read_limit(limit),
        box=await print_box(),
    )
    entities = [entity_object(view) for view in await entity_views(page.items, links)]
    return json_response(200, EntityList(entities, page.total, page.next))


@get(
    "/{type:str}/{id:str}",
    **permit("viewer"),
    operation_id="GetEntity",
    summary="Read one entity",
    responses={200: ResponseSpec(OneEntity, description="With the primary picture; an invoice's lines with theirs")},
)
async def get_one(type: TypeName, id: PathText, links: TheLinks, for_: For = None) -> Response[bytes]:
    """With `for=print` the pictures of an invoice's lines have `print`, as those of a gallery. They are those of `pinned_at`
    where the invoice is pinned; it is null where it is not.
    """
    ref = parse_ref(type, id)
    if not read_for(for_):
        return await _answer(200, ref, links)
    printed = await entity_for_print(ref, links)
    shown = object_for_print(printed.entity, printed.pinned_at)
    return json_response(200, shown, {"ETag": _etag(printed.entity.updated_at)})


@put(
    "/{type:str}/{id:str}",
    **permit("editor"),
    operation_id="PutEntity",
    operation_class=_PutOperation,
    summary="Create an entity or replace the whole of it",
    responses={
        200: ResponseSpec(OneEntity, description="Replaced"),
        201: ResponseSpec(OneEntity, description="Created"),
    },
)
async def put_one(
    request: Request[Any, Any, Any], type: TypeName, id: PathText, links: TheLinks, actor: TheActor
) -> Response[bytes]:
    ref = _ref_to_write(type, id)
    data = await read_json(request)
    if not isinstance(data, dict):
        raise BadRequest("Send the entity as a JSON object.")
    created = await put_entity(ref, parse_entity(ref, data), actor, unless_changed_since=_if_match(request))
    return await _answer(201 if created else 200, ref, links)


@delete(
    "/{type:str}/{id:str}",
    **permit("editor", problems=(409,)),
    operation_id="DeleteEntity",
    summary="Delete an entity with its images and their files, for good",
    description="409 `pinned` while an invoice is pinned to one of them.",
)
async def delete_one(type: TypeName, id: PathText, actor: TheActor, settings: TheSettings, force: Force = "") -> None:
    limits: dict[str, Any] = {"deletes_per_hour": settings.deletes_per_hour, "force": force == "1"}
    await delete_entity(parse_ref(type, id), actor=actor, **limits)
    forget_counts()


@post(
    "/import",
    **permit("editor", upload=True),
    status_code=200,
    operation_id="ImportEntities",
    operation_class=_ImportOperation,
    summary="Create and change many entities from CSV or JSON lines",
    description="The file as the body (`text/csv`, `application/jsonl`) or as `file` of a form. Bad rows are named by line,"
    " each good row is applied whole; `strict=1`: all or none (422). What the file does not mention stays as it is.",
    responses={200: ResponseSpec(ImportReport, description="What became of the rows")},
)
async def import_file(
    request: Request[Any, Any, Any],
    actor: TheActor,
    settings: TheSettings,
    strict: Annotated[str, QueryParameter(description="1: nothing is applied when any row is bad")] = "",
) -> Response[bytes]:
    is_strict = strict.lower() in _YES
    async with _received(request, settings) as (file, kind):

        async def run(_: Claim | None) -> tuple[int, Any]:
            report = await import_rows(file, kind, actor, strict=is_strict)
            if report.refused and is_strict:
                raise _nothing_imported(report)
            return 200, report

        body_hash = await asyncio.to_thread(_digest, file, f"{kind} {is_strict}\n")
        return await once(request, actor=actor, body_hash=body_hash, run=run)


def _digest(file: BinaryIO, how: str) -> str:
    """Of the file and of how it is read. Leaves the file at its end; the import begins at its start."""
    digest = hashlib.sha256(how.encode())
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def _nothing_imported(report: ImportReport) -> FormError:
    rows = "row needs" if report.refused == 1 else "rows need"
    return FormError(
        {f"line {error.line}": error.message for error in report.errors},
        f"Nothing was imported: {report.refused} {rows} another look.",
    )


async def _answer(status: int, ref: EntityRef, links: Links) -> Response[bytes]:
    view = await get_entity(ref, links)
    return json_response(status, entity_object(view), {"ETag": _etag(view.updated_at)})


def _ref_to_write(type: str, id: str) -> EntityRef:
    """A bad id is the sender's to mend, not something that is not there."""
    if type in KINDS and not is_entity_id(id):
        raise FormError({"id": "Use 1 to 64 letters, digits or . _ - ~ : and put any other name into `reference`."})
    return parse_ref(type, id)


def _etag(updated_at: datetime.datetime) -> str:
    """Of what was said about the entity; its pictures have their own."""
    return f'"{(updated_at - _EPOCH) // _MICROSECOND}"'


def _if_match(request: Request[Any, Any, Any]) -> datetime.datetime | None:
    """Raises Stale for a tag that was never ours."""
    tag = request.headers.get("if-match", "").strip()
    if not tag or tag == "*":
        return None
    try:
        return _EPOCH + int(tag.strip('"')) * _MICROSECOND
    except (ValueError, OverflowError) as error:
        raise Stale("This entity was changed in the meantime. Read it again, then save.") from error


@asynccontextmanager
async def _received(request: Request[Any, Any, Any], settings: Settings) -> AsyncIterator[tuple[BinaryIO, ImportKind]]:
    """The file on our disk, open, whether it came as a form or as the body alone."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with _received_form(request, settings) as received:
            yield received
        return
    kind = _KINDS_OF_BODY.get(media_type)
    if kind is None:
        raise UnsupportedFormat("Send the file as text/csv or application/jsonl, or as `file` of a form.")
    with tempfile.TemporaryFile(dir=settings.temp_dir) as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > settings.uploads.max_bytes:
                raise TooLarge(f"Up to {settings.uploads.max_bytes // 2**20} MB fit. Import it in parts.")
            await asyncio.to_thread(file.write, chunk)
        file.seek(0)
        yield file, kind


@asynccontextmanager
async def _received_form(
    request: Request[Any, Any, Any], settings: Settings
) -> AsyncIterator[tuple[BinaryIO, ImportKind]]:
    async with read_upload(request, temp_dir=settings.temp_dir, max_bytes=settings.uploads.max_bytes) as upload:
        if not upload.files:
            raise BadRequest("Send the file in a field named `file`.")
        sent = upload.files[0]
        if sent.refused is not None:
            raise sent.refused
        kind = _KINDS_OF_NAME.get(sent.filename.rpartition(".")[2].lower())
        if kind is None:
            raise UnsupportedFormat("The file's name ends in .csv or .jsonl.")
        with await asyncio.to_thread(sent.path.open, "rb") as file:
            yield file, kind


router = Router(
    path="/api/entities", route_handlers=[list_all, get_one, put_one, delete_one, import_file], tags=["entities"]
)
