"""Verification of a backup: every byte of it, or quickly; each member that is wrong is named, by its key.

The root proves itself, and every other file of the backup's folder; objects.jsonl names the objects, whose names are their
SHA-256. Quickly, an object is there and has its size; all else is read. Where objects.jsonl is not what it was, every object of
its type that lies there is compared with its name instead. An object that was lost when the backup was made is no member.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from portal.backups.consistency import check_counts, check_pins, check_references
from portal.backups.destination import Destination
from portal.backups.faults import Faults, Wrong
from portal.backups.in_use import backups_in_use
from portal.backups.layout import NAMES, OBJECT_LIST, OBJECTS, ROOT, folder_of, object_key, object_of_key
from portal.backups.lines import Reading, read_lines
from portal.backups.listing import get_backup, read_root
from portal.backups.looking import look_into
from portal.backups.marks import Mark, distrust, distrusted, keep_mark, marks, trust
from portal.backups.object_lists import Listed, Shards, list_key, shard_key, shards_of
from portal.backups.root import Damaged, Member, Root
from portal.errors import Conflict, Gone, Unavailable
from portal.jobs.progress import Report, no_report
from portal.storage.look import is_unreadable
from portal.storage.store import MARKER, MARKER_TEXT, ObjectEntry

BACKUP_VERIFY: Final = "backup_verify"
AT_ONCE: Final = 4
_BATCH: Final = 32  # objects
_FIRST: Final = 3  # names that the mark keeps
_TOLD: Final = 100  # of a job's result


@dataclass(frozen=True, slots=True)
class Verification:
    """`files`, `objects`, `bytes`: what was looked at. `lost`: objects that the store had lost before the backup was made.
    `wrong`: the first ones; so many `more`."""

    backup_id: str
    quick: bool
    files: int
    objects: int
    bytes: int
    lost: int
    wrong: tuple[Wrong, ...]
    more: int

    @property
    def is_sound(self) -> bool:
        return not self.wrong

    def as_result(self) -> dict[str, Any]:
        told = asdict(self) | {"wrong": [asdict(each) for each in self.wrong[:_TOLD]]}
        return told | {"faults": len(self.wrong) + self.more, "more": max(len(self.wrong) - _TOLD, 0) + self.more}


async def verify_backup(
    *, destination: Destination, backup_id: str, quick: bool = False, report: Report = no_report
) -> Verification:
    """Remembers what it found, for lists. Raises NotFound, Foreign, Conflict for one that is being made, Running while backups
    are being removed, Unavailable."""
    async with backups_in_use():
        if (await get_backup(destination, backup_id)).state == "running":
            raise Conflict("This backup is being made. Verify it when it is done.")
        found = _Look(destination, quick, Faults(), report, distrusted=await distrusted())
        try:
            await _verify(found, await read_root(destination, backup_id))
        except Damaged:
            _blame_root(found, backup_id, await destination.stat(f"{folder_of(backup_id)}/{ROOT}"))
    told = found.told(backup_id)
    await _remember(told)
    await distrust([each.name for each in told.wrong if object_of_key(each.name)])
    await trust(found.sound_again)
    return told


@dataclass(slots=True)
class _Look:
    destination: Destination
    quick: bool
    faults: Faults
    report: Report
    files: int = 0
    objects: int = 0
    bytes: int = 0
    lost: int = 0
    total: int = 0
    distrusted: frozenset[str] = frozenset()
    sound_again: list[str] = field(default_factory=list)

    async def tell(self) -> None:
        await self.report(self.files + self.objects, self.total)

    def told(self, backup_id: str) -> Verification:
        wrong = tuple(self.faults.first)
        counts = (self.files, self.objects, self.bytes, self.lost)
        return Verification(backup_id, self.quick, *counts, wrong, self.faults.more)


def _blame_root(found: _Look, backup_id: str, entry: ObjectEntry | None) -> None:
    detail = (
        "missing, or no file: without it the backup is unfinished"
        if entry is None
        else f"expected a root and its checksum, found {entry.bytes} bytes that do not match theirs"
    )
    found.faults.add(f"{folder_of(backup_id)}/{ROOT}", detail)


async def _verify(found: _Look, root: Root) -> None:
    found.total = root.objects + len(root.members) + 1
    found.files = 1
    await _check_marker(found)
    await _check_added(found, root)
    before = found.faults.count
    sound = {name for name, member in root.members.items() if await _check_member(found, root.id, name, member)}
    if found.faults.count == before:
        check_counts(root, found.faults)
    for entity_type in root.entity_types:
        if f"{entity_type}/{OBJECT_LIST}" in sound:
            await _check_type(found, root, entity_type, sound)
        elif not found.quick:
            await _check_by_names(found, entity_type)
    if root.is_of_all and sound == set(root.members):
        await _check_pins(found, root)
    await found.tell()


async def _check_pins(found: _Look, root: Root) -> None:
    with contextlib.suppress(Damaged):  # of a list, which is told with its type
        await check_pins(found.destination, root, found.faults)


async def _check_marker(found: _Look) -> None:
    """By which the disk is known to be mounted. A bucket has none; beside an archive that was unpacked it may be empty."""
    try:
        said = await found.destination.read(MARKER)
    except Gone:
        return
    if said and said != MARKER_TEXT:
        found.faults.add(MARKER, f"expected the {len(MARKER_TEXT)} bytes of a root's marker, found {len(said)} others")


async def _check_added(found: _Look, root: Root) -> None:
    """Files in the backup's folder that its root does not name."""
    folder = folder_of(root.id)
    known = {f"{folder}/{name}" for name in (ROOT, *root.members)}
    async for entries in found.destination.listed(folder):
        for entry in entries:
            if entry.key not in known:
                found.faults.add(entry.key, f"expected no such file, found {entry.bytes} bytes")


