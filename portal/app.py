"""create_app(settings): the one place where the parts are joined."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from portal import database
from portal.accounts import pages as account_pages
from portal.accounts import token_pages, user_pages
from portal.accounts.pace import Pace
from portal.accounts.sessions import SessionMiddleware, authenticate
from portal.accounts.setup import make_admin_from_settings
from portal.audit.actors import Actor
from portal.audit.denials import Denials
from portal.backups import api as backup_api
from portal.backups import archive_api
from portal.embed import api as embed_api
from portal.embed import cards as embed_cards
from portal.embed import key_pages
from portal.embed import oembed as embed_oembed
from portal.embed import pages as embed_pages
from portal.embed import sheets as embed_sheets
from portal.embed.keys import Grants
from portal.embed.sheet_room import SheetRoom
from portal.entities.queries import counts_by_type
from portal.gallery import api as gallery_api
from portal.gallery import (
    arrange_pages,
    batch_api,
    batch_pages,
    coverage_pages,
    edit_pages,
    entity_api,
    entity_pages,
    flow_pages,
    image_pages,
    likeness_pages,
    pin_api,
    pin_pages,
    primary_api,
    text_pages,
    trash_pages,
    twin_routes,
    uses_pages,
    version_api,
    view_pages,
)
from portal.gallery import pages as gallery_pages
from portal.gallery.intake import Intake
from portal.idempotency import Presence
from portal.imaging.turnstile import Turnstile
from portal.jobs.standstill import Watch
from portal.maintenance import (
    advice_pages,
    audit_api,
    audit_pages,
    backup_moves,
    backup_pages,
    finding_api,
    health_api,
    health_pages,
    job_api,
    job_pages,
    metrics,
    performance_pages,
    preset_api,
    preset_pages,
    show_pages,
)
from portal.maintenance import api as maintenance_api
from portal.maintenance import pages as maintenance_pages
from portal.maintenance.advice_twins import TwinFinder
from portal.maintenance.figures import Figures
from portal.maintenance.health.verdict import Health
from portal.maintenance.live import Live
from portal.maintenance.today import Upkeep
from portal.media import api as media_api
from portal.media import fallback
from portal.media.answers import TakeTheLongWay
from portal.media.catalogue import Catalogue
from portal.media.edge import Edge
from portal.media.originals import Originals
from portal.media.pages import image_server, straight_to
from portal.media.remembered import Remembered
from portal.media.usage import Usage
from portal.media.wish import MOUNT
from portal.overview import api as overview_api
from portal.overview import pages as overview_pages
from portal.overview import photo_pages, search_pages
from portal.parts import Parts
from portal.settings import Settings
from portal.web import health, static_files
from portal.web.admission import AdmissionMiddleware
from portal.web.docs import openapi_config
from portal.web.exceptions import respond
from portal.web.once import OnceMiddleware
from portal.web.proxies import Proxies
from portal.web.security import SecurityMiddleware
from portal.web.squeeze import SqueezeMiddleware
from portal.web.standstill import StandstillMiddleware
from portal.web.standstill import router as standstill_router
from portal.web.templating import environment
from portal.web.timing import Requests, label


class Portal(Litestar):
    """Takes a request by `way_in`, which may spare it all that Litestar does."""

    way_in: ASGIApp

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.way_in(scope, receive, send)

    async def the_long_way(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, *, with_worker: bool = True) -> Litestar:
    """The portal as an ASGI application; its lifespan opens and closes everything that it needs."""
    parts = Parts.of(settings)
    catalogue, grants, usage = Catalogue(), Grants(), Usage()
    slot, pace = Turnstile(), Pace()  # for all that is made only because somebody looks
    watched = Health(settings, parts.store)
    requests = Requests(parts.timings)
    live = Live(lambda: job_pages.drawn(app))
    standstill = Watch()
    figures = Figures(usage, parts.cache, settings)
    state = State(
        {
            "settings": settings,
            "parts": parts,
            "presence": Presence(),
            "grants": grants,
            "sheets": SheetRoom(parts.pool, parts.store, slot, pace),
            "intake": Intake(),
            "usage": usage,
            "requests": requests,
            "denials": Denials(),
            "figures": figures,
            "upkeep": Upkeep(figures),
            "shell_counts": shell_counts,
            "twin_finder": TwinFinder(),
            "health": watched,
            "live": live,
            "standstill": standstill,
            "alarms": lambda: watched.alarms,
        }
    )

    proxies = Proxies(settings.trusted_proxies)
    taken = parts.timings[label("GET", MOUNT)]
    remembered = Remembered(catalogue, usage, taken=taken)
    images = image_server(
        catalogue=catalogue,
        remembered=remembered,
        store=parts.store,
        cache=parts.cache,
        pool=parts.pool,
        links=parts.links,
        authenticate=_authenticate,
        address_of=proxies.address_of,
        originals=Originals(parts.store, settings.sendfile, proxies.bring),
        slot=slot,
        pace=pace,
        usage=usage,
    )
    app = Portal(
        route_handlers=[images, *_routers()],
        dependencies=_dependencies(parts),
        exception_handlers={Exception: respond},
        middleware=[StandstillMiddleware, AdmissionMiddleware, OnceMiddleware()],
        lifespan=[
            partial(
                _opened,
                listeners=(catalogue, grants, Edge(settings), watched, live, standstill),
                with_worker=with_worker,
            )
        ],
        openapi_config=openapi_config(),
        template_config=TemplateConfig(instance=_templates(lambda: app, settings)),
        state=state,
        request_max_body_size=None,  # AdmissionMiddleware bounds every body, by its route
        logging_config=None,  # portal.logs does it
    )
    within = SqueezeMiddleware(SessionMiddleware(app.asgi_handler))
    app.asgi_handler = SecurityMiddleware(within, settings, requests)
    straight = straight_to(images, app.the_long_way, taken)
    app.way_in = remembered.before(_impatient(straight))
    return app


@contextlib.asynccontextmanager
async def _opened(
    app: Litestar, *, listeners: Sequence[Catalogue | Grants | Edge | Health | Live | Watch], with_worker: bool
) -> AsyncIterator[None]:
    """Everything that a running portal needs, opened in order and closed the other way round."""
    parts: Parts = app.state.parts
    async with parts.opened(), app.state.presence.held(), app.state.usage.flushed(), app.state.denials.written():
        await make_admin_from_settings(parts.settings)
        listening = [asyncio.create_task(each.run()) for each in listeners]
        worker = app.state.worker = parts.worker() if with_worker else None
        if worker is not None:
            worker.start()
        app.state.is_ready = True
        try:
            yield
        finally:
            app.state.is_ready = False
            if worker is not None:
                await worker.stop()
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


def _impatient(app: ASGIApp) -> ASGIApp:
    """Nobody in front of a page waits for a database that does not answer."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await app(scope, receive, send)
        with database.patience(database.REQUEST_SECONDS):
            return await app(scope, receive, send)

    return call


