from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal.storage.cache import Cache
from portal.storage.keys import cache_key

SIZE = 1000


def webp(size: int = SIZE) -> bytes:
    """What the cache takes for a whole one."""
    return b"RIFF" + (size - 8).to_bytes(4, "little") + b"WEBP" + bytes(size - 12)


def key_of(image_id: UUID) -> str:
    return cache_key("companies", image_id, 1, 1, "card", "webp")


async def put_aged(cache: Cache, count: int) -> list[str]:
    """So many files, each a second younger than the one before; their keys."""
    keys: list[str] = []
    for _ in range(count):
        key = key_of(uuid4())
        await cache.put(key, webp())
        keys.append(key)
        for age, each in enumerate(reversed(keys)):
            if (cache.root / each).exists():
                os.utime(cache.root / each, (1e9 - age, 1e9 - age))
    return keys


def held(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


async def test_beyond_its_size_the_oldest_make_room_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=32 * SIZE)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "somebody.bin").write_bytes(bytes(64 * SIZE))
    keys = await put_aged(cache, 50)
    there = [(tmp_path / "cache" / key).exists() for key in keys]
    assert there == sorted(there)  # the youngest
    assert 28 <= sum(there) <= 32
    assert (tmp_path / "cache" / "somebody.bin").exists()


async def test_what_lies_there_from_before_counts(tmp_path: Path) -> None:
    await put_aged(Cache(tmp_path, max_bytes=100 * SIZE), 50)
    young = key_of(uuid4())
    cache = Cache(tmp_path, max_bytes=32 * SIZE)
    await cache.put(young, webp())
    assert held(tmp_path) <= 32 * SIZE
    assert await cache.find(young) is not None


async def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda draft, path: (calls.append("replace"), replace(draft, path)))
    await Cache(tmp_path).put(key_of(uuid4()), webp())
    assert calls == ["fsync", "replace"]
