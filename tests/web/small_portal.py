"""A few routes around the real accounts and security, on the real database."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from litestar import Litestar, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Response
from litestar.template import TemplateConfig

from portal.accounts import pages
from portal.accounts.guards import permit, refuse_unconfirmed
from portal.accounts.sessions import SessionMiddleware
from portal.settings import Settings
from portal.web.admission import AdmissionMiddleware
from portal.web.exceptions import respond
from portal.web.forms import read_form, read_upload
from portal.web.rendering import AnyRequest, Toast, redirect
from portal.web.security import SecurityMiddleware
from portal.web.templating import TEMPLATES, environment

PASSWORD = "nine otters juggle"
Browse = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@get("/", name="overview:show", **permit("public"))
async def overview(request: AnyRequest) -> str:
    user = request.scope.get("user")
    return user.name if user else "nobody"


@get("/search", name="overview:search", **permit("viewer"))
async def search() -> str:
    return "seen"


@get("/search/quick", name="overview:quick", **permit("viewer"))
async def quick_search() -> str:
    return "seen"


@get("/search/photo", name="overview:photo", **permit("viewer"))
async def find_by_photo() -> str:
    return "seen"


@get("/trash", name="gallery:trash", **permit("viewer"))
async def trash() -> str:
    return "seen"


def upkeep() -> list[Any]:
    """A route for each line of `upkeep` and `settings_pages` in base.html."""

    async def seen() -> str:
        return "seen"

    lines = re.findall(r'\("([a-z]+:[a-z_]+)", "[A-Z]', (TEMPLATES / "base.html").read_text("utf-8"))
    return [get(f"/upkeep/{name}", name=name, **permit("viewer"))(seen) for name in lines]


@get("/entities/{type:str}", name="entities:list", **permit("viewer"))
async def entities(type: FromPath[str]) -> str:
    return type


@get("/api/whoami", **permit("viewer"))
async def whoami(request: AnyRequest) -> dict[str, str]:
    user = request.scope["user"]
    assert user is not None
    return {"name": user.name, "role": user.role}


@post("/api/editors", status_code=200, **permit("editor"))
async def for_editors() -> dict[str, str]:
    return {}


@post("/api/dangerous", status_code=200, **permit("admin"))
async def dangerous(request: AnyRequest) -> dict[str, str]:
    refuse_unconfirmed(request)
    return {}


@post("/say", **permit("viewer"))
async def say(request: AnyRequest) -> Response[Any]:
    fields = await read_form(request)
    return redirect(request, "/account", toast=Toast(fields.get("words", "")))


@post("/api/upload", status_code=201, **permit("editor", upload=True))
async def upload(request: AnyRequest) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    async with read_upload(request, temp_dir=settings.temp_dir, max_bytes=100_000, max_files=3) as received:
        return {
            "fields": received.fields,
            "files": [
                {
                    "filename": file.filename,
                    "bytes": file.bytes,
                    "sha256": file.sha256,
                    "mode": oct(file.path.stat().st_mode & 0o777) if file.path.exists() else None,
                    "refused": file.refused.code if file.refused else None,
                }
                for file in received.files
            ],
        }


@get("/api/raise/{what:str}", **permit("public"))
async def fail(request: AnyRequest, what: FromPath[str]) -> None:
    raise request.app.state.failures[what]


def build(settings: Settings) -> Litestar:
    engine = JinjaTemplateEngine.from_environment(environment(lambda name, **values: app.route_reverse(name, **values)))
    engine.engine.globals["url_for"] = lambda name, **values: app.route_reverse(name, **values)
    app = Litestar(
        route_handlers=[
            overview,
            search,
            quick_search,
            find_by_photo,
            trash,
            entities,
            *upkeep(),
            whoami,
            for_editors,
            dangerous,
            say,
            upload,
            fail,
            pages.router,
        ],
        middleware=[AdmissionMiddleware],
        exception_handlers={Exception: respond},
        template_config=TemplateConfig(instance=engine),
        state=State({"settings": settings, "failures": {}}),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )
    app.asgi_handler = SecurityMiddleware(SessionMiddleware(app.asgi_handler), settings)
    return app


async def sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
    return await client.post("/login", data={"email": email, "password": password, **fields})


async def csrf_of(client: httpx.AsyncClient) -> str:
    """As a page carries it."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await client.get("/account")).text)
    assert found
    return found[1]
