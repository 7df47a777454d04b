"""Ports for servers that start later, or again on the same one."""

from __future__ import annotations

import os
import re
import secrets
import socket
from pathlib import Path
from typing import Final

FIRST: Final = 20_000  # browsers refuse some of those below
SHARES: Final = 8
_given: set[int] = set()


def free_port() -> int:
    """One that nobody else gets meanwhile: the system gives those above to whatever goes out, and each process that tests has
    a share of its own of those below."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % SHARES
    share = (max(_first_given_away(), 24_000) - FIRST) // SHARES
    while True:
        port = FIRST + worker * share + secrets.randbelow(share)
        if port in _given:  # to who will listen there later, or did: many are asked for at once
            continue
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) and _is_free(port):
                _given.add(port)
                return port


def _first_given_away() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