async def _check_member(found: _Look, backup_id: str, name: str, member: Member) -> bool:
    key = f"{folder_of(backup_id)}/{name}"
    found.files += 1
    difference = await _difference(found, key, member)
    if difference is not None:
        found.faults.add(key, difference)
    await found.tell()
    return difference is None


async def _difference(found: _Look, key: str, member: Member) -> str | None:
    entry = await found.destination.stat(key)
    if entry is None:
        return f"expected {member.bytes} bytes, found no file"
    if entry.bytes != member.bytes:
        return f"expected {member.bytes} bytes, found {entry.bytes}"
    reading = Reading(has_lines=member.lines is not None)
    try:
        async for _ in read_lines(found.destination, key, reading):
            pass
    except Gone:
        return f"expected {member.bytes} bytes, found no file"
    except Unavailable as error:
        if not is_unreadable(error.__cause__):
            raise
        return "the disk cannot read it"
    found.bytes += reading.bytes
    return reading.difference(member)


async def _check_type(found: _Look, root: Root, entity_type: str, sound: set[str]) -> None:
    """Its manifests, which are whole as files, and the objects that they name."""
    try:
        if all(f"{entity_type}/{name}" in sound for name in NAMES if f"{entity_type}/{name}" in root.members):
            await check_references(found.destination, root, entity_type, found.faults)
        await _check_names(found, entity_type)
        shards = Shards(found.destination, list_key(root.id, entity_type))
        for shard in shards_of(root.members[f"{entity_type}/{OBJECT_LIST}"].lines or 0):
            listed = await shards.of(shard)
            found.lost += sum(each.is_lost for each in listed)
            if listed:
                await _check_shard(found, entity_type, shard, [each for each in listed if not each.is_lost])
    except Damaged as error:
        found.faults.add(list_key(root.id, entity_type), error.message)


async def _check_names(found: _Look, entity_type: str) -> None:
    async for entries in found.destination.listed(f"{entity_type}/{OBJECTS}"):
        for entry in entries:
            if object_of_key(entry.key) is None:
                found.faults.add(entry.key, "expected objects named by their SHA-256, found another name")


async def _check_by_names(found: _Look, entity_type: str) -> None:
    async for entries in found.destination.listed(f"{entity_type}/{OBJECTS}"):
        named = ((object_of_key(entry.key), entry.bytes) for entry in entries)
        await _read_all(found, entity_type, [Listed(name[1], size, False) for name, size in named if name])


async def _check_shard(found: _Look, entity_type: str, shard: str, listed: Sequence[Listed]) -> None:
    if found.quick:
        await _check_sizes(found, entity_type, shard, listed)
    else:
        await _read_all(found, entity_type, listed)


async def _read_all(found: _Look, entity_type: str, listed: Sequence[Listed]) -> None:
    batches = (listed[place : place + _BATCH] for place in range(0, len(listed), _BATCH))
    await _some_at_once([_check_bytes(found, entity_type, batch) for batch in batches])


async def _check_sizes(found: _Look, entity_type: str, shard: str, listed: Sequence[Listed]) -> None:
    """By the names that lie there: one question for many."""
    wanted = {object_key(entity_type, each.sha256): each.bytes for each in listed}
    there: dict[str, int] = {}
    async for entries in found.destination.listed(shard_key(entity_type, shard)):
        there |= {entry.key: entry.bytes for entry in entries if entry.key in wanted}
    for key, size in wanted.items():
        if there.get(key) != size:
            found.faults.add(key, f"expected {size} bytes, found {there.get(key, 'no file')}")
    await _count(found, listed)


async def _check_bytes(found: _Look, entity_type: str, listed: Sequence[Listed]) -> None:
    keys = {object_key(entity_type, each.sha256): each for each in listed}
    for key, seen in (await look_into(found.destination, list(keys))).items():
        wanted = keys[key]
        if not seen.is_there:
            found.faults.add(key, f"expected {wanted.bytes} bytes, found no file")
        elif seen.sha256 is None:
            found.faults.add(key, "the disk cannot read it")
        elif (seen.bytes, seen.sha256) != (wanted.bytes, wanted.sha256):
            found.faults.add(key, f"expected {wanted.bytes} bytes, found {seen.bytes} with SHA-256 {seen.sha256}")
        elif key in found.distrusted:
            found.sound_again.append(key)
    await _count(found, listed)


async def _count(found: _Look, listed: Sequence[Listed]) -> None:
    found.objects += len(listed)
    found.bytes += 0 if found.quick else sum(each.bytes for each in listed)
    await found.tell()


async def _some_at_once(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """The first error ends the others."""
    waiting = list(reversed(works))

    async def work() -> None:
        while waiting:
            await waiting.pop()

    tasks = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(waiting)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in waiting:
            each.close()


async def _remember(told: Verification) -> None:
    """A quick look that finds nothing takes back nothing that a whole one has found."""
    wrong = len(told.wrong) + told.more
    last = (await marks()).get(told.backup_id)
    if told.quick and not wrong and last is not None and last.wrong and not last.quick:
        return
    first = tuple(each.name for each in told.wrong[:_FIRST])
    await keep_mark(told.backup_id, Mark(datetime.now(UTC), told.quick, wrong, first))
