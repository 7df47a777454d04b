"""What serving is held against: uvicorn without a framework, and Thumbor, installed for this one run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.portal_process import free_port

_BARE: Final = """
from pathlib import Path
bodies = {{"/" + path.name: path.read_bytes() for path in Path({folder!r}).glob("*.jpg")}}
lengths = {{name: str(len(body)).encode() for name, body in bodies.items()}}
unchanged = [(b"etag", b'"bare"'), (b"vary", b"Accept"), (b"cache-control", b"public, max-age=31536000, immutable")]
async def app(scope, receive, send):
    path = scope["path"]
    if path == "/unchanged":
        is_known = dict(scope["headers"]).get(b"if-none-match") == b'"bare"'
        await send({{"type": "http.response.start", "status": 304 if is_known else 404, "headers": unchanged}})
        await send({{"type": "http.response.body", "body": b""}})
        return
    headers = [(b"content-type", b"image/jpeg"), (b"content-length", lengths[path])]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": bodies[path]}})
"""
_THUMBOR: Final = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {folder!r}
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = {results!r}
RESULT_STORAGE_STORES_UNSAFE = True
QUALITY = 82
"""
_PATIENCE: Final = 30  # seconds until a server answers


@contextlib.contextmanager
def bare_uvicorn(folder: Path) -> Iterator[str]:
    """Answers this folder's JPEGs from memory, and `/unchanged` with 304 to who names its tag. Gives its address."""
    (folder / "bare.py").write_text(_BARE.format(folder=str(folder)))
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(folder), "--port", str(port), *options]
    with _running(command, f"http://127.0.0.1:{port}", "/unchanged") as address:
        yield address


def install_thumbor(folder: Path) -> Path | str:
    """Its program in a throw-away environment; else, in one line, why there is none."""
    try:
        _quietly([sys.executable, "-m", "venv", str(folder)])
        _quietly([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "thumbor"])
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        return f"Thumbor is left out: it could not be installed ({_last_line(error)})."
    return folder / "bin" / "thumbor"


def thumbor_version(program: Path) -> str:
    return _quietly([str(program), "--version"]).split()[1].removeprefix("v")


@contextlib.contextmanager
def thumbor(program: Path, folder: Path) -> Iterator[str]:
    """On the pictures of this folder, keeping its results on the disk. Gives its address."""
    settings = folder / "thumbor.conf"
    settings.write_text(_THUMBOR.format(folder=str(folder), results=str(folder / "results")))
    port = free_port()
    command = [str(program), "--ip", "127.0.0.1", "--port", str(port), "--conf", str(settings), "--log-level", "error"]
    with _running(command, f"http://127.0.0.1:{port}", "/healthcheck") as address:
        yield address


@contextlib.contextmanager
def _running(command: list[str], address: str, sign_of_life: str) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(address + sign_of_life):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"it did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code in (304, 404)
    except OSError:
        return False
    return True


def _quietly(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def _last_line(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return (said or str(error)).strip().splitlines()[-1][:200]
