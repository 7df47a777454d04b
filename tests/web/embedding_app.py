"""The routes of serving and embedding behind the true middlewares, and callers of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from portal.accounts.guards import actor_of
from portal.accounts.pace import Pace
from portal.accounts.sessions import SessionMiddleware, authenticate
from portal.accounts.tokens import create_token
from portal.audit.actors import SYSTEM, Actor
from portal.embed import api as embed_api
from portal.embed import cards, oembed, pages, sheets
from portal.embed.keys import Grants
from portal.embed.sheet_room import SheetRoom
from portal.histogram import Histogram
from portal.imaging.turnstile import Turnstile
from portal.media import api as media_api
from portal.media import fallback
from portal.media.catalogue import Catalogue
from portal.media.originals import Originals
from portal.media.pages import image_server, straight_to
from portal.media.remembered import Remembered
from portal.media.usage import Usage
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.web.admission import AdmissionMiddleware
from portal.web.exceptions import respond
from portal.web.proxies import Proxies
from portal.web.security import SecurityMiddleware
from portal.web.templating import environment
from tests.factories import Studio


@dataclass(frozen=True)
class SmallPortal:
    settings: Settings
    studio: Studio
    links: Links
    catalogue: Catalogue
    grants: Grants
    usage: Usage
    remembered: Remembered
    taken: Histogram
    app: Any

    def visitor(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)

    async def caller(self, role: str) -> httpx.AsyncClient:
        """Somebody with a token of this role."""
        return self.visitor(authorization=f"Bearer {await create_token(role, role, None, SYSTEM)}")


def small_portal(config: Settings, studio: Studio) -> SmallPortal:
    links = Links(config.secret_keys, config.private_types)
    catalogue, grants = Catalogue(), Grants()
    slot, pace = Turnstile(), Pace()
    usage = Usage()
    taken = Histogram()
    remembered = Remembered(catalogue, usage, taken=taken)
    serve = image_server(
        catalogue=catalogue,
        store=studio.store,
        cache=Cache(config.cache_dir, config.cache_max_bytes, config.free_space_bytes),
        pool=studio.pool,
        links=links,
        authenticate=authenticate,
        address_of=Proxies(config.trusted_proxies).address_of,
        slot=slot,
        pace=pace,
        usage=usage,
        remembered=remembered,
        originals=Originals(studio.store),
    )
    app = Litestar(
        route_handlers=[
            serve,
            media_api.router,
            fallback.router,
            embed_api.router,
            pages.router,
            oembed.router,
            sheets.router,
            cards.router,
        ],
        exception_handlers={Exception: respond},
        dependencies={
            "settings": Provide(lambda: config, sync_to_thread=False),
            "links": Provide(lambda: links, sync_to_thread=False),
            "actor": Provide(_actor, sync_to_thread=False),
        },
        state=State({"settings": config, "grants": grants, "sheets": SheetRoom(studio.pool, studio.store, slot, pace)}),
        template_config=TemplateConfig(instance=_templates(config)),
        middleware=[AdmissionMiddleware],
        openapi_config=None,
    )
    wrapped = SecurityMiddleware(
        remembered.before(straight_to(serve, SessionMiddleware(app.asgi_handler), taken)), config
    )

    async def with_app(scope: Any, receive: Any, send: Any) -> None:
        scope["app"] = scope["litestar_app"] = app
        await wrapped(scope, receive, send)

    return SmallPortal(config, studio, links, catalogue, grants, usage, remembered, taken, with_app)


def _templates(config: Settings) -> JinjaTemplateEngine:
    def nowhere(*_: Any, **__: Any) -> str:
        return "#"

    made = environment(nowhere, config.timezone, config.locale)
    engine = JinjaTemplateEngine.from_environment(made)
    made.globals["url_for"] = nowhere  # the engine put its own there, which knows only the routes of this app
    return engine


def _actor(request: Request[Any, Any, Any]) -> Actor | None:
    return actor_of(request)
