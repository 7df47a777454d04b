"""Bodies that handlers read by hand, as /docs shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
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


def multipart_operation(files: Mapping[str, str], fields: Sequence[str] = tuple(_PICTURE_FIELDS)) -> type[Operation]:
    """An operation whose body is a form with `files` (`binary` or `binary[]`) and these of the fields of a picture."""
    kinds = {"binary": _BINARY, "binary[]": Schema(type=OpenAPIType.ARRAY, items=_BINARY)}
    properties: dict[str, Reference | Schema] = {
        **{name: kinds[kind] for name, kind in files.items()},
        **{name: _PICTURE_FIELDS[name] for name in fields},
    }
    required = [*files, *(name for name in ("entity_type", "entity_id") if name in fields)]
    schema = Schema(type=OpenAPIType.OBJECT, properties=properties, required=required)
    return _operation_with({"multipart/form-data": OpenAPIMediaType(schema=schema)})


def json_operation(example: Mapping[str, Any], *, required: Sequence[str]) -> type[Operation]:
    """An operation whose body is an object like this. Handlers read it by hand, so that each bad field gets its sentence."""
    properties: dict[str, Reference | Schema] = {name: _like(value) for name, value in example.items()}
    schema = Schema(type=OpenAPIType.OBJECT, properties=properties, required=list(required) or None)
    return _operation_with({"application/json": OpenAPIMediaType(schema=schema, example=dict(example))})


def binary_operation(media_type: str) -> type[Operation]:
    """An operation whose body is one file as it is."""
    return _operation_with({media_type: OpenAPIMediaType(schema=_BINARY)})


def _like(value: Any) -> Schema:
    """The type of an example's value. None stands for a text that may be cleared."""
    if isinstance(value, bool):
        return Schema(type=OpenAPIType.BOOLEAN)
    if isinstance(value, int | float):
        return Schema(type=OpenAPIType.INTEGER if isinstance(value, int) else OpenAPIType.NUMBER)
    if isinstance(value, list):
        return Schema(type=OpenAPIType.ARRAY, items=_like(value[0]))
    if isinstance(value, Mapping):
        return Schema(type=OpenAPIType.OBJECT, properties={name: _like(inner) for name, inner in value.items()})
    return Schema(type=OpenAPIType.STRING if value is not None else [OpenAPIType.STRING, OpenAPIType.NULL])


def _operation_with(content: dict[str, OpenAPIMediaType]) -> type[Operation]:
    body = RequestBody(content=content, required=True)

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return WithBody
