"""Thumbnail requests a second, beside uvicorn without a framework that answers the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.portal_process import PortalProcess, free_port

CONNECTIONS, SECONDS, ROUNDS = 32, 5, 3
BARE = """
body = open({path!r}, "rb").read()
headers = [(b"content-type", b"image/jpeg"), (b"content-length", str(len(body)).encode())]
async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


def measure(portal: PortalProcess) -> dict[str, Any]:
    """In turns, the median of the rounds. Raises RuntimeError without wrk (Debian: apt-get install wrk)."""
    if shutil.which("wrk") is None:
        raise RuntimeError("make bench needs wrk to load the server: apt-get install wrk")
    image = portal.call("GET", "/api/images/entity/inventory_items/BENCH?limit=1")["images"][0]
    path = image["renditions"]["large"]["url"]
    status, data = portal.request("GET", path)
    if status != 200:
        raise RuntimeError(f"{path}: {status}")
    with tempfile.TemporaryDirectory() as folder:
        port, bare = _start_bare(Path(folder), data)
        try:
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(_load(f"http://127.0.0.1:{portal.port}{path}"))
                theirs.append(_load(f"http://127.0.0.1:{port}/"))
        finally:
            bare.terminate()
            bare.wait()
    portal_rps, bare_rps = sorted(ours)[ROUNDS // 2], sorted(theirs)[ROUNDS // 2]
    return {
        "bytes": len(data),
        "portal_per_second": round(portal_rps),
        "bare_per_second": round(bare_rps),
        "to_bare_uvicorn": round(portal_rps / bare_rps, 2),
    }


def _start_bare(folder: Path, data: bytes) -> tuple[int, subprocess.Popen[bytes]]:
    (folder / "picture.jpg").write_bytes(data)
    (folder / "bare.py").write_text(BARE.format(path=str(folder / "picture.jpg")))
    port = free_port()
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(folder), "--port", str(port), *options]
    process = subprocess.Popen(command)
    time.sleep(2)
    return port, process


def _load(url: str) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])
