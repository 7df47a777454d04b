"""Many pictures at once in the JSON API, and their originals as one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.response import Stream

from portal.accounts.guards import permit
from portal.entities.kinds import parse_ref
from portal.gallery import queries
from portal.gallery.batch import Outcome, ids_of_gallery
from portal.gallery.batch_forms import ALL_FIELDS, read_batch, read_ids
from portal.gallery.batch_work import Bench, run_batch
from portal.gallery.zip_answers import ZIP, zip_answer
from portal.web.answers import json_response, read_object
from portal.web.exceptions import problem
from portal.web.openapi import json_operation
from portal.web.parameters import Http, PathText, TheActor, TheSettings, TheStore
from portal.web.preferences import wait_seconds, wait_until

_ID: Final = "01930000-0000-7000-8000-000000000001"
_ZIP: Final = {200: ResponseSpec(bytes, description="The archive", media_type=ZIP)}


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Of one picture: `status` 200, or that of its `error`, which is problem+json. `made`: the id of the copy."""

    id: str
    status: int
    made: str | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchReport:
    """`results` in the order sent, each id once."""

    results: list[BatchOutcome]
    done: int
    refused: int


_EXAMPLES: Final = [
    Example(
        summary="One of two",
        value={
            "results": [
                {"id": _ID, "status": 200},
                {
                    "id": _ID.replace("1930", "1931"),
                    "status": 404,
                    "error": {
                        "status": 404,
                        "title": "Not found",
                        "detail": "…",
                        "code": "not_found",
                        "request_id": "…",
                    },
                },
            ],
            "done": 1,
            "refused": 1,
        },
    )
]


@post(
    "/batch",
    summary="Change many pictures",
    status_code=200,
    operation_class=json_operation(
        {
            "ids": [_ID],
            "action": "tag",
            "tags": ["front"],
            "entity_type": "inventory_items",
            "entity_id": "MUG-FJORD-BL",
            "allow_duplicate": False,
            "alt_text": "Slate blue mug",
            "decorative": False,
            "caption": None,
            "texts": {_ID: "Slate blue mug, seen from the front"},
            "only_missing": False,
            "force": False,
        },
        required=["ids", "action"],
    ),
    responses={
        200: ResponseSpec(BatchReport, description="All are done", examples=_EXAMPLES),
        207: ResponseSpec(BatchReport, description="Some are done"),
        422: ResponseSpec(BatchReport, description="None is done"),
    },
    **permit("editor", problems=(404, 507)),
)
async def batch(request: Http, settings: TheSettings, store: TheStore, actor: TheActor) -> Response[bytes]:
    """At most 1000 `ids`, and an outcome for each. `action` is one of `tag`, `untag` (`tags`), `move`, `copy` (`entity_type,
    entity_id`, `allow_duplicate`), `trash`, `restore`, `delete` (admin; `force` takes pictures off invoices), `rerender`,
    `describe` (`alt_text, decorative, caption` for all, `texts` by id; `only_missing` leaves alone what has a text).

    200 when all are done, 207 some, 422 none. A second time each is harmless, but a copy, which is a duplicate then.
    `Prefer: wait=N` waits for the renditions of copies and of what is rendered anew.
    """
    wait = wait_seconds(request)
    ids, asked = read_batch(await read_object(request, ALL_FIELDS))
    outcomes = await run_batch(ids, asked, Bench(settings, store, actor))
    made = [each.made or each.image_id for each in outcomes if each.error is None]
    if asked.action in {"copy", "move", "rerender"}:
        await wait_until(lambda: queries.are_settled(made), wait)
    status = 200 if len(made) == len(outcomes) else 207 if made else 422
    return json_response(status, _report(outcomes, request.scope.get("request_id")))


def _report(outcomes: list[Outcome], request_id: Any) -> dict[str, Any]:
    refused = sum(each.error is not None for each in outcomes)
    results = [_result(each, request_id) for each in outcomes]
    return {"results": results, "done": len(outcomes) - refused, "refused": refused}


def _result(outcome: Outcome, request_id: Any) -> dict[str, Any]:
    said = {"id": str(outcome.image_id), "status": outcome.error.status if outcome.error else 200}
    if outcome.error is not None:
        return said | {"error": problem(outcome.error, request_id)}
    return said | ({"made": str(outcome.made)} if outcome.made else {})


@post(
    "/zip",
    summary="Originals of chosen pictures as one ZIP",
    status_code=200,
    operation_class=json_operation({"ids": [_ID]}, required=["ids"]),
    responses=_ZIP,
    **permit("viewer", secret=True, problems=(429,)),
)
async def zip_chosen(request: Http, store: TheStore) -> Stream:
    """At most 1000 `ids`; named `01-mug.jpg` in their order. Made while it is sent, so without a length. What is lost or
    damaged is named in `not-here.txt`."""
    ids = read_ids((await read_object(request, {"ids"})).get("ids"))
    return zip_answer(request, ids, "pictures", store)


@get(
    "/entity/{type:str}/{id:str}/zip",
    summary="Originals of a gallery as one ZIP",
    responses=_ZIP,
    **permit("viewer", problems=(429,)),
)
async def zip_gallery(request: Http, store: TheStore, type: PathText, id: PathText) -> Stream:
    """As they are, in the order of the gallery."""
    ref = parse_ref(type, id)
    return zip_answer(request, await ids_of_gallery(ref), ref.id, store)


router = Router("/api/images", route_handlers=[batch, zip_chosen, zip_gallery], tags=["images"])
