from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid4

import pytest

from portal.storage.cache import Cache
from portal.storage.keys import CacheFormat, cache_key

SIZE = 1000
FORMATS: tuple[CacheFormat, ...] = get_args(CacheFormat)


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


@pytest.mark.parametrize("format", ["webp", "avif", "jpg"])
async def test_of_an_image_every_format_is_forgotten_though_one_can_not_be(tmp_path: Path, format: CacheFormat) -> None:
    """What refuses to be unlinked, also to root, is a folder of that name."""
    cache, image_id = Cache(tmp_path), uuid4()
    keys = [cache_key("companies", image_id, 1, 1, "card", each) for each in FORMATS]
    for key in keys:
        await cache.put(key, webp())
    stuck = tmp_path / cache_key("companies", image_id, 1, 1, "card", format)
    stuck.unlink()
    stuck.mkdir()
    with pytest.raises(OSError, match=str(image_id)):
        await cache.forget("companies", image_id)
    assert [key for key in keys if (tmp_path / key).exists()] == [stuck.relative_to(tmp_path).as_posix()]


async def test_no_file_that_is_not_whole_is_found(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    box = (16).to_bytes(4) + b"ftypavif" + bytes(4)
    whole = {"webp": webp(), "avif": box + (9).to_bytes(4) + b"mdat!", "jpg": b"\xff\xd8\xff\xe0 \xff\xd9"}
    for format in FORMATS:
        key, data = cache_key("companies", uuid4(), 1, 1, "card", format), whole[format]
        await cache.put(key, data)
        assert (await cache.find(key)) is not None
        for damaged in (b"", bytes(len(data)), data[:-1], data + b"x", data + bytes(8)):
            await cache.put(key, damaged)
            assert await cache.find(key) is None
            assert not (tmp_path / key).exists()


async def test_only_one_process_makes_at_a_time_and_a_killed_one_leaves_its_place(tmp_path: Path) -> None:
    ours, script = Cache(tmp_path), "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDONLY); "
    script += "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), stdout=PIPE)
    assert other.stdout is not None
    await other.stdout.readline()

    async def make() -> None:
        async with ours.turn():
            pass

    making = asyncio.create_task(make())
    done, _ = await asyncio.wait([making], timeout=0.3)
    assert not done
    other.kill()
    await other.wait()
    await making


async def test_a_process_that_makes_one_after_the_other_lets_others_in_between(tmp_path: Path) -> None:
    busy, other, turns = Cache(tmp_path), Cache(tmp_path), 0

    async def make() -> None:
        nonlocal turns
        while True:
            async with busy.turn():
                turns += 1
                await asyncio.sleep(0.003)

    making = asyncio.create_task(make())
    for _ in range(30):
        async with other.turn():
            pass
    making.cancel()
    assert turns <= 60


async def test_room_is_made_though_one_file_can_not_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path, max_bytes=32 * SIZE)
    keys = await put_aged(cache, 30)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == tmp_path / keys[0]:
            raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    await put_aged(cache, 20)
    assert held(tmp_path) <= 33 * SIZE
