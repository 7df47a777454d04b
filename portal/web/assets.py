"""Static files: their URLs, and from a URL back to the file.

A URL is `/static/<version>/<path>`; the version is a hash over every static file. It stands before the path, so that
what a file names relatively (a font in a stylesheet, an import in a module) carries it too, without a build step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STATIC_ROOT = Path(__file__).resolve().parents[2] / "static"
PREFIX = "/static"

MEDIA_TYPES = {  # of text, Litestar itself adds that it is UTF-8
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Asset:
    file: Path
    media_type: str
    immutable: bool  # asked for under its current version: may be cached for ever; else revalidate each time


def static_url(path: str) -> str:
    """`css/tokens.css` -> `/static/3f2a…/css/tokens.css`. Raises LookupError where no such file is."""
    if path not in _files():
        raise LookupError(f"no static file {path!r}")
    return f"{PREFIX}/{version()}/{path}"


def find_asset(path: str) -> Asset | None:
    """The file for what follows `/static/` in a URL, with or without a version before it.

    Looked up among the files that were there at the start, so no path can lead out of the folder.
    An older version still finds the file: a page that was open during an update keeps working.
    """
    name = path.strip("/")
    if name in _files():
        return _asset(name, immutable=False)
    given, _, name = name.partition("/")
    return _asset(name, immutable=given == version()) if name in _files() else None


@cache
def version() -> str:
    """The first 12 hex digits of a SHA-256 over all names and bytes, read once a process."""
    digest = hashlib.sha256()
    for name, file in _files().items():
        content = file.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _asset(name: str, *, immutable: bool) -> Asset:
    file = _files()[name]
    return Asset(file, MEDIA_TYPES[file.suffix], immutable)


@cache
def _files() -> dict[str, Path]:
    found = (file for file in STATIC_ROOT.rglob("*") if file.suffix in MEDIA_TYPES and file.is_file())
    return {file.relative_to(STATIC_ROOT).as_posix(): file for file in sorted(found)}
