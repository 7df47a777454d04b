"""A real receiver of webhooks: slow, refusing, away and back, as the test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port


@dataclass
class Receiver:
    """`status` is what it answers; while `gate` is closed it does not answer at all. `taken`: what it said 2xx to."""

    port: int = field(default_factory=free_port)
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, Any]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/secret"

    def told(self) -> list[tuple[str, str]]:
        return [(each["check"], each["status"]) for each in self.taken]

    def start(self) -> None:
        """Again on the same port."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.asked.append(body)
                receiver.heads.append({name.lower(): value for name, value in self.headers.items()})
                receiver.paths.append(self.path)
                receiver.gate.wait(120)
                if receiver.status < 300 and receiver._server is server:  # who was stopped meanwhile has told nobody
                    receiver.taken.append(body)
                try:
                    self.send_response(receiver.status)
                    self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "5")
                    self.end_headers()
                    self.wfile.write(b"<!-- ")
                except OSError:  # who asked has gone
                    return

            def do_GET(self) -> None:
                receiver.paths.append(f"GET {self.path}")

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.gate.set()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        receiver.stop()
