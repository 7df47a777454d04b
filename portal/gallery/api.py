"""The images' part of the JSON API."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, Router, delete, get, post, put
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from portal.accounts.guards import may_see, permit
from portal.entities.kinds import KINDS, EntityRef, parse_ref
from portal.errors import FormError, NoSuchEntity
from portal.gallery import disposal, queries, service
from portal.gallery.entity_objects import entity_object, object_for_print
from portal.gallery.forms import read_metadata, read_picture_fields
from portal.gallery.image_objects import (
    IMAGE_EXAMPLE,
    Gallery,
    GalleryForPrint,
    ImageList,
    UploadReport,
    VisitorEntity,
    VisitorGallery,
    VisitorGalleryForPrint,
    for_visitor,
)
from portal.gallery.issued import Printed, entity_for_print, gallery_for_print
from portal.gallery.prints import read_for
from portal.gallery.queries import parse_image_id
from portal.gallery.twins import read_hash
from portal.gallery.uploads import MAX_FILES, Outcome, add_file, add_files, body_hash, received
from portal.gallery.views import EntityView, ImageView
from portal.idempotency import Claim
from portal.jobs.queue import AWAITED, BULK, USUAL
from portal.paging import Page, read_limit
from portal.storage.links import Links
from portal.web.answers import json_response, read_json, read_object
from portal.web.exceptions import problem
from portal.web.once import once
from portal.web.openapi import json_operation, multipart_operation
from portal.web.parameters import (
    Cursor,
    Force,
    Http,
    Limit,
    PathText,
    QueryText,
    TheActor,
    TheLinks,
    ThePool,
    TheReader,
    TheSettings,
    TheStore,
)
from portal.web.preferences import wait_seconds, wait_until

For = Annotated[str | None, QueryParameter(name="for", description="`print` adds what is printed of each picture.")]
STATUSES: Final = ("pending", "processing", "ready", "failed")
_EXAMPLES: Final = [Example(summary="A picture that is ready", value=IMAGE_EXAMPLE)]
IMAGE: Final = {
    200: ResponseSpec(ImageView, description="The image as it is now; `ETag` is its revision", examples=_EXAMPLES)
}
_METADATA: Final = {
    "alt_text": "Slate blue mug, seen from the front",
    "decorative": False,
    "caption": None,
    "tags": ["front", "studio"],
    "is_primary": True,
    "focal_point": {"x": 0.5, "y": 0.25},
    "edits": {"rotate": 90, "flip": "horizontal", "crop": {"x": 0.1, "y": 0.1, "width": 0.8, "height": 0.75}},
    "attributes": {"photographer": "Ana Berg"},
}


@post(
    "/upload",
    summary="Add one picture",
    operation_class=multipart_operation({"file": "binary"}),
    responses={201: ResponseSpec(ImageView, description="Stored", examples=_EXAMPLES)},
    **permit("editor", upload=True, problems=(404, 409, 507)),
)
async def upload(
    request: Http, settings: TheSettings, store: TheStore, pool: ThePool, links: TheLinks, actor: TheActor
) -> Response[bytes]:
    """Multipart with `file, entity_type, entity_id` and optionally `alt_text, caption, is_primary, tags, allow_duplicate`.

    201 with the image as soon as original and row are durable; `Prefer: wait=N` waits for its renditions.
    """
    wait = wait_seconds(request)
    async with received(request, settings, store, max_files=1) as sent:
        ref = _ref_of(sent.fields)
        files = [file for file in sent.files if file.field == "file"]
        if len(files) != 1:
            raise FormError({"file": "Send one file in the field `file`; /api/images/upload/multiple takes many."})
        fields = read_picture_fields(sent.fields)

        async def run(claim: Claim | None) -> tuple[int, Any]:
            image_id = await add_file(
                ref,
                files[0],
                fields,
                settings=settings,
                store=store,
                pool=pool,
                actor=actor,
                claim=claim,
                priority=AWAITED if wait else USUAL,
            )
            await wait_until(lambda: queries.are_settled([image_id]), wait)
            return 201, await queries.get_image(image_id, links)

        return await once(request, actor=actor, body_hash=body_hash(sent.fields, files), run=run)


@post(
    "/upload/multiple",
    summary="Add several pictures; each has its own outcome",
    operation_class=multipart_operation({"files": "binary[]"}),
    responses={
        201: ResponseSpec(UploadReport, description="All were stored"),
        207: ResponseSpec(UploadReport, description="Some were stored"),
        422: ResponseSpec(UploadReport, description="None was stored"),
    },
    **permit("editor", upload=True, problems=(404, 409, 507)),
)
async def upload_multiple(
    request: Http, settings: TheSettings, store: TheStore, pool: ThePool, links: TheLinks, actor: TheActor
) -> Response[bytes]:
    """`files` repeated, at most 100. 201 when all are stored, 207 some, 422 none; results in the order sent."""
    wait = wait_seconds(request)
    async with received(request, settings, store, max_files=MAX_FILES) as sent:
        ref = _ref_of(sent.fields)
        files = [file for file in sent.files if file.field == "files"]
        if not files:
            raise FormError({"files": "Send at least one file in the field `files`."})
        fields = read_picture_fields(sent.fields)

        async def run(claim: Claim | None) -> tuple[int, Any]:
            outcomes = await add_files(
                ref,
                files,
                fields,
                settings=settings,
                store=store,
                pool=pool,
                actor=actor,
                claim=claim,
                priority=BULK,
            )
            stored = [outcome.image_id for outcome in outcomes if outcome.image_id is not None]
            await wait_until(lambda: queries.are_settled(stored), wait)
            return await _answer_of(outcomes, links, request.scope.get("request_id"))

        return await once(request, actor=actor, body_hash=body_hash(sent.fields, files), run=run)


async def _answer_of(outcomes: list[Outcome], links: Links, request_id: Any) -> tuple[int, Any]:
    results: list[dict[str, Any]] = []
    for outcome in outcomes:
        named: dict[str, Any] = {"filename": outcome.filename}
        if outcome.error is not None:
            results.append(named | {"status": outcome.error.status, "error": problem(outcome.error, request_id)})
        elif outcome.image_id is not None:
            results.append(named | {"status": 201, "image": await queries.get_image(outcome.image_id, links)})
    stored = sum(1 for outcome in outcomes if outcome.image_id is not None)
    status = 201 if stored == len(outcomes) else 207 if stored else 422
    return status, {"results": results, "stored": stored, "refused": len(outcomes) - stored}


def _ref_of(fields: dict[str, str]) -> EntityRef:
    missing = {name: "This field is needed." for name in ("entity_type", "entity_id") if not fields.get(name)}
    if missing:
        raise FormError(missing)
    return parse_ref(fields["entity_type"], fields["entity_id"])


@get(
    "/entity/{type:str}/{id:str}",
    summary="One gallery, in its order",
    responses={
        200: ResponseSpec(Gallery | VisitorGallery | GalleryForPrint | VisitorGalleryForPrint, description="One page")
    },
    **permit("scoped"),
)
async def gallery(
    type: PathText,
    id: PathText,
    settings: TheSettings,
    links: TheLinks,
    actor: TheReader,
    for_: For = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Public types need no credentials; then only ready pictures are listed, with the fields a visitor may know.

    With `for=print` each picture has `print`: the URL of its print rendition, that one's pixels, and its millimetres in the
    box of 90 x 68 mm at 300 dpi. An invoice that is pinned gives the pictures that it was issued with, and says `pinned_at`.
    """
    ref, is_for_print = parse_ref(type, id), read_for(for_)
    if not may_see(actor, ref.type, settings.private_types):
        raise NoSuchEntity(f"There is no {ref}.").as_denial()
    is_visitor = actor is None
    part: dict[str, Any] = {"links": links, "public": is_visitor, "cursor": cursor, "limit": read_limit(limit)}
    if is_for_print:
        printed = await entity_for_print(ref, links)
        page = await gallery_for_print(printed, **part)
        return _printed_answer(printed, page, is_visitor=is_visitor)
    entity = await queries.get_entity(ref, links)
    page = await queries.gallery_of(ref, **part)
    if is_visitor:
        images = [for_visitor(image) for image in page.items]
        return json_response(200, VisitorGallery(_for_visitor(entity), images, page.total, page.next))
    return json_response(200, Gallery(entity_object(entity), page.items, page.total, page.next))