async def _authenticate(scope: Scope) -> Actor | None:
    """Sessions need what the security middleware has found out: the short way has not passed it."""
    if "request_id" not in scope:
        raise TakeTheLongWay
    return await authenticate(scope)


def _routers() -> list[Any]:
    return [
        health.router,
        standstill_router,
        static_files.router,
        account_pages.router,
        user_pages.router,
        token_pages.router,
        overview_pages.router,
        search_pages.router,
        photo_pages.router,
        overview_api.router,
        gallery_pages.router,
        arrange_pages.router,
        batch_pages.router,
        trash_pages.router,
        uses_pages.router,
        image_pages.router,
        likeness_pages.router,
        edit_pages.router,
        text_pages.router,
        gallery_api.router,
        batch_api.router,
        version_api.router,
        twin_routes.router,
        entity_pages.router,
        view_pages.router,
        flow_pages.router,
        coverage_pages.router,
        entity_api.router,
        primary_api.router,
        pin_pages.router,
        pin_api.router,
        media_api.router,
        fallback.router,
        embed_pages.router,
        embed_oembed.router,
        embed_sheets.router,
        embed_cards.router,
        embed_api.router,
        key_pages.router,
        backup_api.router,
        archive_api.router,
        maintenance_api.router,
        job_api.router,
        job_pages.router,
        finding_api.router,
        maintenance_pages.router,
        advice_pages.router,
        preset_api.router,
        preset_pages.router,
        health_api.router,
        health_pages.router,
        show_pages.router,
        backup_pages.router,
        backup_moves.router,
        performance_pages.router,
        audit_api.router,
        audit_pages.router,
        metrics.router,
    ]


def _dependencies(parts: Parts) -> dict[str, Provide]:
    def provide(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    def actor(request: Request[Any, Any, Any]) -> Any:
        return request.scope.get("user")

    return {
        "settings": provide(parts.settings),
        "store": provide(parts.store),
        "pool": provide(parts.pool),
        "links": provide(parts.links),
        "actor": Provide(actor, sync_to_thread=False),
    }


async def shell_counts() -> Mapping[str, int]:
    """The sidebar's numbers."""
    row = await database.fetch_row(
        """SELECT (SELECT coalesce(sum(pieces), 0)::bigint FROM stored_count WHERE part = 'original' AND is_trashed) AS trash,
                  (SELECT count(*) FROM (SELECT 1 FROM finding WHERE state = 'open' LIMIT 10000) AS open) AS findings,
                  (SELECT count(*) FROM (SELECT 1 FROM image WHERE (status = 'failed' OR error IS NOT NULL)
                                         AND trashed_at IS NULL LIMIT 10000) AS pictures)
                  + (SELECT count(*) FROM job WHERE state = 'failed'
                     AND NOT EXISTS (SELECT 1 FROM job r WHERE r.retry_of = job.id)) AS failed"""
    )
    return {**await counts_by_type(), **dict(row or {})}


def _templates(app: Callable[[], Litestar], settings: Settings) -> JinjaTemplateEngine:
    def url_for(name: str, **parameters: Any) -> str:
        return app().route_reverse(name, **parameters)

    made = environment(url_for, settings.timezone, settings.locale)
    engine = JinjaTemplateEngine.from_environment(made)
    made.globals["url_for"] = url_for  # the engine put its own there, which wants a request
    made.globals.pop("csrf_token", None)
    return engine
