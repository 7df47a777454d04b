"""A real portal for a measurement: its own process, data directory and port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Self

import psutil

CHECKOUT = Path(__file__).resolve().parent.parent


class PortalProcess:
    """`with PortalProcess(data_dir) as portal:`; `portal.start_seconds` is how long it took until ready."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.environment = {**os.environ, "PORTAL_DATA_DIR": str(data_dir), "PORTAL_PORT": str(self.port)}
        self.token = ""

    def __enter__(self) -> Self:
        begun = time.monotonic()
        log = (self.data_dir.parent / "server.log").open("ab")
        self.process = subprocess.Popen(self._command("serve"), env=self.environment, stdout=log, stderr=log)
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() - begun > 120:
                raise RuntimeError(f"the portal did not start; see {log.name}")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "portal", *words]

    def _is_ready(self) -> bool:
        try:
            return self.request("GET", "/health/ready")[0] == 200
        except OSError:
            return False

    def get_token(self) -> None:
        command = self._command("token", "create", "bench", "--role", "admin")
        self.token = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        return self.exchange(method, path, body, headers)[:2]

    def exchange(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        credentials = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, {**credentials, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        status, answer = self.request(method, path, data, {"Content-Type": "application/json"})
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {answer[:200]!r}")
        return json.loads(answer) if answer else None

    def upload(self, entity: str, data: bytes, *, wait: int) -> Any:
        boundary = uuid.uuid4().hex
        fields = {"entity_type": "inventory_items", "entity_id": entity, "allow_duplicate": "true"}
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
        body = "".join(parts).encode() + head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Prefer": f"wait={wait}"}
        status, answer = self.request("POST", "/api/images/upload", body, headers)
        if status != 201:
            raise RuntimeError(f"upload: {status} {answer[:200]!r}")
        return json.loads(answer)

    def processes(self) -> list[psutil.Process]:
        """The server and its decoding children (not PostgreSQL, which daemonised itself)."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self.processes())

    def memory_mb(self) -> int:
        """Pages that several of them share are counted for each."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return round(total / 2**20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
