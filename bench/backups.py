"""Backups of a portal with 10,000 pictures, each with seven renditions, their verification and a restore of all into an empty
portal, beside `cp -r` of its store and a SHA-256 of each file.

`make bench ARGS=--backups`, or alone with a size: `python -m bench.backups 2000`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.seeding import COLUMNS, EPOCH, PICTURES_EACH, add_entities, bare, new_uuid7
from portal import database, settings
from portal.audit.actors import SYSTEM
from portal.backups.create import create_backup
from portal.backups.destination import Destination, Folder
from portal.backups.listing import newest_of_all
from portal.backups.restore import restore_backup
from portal.backups.verify import verify_backup
from portal.jobs import queue
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import Store

IMAGES: Final = 10_000
ROUNDS: Final = 3
GOAL, SECOND_GOAL = 0.8, 0.05
# bytes on average: a shop's photograph for the web and what is made of it
ORIGINAL: Final = 200_000
RENDITIONS: Final = {
    "icon": 2_000,
    "small": 5_000,
    "medium": 10_000,
    "card": 15_000,
    "large": 25_000,
    "gallery": 35_000,
    "optimized": 90_000,
}
_NOISE: Final = os.urandom(1024 * 1024)


def measure(images: int = IMAGES) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o711)  # root's databases lie inside, and go with it
        data_dir = Path(name) / "data"
        found = _settings(data_dir)
        asyncio.run(_seed(found, images))
        rounds = [_round(found, Path(name)) for _ in range(ROUNDS)]
        size = sum(path.stat().st_size for path in found.storage_dir.rglob("*") if path.is_file())
    median = {name: round(statistics.median(each[name] for each in rounds), 3) for name in rounds[0]}
    return {"images": images, "gigabytes": round(size / 1e9, 2), **median}


def _settings(data_dir: Path) -> settings.Settings:
    return settings.load({"PORTAL_DATA_DIR": str(data_dir)}, None)


def _round(found: settings.Settings, folder: Path) -> dict[str, float]:
    """Each begins with nothing left to write."""
    shutil.rmtree(found.backup_dir, ignore_errors=True)
    os.sync()
    copied = _copy_and_hash(found.storage_dir, folder / "copy")
    os.sync()
    first = _done("create", found.data_dir, found.backup_dir)
    second = _done("create", found.data_dir, found.backup_dir)
    if second["copied_bytes"] or second["lost"] or not first["copied_bytes"]:
        raise RuntimeError(f"{first} {second}")
    whole = _done("verify", found.data_dir, found.backup_dir)
    quick = _done("quick", found.data_dir, found.backup_dir)
    restored = _done("restore", folder / "restored", found.backup_dir)
    shutil.rmtree(folder / "restored")
    done = {"first": first, "second": second, "verify": whole, "quick": quick, "restore": restored}
    print(f"cp -r + SHA-256 {copied:.1f} s, {done}", file=sys.stderr)
    return {
        "cp_s": copied,
        **{f"{name}_s": each["seconds"] for name, each in done.items()},
        **{f"{name}_to_cp": copied / each["seconds"] for name, each in done.items()},
        "second_to_first": second["seconds"] / first["seconds"],
        "memory_mb": max(first["memory_mb"], second["memory_mb"]),
        "verify_mb": max(whole["memory_mb"], quick["memory_mb"]),
        "restore_mb": restored["memory_mb"],
    }


def _copy_and_hash(store: Path, copy: Path) -> float:
    """Nothing of it is synced, as a backup is."""
    began = time.monotonic()
    subprocess.run(["cp", "-r", str(store), str(copy)], check=True)
    for path in store.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256").hexdigest()
    seconds = time.monotonic() - began
    shutil.rmtree(copy)
    return seconds


def _done(what: str, data_dir: Path, backups: Path) -> dict[str, Any]:
    """By a process of its own, for its memory."""
    command = [sys.executable, "-m", "bench.backups", f"--{what}", str(data_dir), str(backups)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


async def _do(what: str, found: settings.Settings, backups: Path) -> dict[str, Any]:
    """Of a portal that is there, or for a restore of a new one."""
    async with database.open_database(found):
        store = Store(found.storage_dir)
        await store.open_root(known=what != "restore")
        await queue.migrate()
        began = time.monotonic()
        told = await _WORKS[what](found, store, Folder(backups))
        seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory_mb": memory, **told}


async def _create(found: settings.Settings, store: Store, _: Destination) -> dict[str, Any]:
    root = await create_backup(settings=found, store=store, actor=SYSTEM)
    return {"copied_bytes": root.copied_bytes, "lost": root.lost}


async def _verify(_: settings.Settings, __: Store, destination: Destination, *, quick: bool) -> dict[str, Any]:
    newest = await newest_of_all(destination)
    told = await verify_backup(destination=destination, backup_id=newest.id, quick=quick)
    return {"sound": told.is_sound}


async def _restore(found: settings.Settings, store: Store, destination: Destination) -> dict[str, Any]:
    newest = await newest_of_all(destination)
    plan = await restore_backup(
        settings=found, store=store, destination=destination, backup_id=newest.id, dry_run=False, actor=SYSTEM
    )
    return {"objects": plan.objects}


_WORKS: Final[Mapping[str, Callable[[settings.Settings, Store, Destination], Awaitable[dict[str, Any]]]]] = {
    "create": _create,
    "verify": partial(_verify, quick=False),
    "quick": partial(_verify, quick=True),
    "restore": _restore,
}


async def _seed(found: settings.Settings, images: int) -> None:
    store = Store(found.storage_dir)
    await store.open_root()
    async with database.open_database(found):
        await queue.migrate()
        connection = await asyncpg.connect(**database.DB.config)
        try:
            first = await add_entities(connection, images // PICTURES_EACH)
            types = [row[0] for row in await connection.fetch("SELECT type FROM entity ORDER BY pk")]
            lines = "".join(_lines(store, types, first, images))
            async with bare(connection):
                await connection.copy_to_table("image", source=io.BytesIO(lines.encode()), columns=COLUMNS)
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()


def _lines(store: Store, types: list[str], first: int, images: int) -> Iterator[str]:
    """And the files that they need."""
    for at in range(images):
        entity, place = divmod(at, PICTURES_EACH)
        created = EPOCH + timedelta(seconds=at * 60)
        image_id = new_uuid7(created)
        original = _write(store, original_key(types[entity], image_id, 1, "jpg"), ORIGINAL)
        items = {
            preset: _write(store, rendition_key(types[entity], image_id, 1, 1, preset), size)
            | {"width": 100, "height": 75, "media_type": "image/jpeg"}
            for preset, size in RENDITIONS.items()
        }
        made_of = {"extension": "jpg", "edits": {}, "focal_point": None}
        moment = created.isoformat()
        values = (
            *(str(image_id), str(first + entity), f"IMG_{at:07}.jpg", "image/jpeg", "jpg", str(original["bytes"])),
            *("1600", "1200", original["sha256"], "ready", "A mug", "{oak}", "t" if place == 0 else "f"),
            *(str(place), str(place), json.dumps({"of": "1.1", "made_of": made_of, "items": items})),
            *(str(random.getrandbits(63)), r"\N", moment, moment, r"\N"),
        )
        yield "\t".join(values) + "\n"


def _write(store: Store, key: str, average: int) -> dict[str, Any]:
    start, size = random.randrange(len(_NOISE) // 2), int(average * random.uniform(0.5, 1.5))
    data = b"\xff\xd8\xff" + os.urandom(16) + _NOISE[start : start + size]  # as a JPEG begins, for who restores it
    path = store.path_of(key)
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """As they stand in the README."""
    size = f"{figures['images']:,} pictures, {figures['gigabytes']} GB"
    second = f"{figures['second_to_first']:.1%} of the first's time, no picture read"
    speed = "× the speed of `cp -r` + SHA-256"
    return [
        (
            f"First backup of {size}",
            f"{figures['first_s']:.1f} s",
            f"{figures['first_to_cp']:.2f} {speed}",
        ),
        ("The next one, nothing changed", f"{figures['second_s']:.2f} s", second),
        ("Every byte verified", f"{figures['verify_s']:.1f} s", f"{figures['verify_to_cp']:.2f} {speed}"),
        ("Verified quickly", f"{figures['quick_s']:.1f} s", f"{figures['quick_to_cp']:.1f} {speed}"),
        (
            "All of it restored into an empty portal",
            f"{figures['restore_s']:.1f} s",
            f"{figures['restore_to_cp']:.2f} {speed}, which is read twice",
        ),
        (
            "Memory of a backup, a verification, a restore, peak",
            f"{figures['memory_mb']:.0f}, {figures['verify_mb']:.0f}, {figures['restore_mb']:.0f} MB",
            "",
        ),
    ]


def table(figures: dict[str, Any]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows(figures))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("--"):
        print(json.dumps(asyncio.run(_do(sys.argv[1][2:], _settings(Path(sys.argv[2])), Path(sys.argv[3])))))
    else:
        print(table(measure(*map(int, sys.argv[1:]))))
