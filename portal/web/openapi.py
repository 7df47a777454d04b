"""What /docs says that cannot be read off a handler: multipart bodies, credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

_TEXT = Schema(type=OpenAPIType.STRING)
_PICTURE_FIELDS: Mapping[str, Schema] = {
    "entity_type": Schema(type=OpenAPIType.STRING, example="inventory_items"),
    "entity_id": Schema(type=OpenAPIType.STRING, example="MUG-FJORD-BL"),
    "alt_text": Schema(type=OpenAPIType.STRING, example="Slate blue mug, seen from the front"),
    "caption": _TEXT,
    "is_primary": Schema(type=OpenAPIType.BOOLEAN),
    "tags": Schema(type=OpenAPIType.STRING, description="parted by commas", example="front, studio"),
    "allow_duplicate": Schema(type=OpenAPIType.BOOLEAN),
}
_BINARY = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)


def multipart_operation(files: Mapping[str, str]) -> type[Operation]:
    """An operation whose body is a form with `files` (`binary` or `binary[]`) and the fields of a picture."""
    kinds = {"binary": _BINARY, "binary[]": Schema(type=OpenAPIType.ARRAY, items=_BINARY)}
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={**{name: kinds[kind] for name, kind in files.items()}, **_PICTURE_FIELDS},
        required=[*files, "entity_type", "entity_id"],
    )
    body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True)

    @dataclass
    class Multipart(Operation):
        request_body: Any = field(default_factory=lambda: body)

        def __post_init__(self) -> None:
            self.request_body = body

    return Multipart
