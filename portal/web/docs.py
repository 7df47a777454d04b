"""/docs: the API's description as OpenAPI 3.1 and the page that shows it, served by the portal alone.

Litestar reads routes, fields and answers off the handlers; every route's errors, and the one route that is not
Litestar's (the bytes of pictures), are added here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from litestar import Litestar, Request
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from portal import errors
from portal.errors import PortalError
from portal.imaging.presets import PRESETS
from portal.settings import ENTITY_TYPES
from portal.web.assets import static_url
from portal.web.exceptions import problem

_PROBLEMS: Final[Mapping[int, PortalError]] = {
    error.status: error
    for error in (
        errors.BadRequest("The body is not JSON."),
        errors.Unauthenticated("Sign in first."),
        errors.Forbidden("This needs the role editor; yours is viewer."),
        errors.NoSuchEntity("There is no inventory_items/MUG-FJORD-BL."),
        errors.Duplicate(
            "Already in this gallery: the two files are the same, byte for byte.",
            image_id="01930000-0000-7000-8000-000000000001",
        ),
        errors.Gone("This link has expired. Ask for a fresh one where you found it."),
        errors.Stale("Somebody changed this picture in the meantime. Look at it again before you save."),
        errors.TooLarge("This file is larger than 15 MB."),
        errors.UnsupportedFormat("This is text, not a picture."),
        errors.FormError({"limit": "Use a whole number from 1 to 200."}),
        errors.RateLimited("You may remove 500 pictures an hour and have removed 500. Wait, or ask an admin."),
        errors.Unavailable("The database is away for a moment. Try again shortly."),
        errors.DiskFull("The disk is nearly full. Free some space, then add the picture again."),
    )
}
_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "description": "RFC 9457. `detail` is a sentence for people, `code` a word for scripts.",
    "required": ["status", "title", "detail", "code", "request_id"],
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": ["string", "null"]},
        "image_id": {"type": "string", "description": "with `duplicate`: the picture that is there"},
        "errors": {
            "type": "array",
            "description": "with `bad_field`",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_BINARY: Final = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
_SERVE: Final = {
    "operationId": "ServeImage",
    "tags": ["images"],
    "summary": "The bytes of a picture",
    "description": "Public types need no credentials; private ones a signed link, a session or a token. The original needs"
    " the role viewer. `ETag`, `Last-Modified`, ranges and HEAD as in RFC 9110.",
    "security": [{}, {"token": []}],
    "responses": {
        "200": {"description": "The picture", "content": _BINARY},
        "206": {"description": "A part of it", "content": _BINARY},
        "304": {"description": "Not changed since"},
        "416": {"description": "The range lies beyond the picture"},
    },
}


def openapi_config() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="A token of `portal token create`.")
    return OpenAPIConfig(
        title="Image Portal",
        version="1",
        description="Pictures for inventory and invoice systems. Errors are problem+json (RFC 9457).",
        path="/docs",
        render_plugins=[_page(), _Json()],
        components=Components(security_schemes={"token": bearer}),
        security=[{"token": []}],
    )


class _Json(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete(openapi_schema, request.app))


class _Swagger(SwaggerRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete(openapi_schema, request.app))


def _page() -> _Swagger:
    return _Swagger(
        js_url=static_url("vendor/swagger-ui-bundle.js"),
        css_url=static_url("vendor/swagger-ui.css"),
        standalone_preset_js_url=static_url("vendor/swagger-ui-standalone-preset.js"),
        favicon=f'<link rel="icon" href="{static_url("img/mark.svg")}">',
    )


def complete(described: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """Add to the description, once, what Litestar cannot know."""
    paths: dict[str, dict[str, Any]] = described["paths"]
    if "/api/images/serve/{id}" in paths:
        return described
    described["components"].setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    described["components"]["responses"] = {_name(status): _response(error) for status, error in _PROBLEMS.items()}
    for path, method, opt in _operations(app):
        operation = paths[path][method]
        answers = operation["responses"]
        answers.pop("400", None)  # Litestar's own, of another form
        for status in _statuses(path, method, opt):
            if own := answers.get(str(status)):  # with an answer of its own beside the problem
                own["content"] |= _response(_PROBLEMS[status])["content"]
            else:
                answers[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
        if opt["permission"] in ("public", "scoped"):
            operation["security"] = [{}] if opt["permission"] == "public" else [{}, {"token": []}]
    paths["/api/images/serve/{id}"] = {"get": _serve()}
    _loosen(described)
    return described


def _loosen(part: Any) -> None:
    """An invoice is an entity as well, so of the forms that Litestar offers as `oneOf` more than one may fit."""
    if isinstance(part, dict):
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")
        for inner in part.values():
            _loosen(inner)
    elif isinstance(part, list):
        for inner in part:
            _loosen(inner)


def _operations(app: Litestar) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(path, method, options) of every handler that is described."""
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if "permission" in handler.opt and handler.resolve_include_in_schema():
                for method in handler.http_methods:
                    yield route.path_format or "/", method.lower(), handler.opt


def _statuses(path: str, method: str, opt: Mapping[str, Any]) -> list[int]:
    """What can go wrong: by role, by address, by body, and what the route itself says in `problems`."""
    found: set[int] = set(opt.get("problems", ()))
    found |= {"public": set(), "scoped": {404}, "viewer": {401}}.get(opt["permission"], {401, 403})
    if "{" in path:
        found.add(404)
    if path.startswith("/api/"):
        found |= {422, 503}
    if method in ("post", "put"):
        found |= {400, 413, 415, 409} if opt.get("upload") else {400, 413}
    if opt.get("upload"):
        found.add(429)
    return sorted(found)


def _name(status: int) -> str:
    return f"Problem{status}"


def _response(error: PortalError) -> dict[str, Any]:
    example = problem(error, "5e9aa44eff484f6b")
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": error.title, "content": {"application/problem+json": content}}


def _serve() -> dict[str, Any]:
    def query(name: str, about: str, **schema: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": about, "schema": {"type": "string", **schema}}

    sizes = [*PRESETS, "original"]
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        query("size", "A rendition, or the original", enum=sizes, default="optimized"),
        query(
            "format",
            "`auto` goes by Accept; JPEG while a better one is made",
            enum=["auto", "jpeg", "webp", "avif"],
            default="auto",
        ),
        query(
            "v",
            "The version, as in a rendition's URL: what is current under it never changes. Of one that is not current any more"
            " editors get the old bytes, as long as they are kept, everybody else what is current; `size=original&v=1` is the"
            " first file",
            example="1.1",
        ),
        query("fallback", "Instead of 401, 404 and 410: 200 and the drawing of this type", enum=list(ENTITY_TYPES)),
        query("download", "1: save, do not show", enum=["0", "1"]),
        query("exp", "Until when a signed link holds, in seconds since 1970"),
        query("sig", "The signature of a signed link"),
    ]
    refused = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in (401, 404, 410, 422, 503)}
    return {**_SERVE, "parameters": parameters, "responses": _SERVE["responses"] | refused}  # type: ignore[operator] - a dict of dicts
