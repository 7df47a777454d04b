"""A real clamd with a signature of our own, on loopback and on a socket, where Debian's is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

VIRUS = b"PORTAL-TEST-VIRUS"  # harmless; only this clamd knows it
NAME = "Portal.Test.Picture"
MAX_STREAM = 1024 * 1024


@dataclass(frozen=True)
class Clamd:
    port: int
    socket: Path


@contextmanager
def running_clamd(folder: Path) -> Iterator[Clamd]:
    """Skips the test where there is no clamd. `folder` short, for the socket's sake."""
    program = shutil.which("clamd", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/usr/bin")
    if program is None:
        pytest.skip("clamd is not installed (apt-get install --no-install-recommends clamav-daemon)")
    found = Clamd(free_port(), folder / "clamd.socket")
    (folder / "signatures").mkdir()
    (folder / "signatures" / "own.ndb").write_text(f"{NAME}:0:*:{VIRUS.hex()}\n")
    (folder / "clamd.conf").write_text(
        f"Foreground yes\nTCPAddr 127.0.0.1\nTCPSocket {found.port}\nLocalSocket {found.socket}\n"
        f"DatabaseDirectory {folder / 'signatures'}\nTemporaryDirectory {folder}\nStreamMaxLength {MAX_STREAM}\n"
    )
    process = subprocess.Popen(
        [program, "--config-file", folder / "clamd.conf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _wait_for(found, process)
        yield found
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for(clamd: Clamd, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", clamd.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    raise RuntimeError(f"clamd did not start: {process.communicate()[0][-2000:]!r}")
