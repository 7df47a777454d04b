"""A real nginx with the configuration of docs/nginx.conf, where Debian's is installed."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

DOCUMENTED = Path(__file__).resolve().parent.parent / "docs" / "nginx.conf"


@contextmanager
def running_nginx(folder: Path, portal: int, storage: Path) -> Iterator[str]:
    """Its address; it passes on to `portal`, a port. Skips the test where there is no nginx."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install --no-install-recommends nginx)")
    port = free_port()
    (folder / "portal.conf").write_text(_documented(folder, port, portal, storage))
    (folder / "nginx.conf").write_text(_around(folder))
    with (folder / "output").open("w") as output:
        process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"], stdout=output, stderr=output)
    try:
        _wait_for(port, process, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _documented(folder: Path, port: int, portal: int, storage: Path) -> str:
    """As it stands there, but for ports and paths."""
    text = DOCUMENTED.read_text()
    for there, here in {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{portal};",
        "/srv/image-portal/data/uploads/images": str(storage),
        "/var/cache/nginx/portal": str(folder / "cache"),
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    return text


def _around(folder: Path) -> str:
    """The system's part. By root it is told to stay root: the portal's files are readable by its user alone."""
    places = "".join(
        f"{name}_temp_path {folder / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {getpass.getuser()};\n" if os.geteuid() == 0 else ""
    return (
        f"{user}daemon off;\nworker_processes 1;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}include {folder / 'portal.conf'};\n}}\n"
    )


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((folder / "output").read_text())
