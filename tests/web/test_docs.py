"""/docs: a page that needs nobody else, and a description that holds for every route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.web.whole_app import whole_app


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
async def described(visitor: httpx.AsyncClient) -> dict[str, Any]:
    answer = await visitor.get("/docs/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def within(part: Any) -> Iterator[Any]:
    yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from within(inner)


async def test_the_page_comes_from_the_portal_alone(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/docs")
    assert answer.status_code == 200
    assert "SwaggerUIBundle" in answer.text
    for link in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert link.startswith("/static/"), link
        assert (await visitor.get(link)).status_code == 200, link
    assert not re.findall(r"https?://[^\s\"']+", re.sub(r"https://shop\.example\.com", "", answer.text))


async def test_every_route_of_the_api_is_described_and_nothing_else(described: dict[str, Any], app: Litestar) -> None:
    ours = {
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith(("/api/", "/health/"))
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    assert {name for name, _ in operations(described)} == ours | {"GET /api/images/serve/{id}"}


async def test_every_operation_names_its_errors(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        if "/health/" in name:
            continue
        statuses = set(operation["responses"])
        assert {"422", "503"} <= statuses, name
        assert any(status.startswith(("2", "302")) for status in statuses), name
        assert ("404" in statuses) or "{" not in name, name
        is_open = {} in operation.get("security", [])
        assert is_open or "401" in statuses, name
        assert "requestBody" not in operation or {"400", "413"} <= statuses, name


async def test_bodies_are_described_with_an_example(described: dict[str, Any]) -> None:
    without = {
        "POST /api/entities/{type}/{id}/pin",
        "POST /api/images/backups/{id}/drill",
        "POST /api/images/{id}/trash",
        "POST /api/images/{id}/restore",
        "POST /api/images/{id}/versions/{version}/restore",
        "POST /api/jobs/{id}/retry",
        "POST /api/jobs/{id}/cancel",
        "POST /api/presets/{name}/cancel",
    }
    for name, operation in operations(described):
        if not name.startswith(("POST", "PUT")) or name in without:
            assert "requestBody" not in operation, name
            continue
        for media_type, content in operation["requestBody"]["content"].items():
            assert content["schema"]["type"] in ("object", "string"), name
            has_example = "example" in content or "examples" in content
            assert has_example or media_type in ("multipart/form-data", "application/x-tar"), (name, media_type)


async def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    references = {part["$ref"] for part in within(described) if isinstance(part, dict) and "$ref" in part}
    assert references
    for reference in references:
        found: Any = described
        for word in reference.removeprefix("#/").split("/"):
            found = found[word]


async def test_every_operation_has_a_name_of_its_own(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for _, operation in operations(described))


async def test_an_error_is_shown_as_it_is_sent(described: dict[str, Any], visitor: httpx.AsyncClient) -> None:
    sent = (await visitor.get("/api/images")).json()
    shown = described["components"]["responses"]["Problem401"]["content"]["application/problem+json"]["example"]
    assert {**sent, "request_id": ""} == {**shown, "request_id": ""}
    assert set(sent) <= set(described["components"]["schemas"]["Problem"]["properties"])
