"""What the gallery's bar does to many pictures at once. Every action is a form's POST; htmx makes it quick.

`POST /entities/{type}/{id}/batch` (`gallery:batch`), fields:
  ids             the chosen pictures, repeated; or `all=1`: every picture of this gallery, shown or not
  action          tag, untag, move, copy, describe, rerender, trash
  tags            for tag and untag: a list with commas
  to              for move and copy: `<type>/<id>` of another entity, as its radio button in `gallery/_targets.html` says
  allow_duplicate `true`: also where that gallery has the same file already
  alt_text        for describe: one text for all that are chosen
  alt_text.<id>   for describe: the text of one; these win
  decorative      for describe: `true` says of all that they need no text
  only_missing    for describe: `1` leaves alone what has a text, or is decorative

For htmx the answer is `gallery/_grid.html` with a toast (and its undo) out of band, for a form 303 to the gallery. A field
that is wrong is 422, and nothing is done; what some pictures refuse the toast says, and the others are done.
`POST /batches/{id}/undo` (`gallery:undo_batch`) is the toast's undo; it answers as the batch did.
`POST /entities/{type}/{id}/zip` (`gallery:zip_chosen`): `ids` or `all=1`; `GET` (`gallery:zip`): the whole gallery. Neither is
for htmx: a form or a link without `hx-`.
`GET /targets?q=` (`gallery:targets`): `gallery/_targets.html`, entities to choose from, each a radio button named `to`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Stream, Template

from portal.accounts.guards import permit
from portal.entities.kinds import KINDS, EntityRef, parse_ref
from portal.errors import FormError
from portal.gallery import queries
from portal.gallery.batch import Outcome, ids_of_gallery
from portal.gallery.batch_forms import MOST_IDS, Asked, chosen_ids, read_batch_form
from portal.gallery.batch_work import Bench, run_batch, take_back
from portal.gallery.pages import after_change
from portal.gallery.targets import find_targets
from portal.gallery.zip_answers import zip_answer
from portal.storage.links import Links
from portal.web.exceptions import wants_json
from portal.web.forms import read_form_lists
from portal.web.parameters import PathText, QueryText, TheActor, TheLinks, TheSettings, TheStore
from portal.web.rendering import AnyRequest, Toast, is_htmx, page

MOST: Final = 10_000  # of one gallery, in one request; of those whose bytes are copied MOST_IDS
_CANNOT_BE_UNDONE: Final = frozenset({"rerender"})

Sent = Mapping[str, Sequence[str]]


@post(
    "/entities/{type:str}/{id:str}/batch",
    name="gallery:batch",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def batch(
    request: AnyRequest,
    settings: TheSettings,
    store: TheStore,
    links: TheLinks,
    actor: TheActor,
    type: PathText,
    id: PathText,
) -> Response[Any] | Template:
    ref, sent = parse_ref(type, id), await read_form_lists(request)
    try:
        chosen, asked = read_batch_form(sent)
        ids = await _all_of(ref, asked) if chosen is None else chosen
        outcomes = await run_batch(ids, asked, Bench(settings, store, actor))
    except FormError as error:
        if is_htmx(request) or wants_json(request):
            raise
        return await _again(request, ref, links, sent, error)
    done = sum(each.error is None for each in outcomes)
    said = _with_refusals(_said(asked, done, await _name_of(asked, links)), outcomes)
    undo = None if asked.action in _CANNOT_BE_UNDONE else _undo_url(request)
    return await after_change(request, ref, links, Toast(said, undo))


async def _all_of(ref: EntityRef, asked: Asked) -> list[UUID]:
    """Raises NoSuchEntity, FormError."""
    ids, most = await ids_of_gallery(ref), MOST_IDS if asked.target else MOST
    if not ids:
        raise FormError({"ids": "This gallery has no pictures."})
    if len(ids) > most:
        raise FormError({"ids": f"These are more than {most:,} pictures. Choose some of them."})
    return ids


async def _again(request: AnyRequest, ref: EntityRef, links: Links, sent: Sent, error: FormError) -> Template:
    """For a plain form: what was typed, with the message at its field."""
    form = {name: values[-1] for name, values in sent.items()}
    ids = None if form.get("all") else [part for value in sent.get("ids", ()) for part in value.split(",") if part]
    return await page(
        request,
        "gallery/batch.html",
        status_code=error.status,
        entity=await queries.get_entity(ref, links),
        action=form.get("action", ""),
        ids=ids,
        count=len(await ids_of_gallery(ref) if ids is None else ids),
        form=form,
        errors=error.errors,
    )


async def _name_of(asked: Asked, links: Links) -> str:
    return "" if asked.target is None else (await queries.get_entity(asked.target, links)).name


def _said(asked: Asked, done: int, target: str) -> str:
    many = _pictures(done)
    tags = "“" + ", ".join(asked.tags) + "”"
    return {
        "tag": f"{many} tagged {tags}",
        "untag": f"{tags} taken off {many}",
        "move": f"{many} moved to {target}",
        "copy": f"{many} copied to {target}",
        "describe": f"Texts of {many} saved",
        "rerender": f"{many} will be rendered again",
        "trash": f"{many} moved to the trash",
    }[asked.action]


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _with_refusals(said: str, outcomes: Sequence[Outcome]) -> str:
    """Raises the first of them where nothing else came of it."""
    refused = [each.error for each in outcomes if each.error is not None]
    if refused and len(refused) == len(outcomes):
        raise refused[0]
    if not refused:
        return said
    return f"{said}; {'1 was' if len(refused) == 1 else f'{len(refused):,} were'} not: {refused[0].message}"


def _undo_url(request: AnyRequest) -> str:
    return request.app.route_reverse("gallery:undo_batch", id=request.scope["request_id"])  # type: ignore[typeddict-item] - our own key of the scope


@post("/batches/{id:str}/undo", name="gallery:undo_batch", include_in_schema=False, status_code=200, **permit("editor"))
async def undo_batch(
    request: AnyRequest, settings: TheSettings, store: TheStore, links: TheLinks, actor: TheActor, id: PathText
) -> Response[Any]:
    """`id`: the request's that did it."""
    undone = await take_back(id, Bench(settings, store, actor))
    said = _with_refusals("Undone", undone.outcomes)
    return await after_change(request, undone.gallery, links, Toast(said))