def _printed_answer(printed: Printed, page: Page[ImageView], *, is_visitor: bool) -> Response[bytes]:
    entity, rest = printed.entity, (page.total, page.next, printed.pinned_at)
    if is_visitor:
        images = [for_visitor(image) for image in page.items]
        return json_response(200, VisitorGalleryForPrint(_for_visitor(entity), images, *rest))
    shown = object_for_print(entity, printed.pinned_at)
    return json_response(200, GalleryForPrint(shown, page.items, *rest))


def _for_visitor(entity: EntityView) -> VisitorEntity:
    return VisitorEntity(entity.type, entity.id, entity.name)


@get(
    "/",
    summary="Images of all galleries, newest first",
    responses={200: ResponseSpec(ImageList, description="One page")},
    **permit("viewer"),
)
async def list_images(
    links: TheLinks,
    status: QueryText = None,
    tag: QueryText = None,
    type: QueryText = None,
    sha256: QueryText = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[bytes]:
    """`sha256` finds a file that is here already, before it is sent: in any gallery, the trash not counted."""
    if status and status not in STATUSES:
        raise FormError({"status": f"Use one of {', '.join(STATUSES)}."})
    if type and type not in KINDS:
        raise FormError({"type": f"Use one of {', '.join(KINDS)}."})
    if tag and "\0" in tag:
        raise FormError({"tag": "A tag holds no NUL."})
    page = await queries.list_images(
        links=links,
        status=status,
        tag=tag,
        type=type,
        sha256=read_hash(sha256) if sha256 else None,
        cursor=cursor,
        limit=read_limit(limit),
    )
    return json_response(200, ImageList(page.items, page.total, page.next))


@get("/{id:str}", summary="One image", responses=IMAGE, **permit("viewer"))
async def show(id: PathText, links: TheLinks) -> Response[bytes]:
    """The `ETag` is the row's revision, for `If-Match` on a change."""
    return answer_with(await queries.get_image(parse_image_id(id), links))


def answer_with(image: ImageView) -> Response[bytes]:
    return json_response(200, image, {"ETag": f'"{image.revision}"'})


@put(
    "/{id:str}/metadata",
    summary="Change what is said about an image",
    operation_class=json_operation(_METADATA, required=[]),
    responses=IMAGE,
    **permit("editor", problems=(409, 412)),
)
async def change_metadata(id: PathText, request: Http, links: TheLinks, actor: TheActor) -> Response[bytes]:
    """Only the fields sent change, null clears: `alt_text, decorative, caption, tags, is_primary, focal_point, edits,
    attributes`. Edits are `{rotate, flip, crop}`, done from right to left; focal point and crop are in 0..1 of the upright
    original.
    """
    image_id = parse_image_id(id)
    changes = read_metadata(await read_json(request))
    await service.change_image(image_id, changes, actor=actor, revision=read_if_match(request))
    return answer_with(await queries.get_image(image_id, links))


def read_if_match(request: Http) -> int | None:
    """The revision that the client saw; None without (or with any). A tag that is none of ours matches nothing."""
    sent = request.headers.get("if-match", "").strip()
    if sent in {"", "*"}:
        return None
    revision = sent.removeprefix("W/").strip('"')
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else -1


@put(
    "/entity/{type:str}/{id:str}/order",
    summary="Put a gallery in order",
    operation_class=json_operation(
        {"ids": ["01930000-0000-7000-8000-000000000001", "01930000-0000-7000-8000-000000000002"]}, required=["ids"]
    ),
    responses={200: ResponseSpec(Gallery, description="The gallery, its first page")},
    **permit("editor", problems=(409,)),
)
async def reorder(type: PathText, id: PathText, request: Http, links: TheLinks, actor: TheActor) -> Response[bytes]:
    """`{"ids": […]}`: all of the gallery's images, each once, else 409."""
    ref = parse_ref(type, id)
    ids = (await read_object(request, {"ids"})).get("ids")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise FormError({"ids": "Send a list of image ids."})
    try:
        parsed = [UUID(each) for each in ids]
    except ValueError as error:
        raise FormError({"ids": "One of these is no image id."}) from error
    await service.reorder_gallery(ref, parsed, actor=actor)
    page = await queries.gallery_of(ref, links=links)
    entity = entity_object(await queries.get_entity(ref, links))
    return json_response(200, Gallery(entity, page.items, page.total, page.next))


@post(
    "/{id:str}/trash",
    summary="Move an image to the trash",
    status_code=200,
    responses=IMAGE,
    **permit("editor", problems=(429,)),
)
async def trash(id: PathText, settings: TheSettings, links: TheLinks, actor: TheActor) -> Response[bytes]:
    image_id = parse_image_id(id)
    await disposal.trash_image(image_id, actor=actor, deletes_per_hour=settings.deletes_per_hour)
    return answer_with(await queries.get_image(image_id, links))


@post(
    "/{id:str}/restore",
    summary="Take an image out of the trash, back to its place",
    status_code=200,
    responses=IMAGE,
    **permit("editor"),
)
async def restore(id: PathText, links: TheLinks, actor: TheActor) -> Response[bytes]:
    image_id = parse_image_id(id)
    await disposal.restore_image(image_id, actor=actor)
    return answer_with(await queries.get_image(image_id, links))


@delete("/{id:str}", summary="Delete an image for good", status_code=204, **permit("editor", problems=(409, 429)))
async def remove(id: PathText, settings: TheSettings, actor: TheActor, force: Force = "") -> None:
    """Row, versions, renditions and original; the bytes are gone within seconds. A second time: 404. 409 `pinned` while an
    invoice is pinned to it.
    """
    limits: dict[str, Any] = {"deletes_per_hour": settings.deletes_per_hour, "force": force == "1"}
    await disposal.delete_image(parse_image_id(id), actor=actor, **limits)


router = Router(
    "/api/images",
    route_handlers=[
        upload,
        upload_multiple,
        gallery,
        reorder,
        list_images,
        show,
        change_metadata,
        trash,
        restore,
        remove,
    ],
    tags=["images"],
)
