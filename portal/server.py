"""Running the portal: the web server with its worker, or the worker alone. Both end in order on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final

import click
import uvicorn
import uvloop
from litestar import Litestar

from portal.accounts.setup import setup_link
from portal.app import create_app
from portal.errors import PortalError, Unavailable
from portal.jobs.worker import Worker
from portal.parts import Parts
from portal.settings import Settings
from portal.web.connection import Connection

DRAIN_SECONDS: Final = (
    20  # for requests, and at the same time for jobs; then connections and the embedded server are closed
)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """uvicorn raises a caught signal again when it is done; a portal that ended in order ends with exit code 0."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self.is_ending.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {name: signal.signal(name, self.handle_exit) for name in _SIGNALS}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def run_server(settings: Settings, *, host: str | None, port: int | None, with_worker: bool) -> None:
    """Serve until a signal. Raises PortalError, in one sentence, when the portal cannot start."""
    settings = _at(settings, host, port)
    try:
        uvloop.run(_serve(settings, with_worker=with_worker))
    except BaseExceptionGroup as group:
        reason = _reason(group)
        if reason is None:
            raise
        raise reason from group


def _reason(group: BaseExceptionGroup[BaseException]) -> PortalError | None:
    """The one thing that a person should read; the web framework wraps what its lifespan raises."""
    for error in group.exceptions:
        found = _reason(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, PortalError):
            return found
    return None


async def _serve(settings: Settings, *, with_worker: bool) -> None:
    app = create_app(settings, with_worker=with_worker)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Connection,
        lifespan="off",  # entered here, so that what goes wrong is said in our words
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the portal trusts only PORTAL_TRUSTED_PROXIES
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=30,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    server = _Server(config)
    async with app.lifespan():
        beside = [asyncio.create_task(_greet(server, settings)), asyncio.create_task(_end_long_work(server, app))]
        try:
            await server.serve()
        except SystemExit as error:
            raise Unavailable(f"Nothing can listen on {settings.host}:{settings.port}; is it in use?") from error
        finally:
            for task in beside:
                task.cancel()


async def _end_long_work(server: _Server, app: Litestar) -> None:
    """At the signal, not after the last request: a slow request must not leave its jobs too little time, or the other way.
    Streams would go on for ever: they end first."""
    await server.is_ending.wait()
    app.state.live.end()
    worker: Worker | None = app.state.worker
    if worker is not None:
        await worker.stop(grace=DRAIN_SECONDS)


async def _greet(server: uvicorn.Server, settings: Settings) -> None:
    """Say where the portal is, and the one-time link, once it answers."""
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    click.echo(f"The portal is at {settings.base_url}")
    link = await setup_link(settings)
    if link:
        click.echo(f"Set it up, within 30 minutes: {link}")
    sys.stdout.flush()


def _at(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings with another address; the base URL follows unless it was set."""
    usual = f"://{settings.host}:{settings.port}"
    host, port = host or settings.host, settings.port if port is None else port
    base_url = settings.base_url.replace(usual, f"://{host}:{port}")
    return settings.replace(host=host, port=port, base_url=base_url)


async def run_worker(parts: Parts) -> None:
    """Take jobs until a signal; what is in hand is finished first."""
    stop = asyncio.Event()
    for name in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    worker = parts.worker()
    worker.start()
    click.echo("The worker takes jobs.", err=True)
    await stop.wait()
    await worker.stop()
