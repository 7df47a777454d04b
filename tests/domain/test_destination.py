"""A place for backups does the same whether it is a folder or a bucket."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import psutil
import pytest

from portal.backups.bucket import Bucket
from portal.backups.destination import Destination, Folder, Wanted
from portal.backups.layout import object_key
from portal.backups.wanted import CHANGED, MISSING
from portal.errors import Gone, Unavailable
from portal.storage.store import MARKER, Store

MB = 1024 * 1024


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """Not opened yet."""
    if request.param == "folder":
        return Folder(tmp_path / "backups")
    weed = request.getfixturevalue("weed")
    return Bucket(request.getfixturevalue("bucket_url"), tuple(weed.access.items()))


@pytest.fixture
async def destination(place: Destination) -> Destination:
    await place.open_root()
    return place


@pytest.fixture
async def source(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    await store.open_root()
    return store


async def keys_of(destination: Destination, prefix: str = "") -> set[str]:
    return {entry.key async for chunk in destination.listed(prefix) for entry in chunk}


def wanted_of(source: Store, data: bytes, key: str) -> Wanted:
    path = source.root / key
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return Wanted("categories", hashlib.sha256(data).hexdigest(), len(data), key)


async def test_what_was_put_is_read_whole_and_in_pieces_and_put_again_it_is_replaced(destination: Destination) -> None:
    data = os.urandom(3 * MB + 7)
    await destination.put("backups/one/rows.jsonl", b"old")
    await destination.put("backups/one/rows.jsonl", data)
    assert await destination.read("backups/one/rows.jsonl") == data
    pieces = [piece async for piece in destination.pieces("backups/one/rows.jsonl")]
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    found = await destination.stat("backups/one/rows.jsonl")
    assert found is not None
    assert (found.key, found.bytes) == ("backups/one/rows.jsonl", len(data))


@pytest.mark.parametrize("size", [0, 5, 20 * MB])
async def test_a_file_is_put_whole_and_stays_where_it_is(destination: Destination, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    await destination.put_file("backups/one/objects.jsonl", path)
    assert await destination.read("backups/one/objects.jsonl") == path.read_bytes()
    assert [piece async for piece in destination.pieces("backups/one/objects.jsonl")] or not size


async def test_what_is_not_there_is_gone(destination: Destination) -> None:
    assert await destination.stat("backups/none") is None
    with pytest.raises(Gone):
        await destination.read("backups/none")
    with pytest.raises(Gone):
        _ = [piece async for piece in destination.pieces("backups/none")]


async def test_a_folder_of_keys_is_listed_without_its_neighbours_and_the_marker(destination: Destination) -> None:
    for key in ("backups/a/x", "backups/a/deep/y", "backups/ab/z", "categories/objects/00/k"):
        await destination.put(key, b"1")
    assert await keys_of(destination, "backups/a") == {"backups/a/x", "backups/a/deep/y"}
    assert await keys_of(destination, "nothing") == set()
    everything = await keys_of(destination)
    assert {"backups/a/x", "backups/ab/z", "categories/objects/00/k"} <= everything
    assert MARKER not in everything


async def test_more_than_one_chunk_is_listed_and_deleted_and_what_is_missing_is_fine(
    destination: Destination, source: Store
) -> None:
    wanted = [wanted_of(source, str(number).encode(), f"originals/{number}") for number in range(1100)]
    assert await destination.take(source, wanted) == []
    keys = {object_key("categories", each.sha256) for each in wanted}
    assert await keys_of(destination, "categories") == keys
    assert await destination.delete([*keys, "categories/none"]) >= 1100
    assert await keys_of(destination, "categories") == set()
    assert await destination.delete([]) == 0


async def test_objects_that_are_lost_or_changed_get_no_name(destination: Destination, source: Store) -> None:
    good = wanted_of(source, b"good", "originals/good")
    rotten = wanted_of(source, b"rotten", "originals/rotten")._replace(sha256="0" * 64)
    missing = good._replace(sha256="1" * 64, key="originals/none")
    grown = good._replace(sha256="2" * 64, bytes=3)
    lost = await destination.take(source, [rotten, good, missing, grown])
    assert {each.wanted.sha256: each.reason for each in lost} == {
        rotten.sha256: CHANGED,
        missing.sha256: MISSING,
        grown.sha256: CHANGED,
    }
    assert await keys_of(destination, "categories") == {object_key("categories", good.sha256)}


async def test_many_objects_are_copied_in_little_memory(destination: Destination, source: Store) -> None:
    wanted = [wanted_of(source, os.urandom(4 * MB), f"originals/{number}") for number in range(30)]
    before = psutil.Process().memory_info().rss
    assert await destination.take(source, wanted) == []
    assert psutil.Process().memory_info().rss - before < 90 * MB


async def test_it_is_known_by_its_marker(place: Destination) -> None:
    assert not await place.is_away(), "where nothing was ever made, nothing is away"
    assert await keys_of(place) == set()
    with pytest.raises(Unavailable):
        await place.check()
    await place.open_root()
    await place.open_root()
    await place.check()
    await place.put("backups/one/x", b"1")
    await place.delete([MARKER])
    assert await place.is_away()
    with pytest.raises(Unavailable, match=MARKER):
        await place.check()
    with pytest.raises(Unavailable, match=MARKER):
        await place.open_root()
    with pytest.raises(Unavailable, match=MARKER):
        await keys_of(place)
    assert "secret" not in place.words
