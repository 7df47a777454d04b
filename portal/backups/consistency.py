"""Does what a backup says fit together: rows and the objects that they need, and the root's counts."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final

from portal.backups.destination import Destination
from portal.backups.faults import Faults
from portal.backups.layout import ENTITIES, IMAGES, OBJECT_LIST, PINNED, ROOT, VERSIONS, folder_of
from portal.backups.lines import Line, read_lines
from portal.backups.object_lists import list_key, listed_objects
from portal.backups.root import Root

_MOST_AT_ONCE: Final = 8_000_000  # objects in memory, of eight bytes each; of more, the rows are read several times
_REFERRING: Final = (IMAGES, VERSIONS)


def check_counts(root: Root, faults: Faults) -> None:
    """Those that are known by the lines of manifests."""
    for name, manifest in (
        ("entities", ENTITIES),
        ("images", IMAGES),
        ("versions", VERSIONS),
        ("objects", OBJECT_LIST),
    ):
        held = [root.members.get(f"{entity_type}/{manifest}") for entity_type in root.entity_types]
        lines = sum(each.lines or 0 for each in held if each is not None)
        if lines != getattr(root, name):
            faults.add(f"{folder_of(root.id)}/{ROOT}", f"says {getattr(root, name)} {name}, its manifests have {lines}")


async def check_references(destination: Destination, root: Root, entity_type: str, faults: Faults) -> None:
    """Every object that a row needs is listed. For manifests that are known to be whole; one fault for each."""
    await _check(destination, root, [entity_type], [f"{entity_type}/{manifest}" for manifest in _REFERRING], faults)


async def check_pins(destination: Destination, root: Root, faults: Faults) -> None:
    """As `check_references`: an invoice shows pictures of any type, whose objects are listed with theirs. For a backup of all."""
    await _check(destination, root, root.entity_types, [f"{each}/{PINNED}" for each in root.entity_types], faults)


async def _check(
    destination: Destination, root: Root, types: Sequence[str], manifests: Sequence[str], faults: Faults
) -> None:
    lists = [list_key(root.id, each) for each in types if f"{each}/{OBJECT_LIST}" in root.members]
    lines = sum(
        root.members[f"{each}/{OBJECT_LIST}"].lines or 0 for each in types if f"{each}/{OBJECT_LIST}" in root.members
    )
    passes = lines // _MOST_AT_ONCE + 1
    for turn in range(passes):
        numbers = [await _numbers(destination, each, turn, passes) for each in lists]
        for key in (f"{folder_of(root.id)}/{name}" for name in manifests if name in root.members):
            async for missing in _missing(destination, key, numbers, turn, passes):
                faults.add(key, f"a row needs the object {missing}, which {OBJECT_LIST} does not list")
                return


async def _numbers(destination: Destination, key: str, turn: int, passes: int) -> array[int]:
    """The first eight bytes of each SHA-256, in order."""
    found: array[int] = array("Q")
    async for some in listed_objects(destination, key):
        found.extend(int(each.sha256[:16], 16) for each in some if _turn(each.sha256, passes) == turn)
    return found


async def _missing(
    destination: Destination, key: str, numbers: Sequence[array[int]], turn: int, passes: int
) -> AsyncIterator[str]:
    def look(lines: Iterable[Line]) -> list[str]:
        wanted = (sha256 for line in lines for sha256 in needed_by(line) if _turn(sha256, passes) == turn)
        return [sha256 for sha256 in wanted if not any(_has(each, sha256) for each in numbers)]

    async for lines in read_lines(destination, key):
        for sha256 in await asyncio.to_thread(look, lines):
            yield sha256


def needed_by(line: Line) -> Iterator[str]:
    """By SHA-256: its own bytes, where it is a row that has some, and those of its set of renditions."""
    if isinstance(line.get("sha256"), str):
        yield line["sha256"]
    renditions: Any = line.get("renditions")
    items = renditions.get("items") if isinstance(renditions, dict) else None
    for item in items.values() if isinstance(items, dict) else ():
        if isinstance(item, dict) and "sha256" in item:
            yield str(item["sha256"])


def _turn(sha256: str, passes: int) -> int:
    return 0 if passes == 1 else sum(sha256[:4].encode()) % passes


def _has(numbers: array[int], sha256: str) -> bool:
    try:
        wanted = int(sha256[:16], 16)
    except ValueError:
        return False
    place = bisect_left(numbers, wanted)
    return place < len(numbers) and numbers[place] == wanted
