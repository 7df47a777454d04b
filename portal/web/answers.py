"""JSON as the API takes and gives it: RFC 3339 times in UTC with Z, decimals as strings, dataclasses by their fields."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import msgspec
from litestar import Request, Response

from portal.errors import BadRequest, FormError

_ENCODER = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical")


def encode(value: Any) -> bytes:
    return _ENCODER.encode(value)


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(
        encode(value),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def job_url(job_id: str) -> str:
    return f"/api/jobs/{job_id}"


async def read_json(request: Request[Any, Any, Any]) -> Any:
    """The request's JSON. Raises BadRequest."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error


async def read_object(request: Request[Any, Any, Any], known: Collection[str]) -> dict[str, Any]:
    """The request's JSON object. Raises BadRequest, and FormError for fields beyond those `known`."""
    sent = await read_json(request)
    if not isinstance(sent, dict):
        raise BadRequest("Send a JSON object.")
    unknown = {name: "There is no such field." for name in sent if name not in known}
    if unknown:
        raise FormError(unknown)
    return sent