@get("/entities/{type:str}/{id:str}/zip", name="gallery:zip", include_in_schema=False, **permit("viewer"))
async def zip_gallery(request: AnyRequest, store: TheStore, type: PathText, id: PathText) -> Stream:
    ref = parse_ref(type, id)
    return zip_answer(request, await ids_of_gallery(ref), ref.id, store)


@post(
    "/entities/{type:str}/{id:str}/zip",
    name="gallery:zip_chosen",
    include_in_schema=False,
    status_code=200,
    **permit("viewer"),
)
async def zip_chosen(request: AnyRequest, store: TheStore, type: PathText, id: PathText) -> Stream:
    """Changes nothing: so many ids stand in no address."""
    ref, sent = parse_ref(type, id), await read_form_lists(request)
    ids = await ids_of_gallery(ref) if sent.get("all") else chosen_ids(sent)
    return zip_answer(request, ids, ref.id, store)


@get("/targets", name="gallery:targets", include_in_schema=False, **permit("editor"))
async def targets(request: AnyRequest, links: TheLinks, q: QueryText = None, to: QueryText = None) -> Template:
    """`to`: what is chosen already; else the only one that is meant."""
    found = await find_targets(q or "", links)
    only = f"{found[0].type}/{found[0].id}" if q and len(found) == 1 else ""
    return await page(request, "gallery/_targets.html", targets=found, q=q or "", chosen=to or only, kinds=KINDS)


router = Router("/", route_handlers=[batch, undo_batch, zip_gallery, zip_chosen, targets])
