"""Running the portal: the web server with its worker, or the worker alone. Both end in order on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any, Final

import click
import uvicorn

from portal.accounts.setup import setup_link
from portal.app import create_app
from portal.errors import Unavailable
from portal.parts import Parts
from portal.settings import Settings

DRAIN_SECONDS: Final = 25


class _Server(uvicorn.Server):
    """Prints where the portal is, and the one-time link, once it answers."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self.failure: BaseException | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        click.echo(f"The portal is at {self._settings.base_url}")
        link = await setup_link(self._settings)
        if link:
            click.echo(f"Set it up, within 30 minutes: {link}")
        sys.stdout.flush()


def run_server(settings: Settings, *, host: str | None, port: int | None, with_worker: bool) -> None:
    """Serve until a signal. Raises Unavailable when the portal cannot start."""
    settings = _at(settings, host, port)
    app = create_app(settings, with_worker=with_worker)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the portal trusts only PORTAL_TRUSTED_PROXIES
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=30,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    server = _Server(config, settings)
    server.run()
    if not server.started:
        raise Unavailable("The portal could not start; the lines above say why.")


def _at(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings with another address; the base URL follows unless it was set."""
    usual = f"://{settings.host}:{settings.port}"
    host, port = host or settings.host, settings.port if port is None else port
    base_url = settings.base_url.replace(usual, f"://{host}:{port}")
    return settings.replace(host=host, port=port, base_url=base_url)


async def run_worker(parts: Parts) -> None:
    """Take jobs until a signal; what is in hand is finished first."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    worker = parts.worker()
    worker.start()
    click.echo("The worker takes jobs.", err=True)
    await stop.wait()
    await worker.stop()
