"""Requests a second for a thumbnail, for one that is known already (304) and for an original of 4 MB; how long a thumbnail takes
while the portal renders flat out; and the memory that all this takes. Beside it uvicorn without a framework, and Thumbor."""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from PIL import Image

from bench import opponents
from bench.loading import Target, check_wrk, in_turns
from bench.pacing import Paced
from bench.portal_process import PortalProcess
from bench.uploading import run_uploads

MB = 1_000_000
ORIGINAL_BYTES, ORIGINAL_CONNECTIONS = 4 * MB, 4
WHILE_UPLOADING, AT_ONCE = 32, 8
IDLE_SECONDS = 3


def measure(portal: PortalProcess, photos: Sequence[Path]) -> dict[str, Any]:
    """Needs the gallery that `uploading.measure` has filled. Raises RuntimeError without wrk (Debian: apt-get install wrk)."""
    check_wrk()
    image = portal.call("GET", "/api/images/entity/inventory_items/BENCH?limit=1")["images"][0]
    path = image["renditions"]["large"]["url"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _Memory(portal) as memory:
            figures = {"thumbnail": _thumbnail(portal, path, photos[0], folder), "original": _original(portal, folder)}
        busy = _while_rendering(portal, path, photos)
    return {**figures, "memory_mb": memory.peak_mb, "busy": busy}


def _thumbnail(portal: PortalProcess, path: str, photo: Path, folder: Path) -> dict[str, Any]:
    data, etag = _read(portal, path)
    (folder / "thumbnail.jpg").write_bytes(data)
    (folder / "photo.jpg").write_bytes(photo.read_bytes())
    ours = f"http://127.0.0.1:{portal.port}{path}"
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(opponents.bare_uvicorn(folder))
        targets = {
            "portal": Target(ours),
            "bare": Target(f"{bare}/thumbnail.jpg"),
            "portal_304": Target(ours, headers={"If-None-Match": etag}),
            "bare_304": Target(f"{bare}/unchanged", headers={"If-None-Match": '"bare"'}),
        }
        program = opponents.install_thumbor(folder / "thumbor")
        if isinstance(program, Path):
            theirs = stack.enter_context(opponents.thumbor(program, folder))
            targets["thumbor"] = Target(f"{theirs}/unsafe/fit-in/600x600/photo.jpg")
        per_second = in_turns(targets)
    return {
        "bytes": len(data),
        "per_second": {name: round(each) for name, each in per_second.items()},
        "to_bare": round(per_second["portal"] / per_second["bare"], 2),
        "to_bare_304": round(per_second["portal_304"] / per_second["bare_304"], 2),
        "to_thumbor": round(per_second["portal"] / per_second["thumbor"], 1) if "thumbor" in per_second else None,
        "thumbor": opponents.thumbor_version(program) if isinstance(program, Path) else program,
    }


def _original(portal: PortalProcess, folder: Path) -> dict[str, Any]:
    """Which only staff get, checked against its hash."""
    data = make_original()
    (folder / "original.jpg").write_bytes(data)
    image = portal.upload("BENCH", data, wait=60)
    url = f"http://127.0.0.1:{portal.port}/api/images/serve/{image['id']}?size=original"
    ours = Target(url, ORIGINAL_CONNECTIONS, {"Authorization": f"Bearer {portal.token}"})
    with opponents.bare_uvicorn(folder) as bare, _Memory(portal) as memory:
        per_second = in_turns({"portal": ours, "bare": Target(f"{bare}/original.jpg", ORIGINAL_CONNECTIONS)})
    return {
        "bytes": len(data),
        "mb_per_second": {name: round(each * len(data) / MB) for name, each in per_second.items()},
        "to_bare": round(per_second["portal"] / per_second["bare"], 2),
        "memory_mb": memory.peak_mb,
    }


def make_original() -> bytes:
    """A JPEG of noise with about so many bytes as a good camera's."""
    return _noise(round(1000 * (ORIGINAL_BYTES / len(_noise(1000))) ** 0.5))


def _noise(side: int) -> bytes:
    out = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((side, side), 60) for _ in range(3)]).save(out, "JPEG", quality=90)
    return out.getvalue()


def _while_rendering(portal: PortalProcess, path: str, photos: Sequence[Path]) -> dict[str, Any]:
    """Milliseconds of a thumbnail at a steady pace, with nothing else to do and while renderings keep all cores busy."""
    url = f"http://127.0.0.1:{portal.port}{path}"
    with Paced(url) as idle:
        time.sleep(IDLE_SECONDS)
    with Paced(url) as busy:
        run_uploads(portal, [photo.read_bytes() for photo in photos], AT_ONCE, WHILE_UPLOADING)
    return {"idle_ms": idle.milliseconds, "rendering_ms": busy.milliseconds}


def _read(portal: PortalProcess, path: str) -> tuple[bytes, str]:
    """The bytes and the ETag."""
    status, data, headers = portal.exchange("GET", path)
    if status != 200:
        raise RuntimeError(f"{path}: {status}")
    return data, headers["etag"]


class _Memory:
    """The server's and its children's, ten times a second."""

    def __init__(self, portal: PortalProcess) -> None:
        self._portal, self._over = portal, threading.Event()
        self.peak_mb = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak_mb = max(self.peak_mb, self._portal.memory_mb())
