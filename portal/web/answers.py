"""JSON as the API takes and gives it: RFC 3339 times in UTC with Z, decimals as strings, dataclasses by their fields."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from litestar import Request, Response

from portal.errors import BadRequest

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


async def read_json(request: Request[Any, Any, Any]) -> Any:
    """The request's JSON. Raises BadRequest."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error
