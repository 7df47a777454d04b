"""Objects that no backup needs any more: marked by the lists of all that remain, shard by shard, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from portal.backups.destination import Destination
from portal.backups.layout import OBJECT_LIST, object_of_key
from portal.backups.lines import Reading
from portal.backups.object_lists import Shards, list_key, listed_objects, shard_key, shards_of
from portal.backups.root import Damaged, Member, Root
from portal.errors import Gone
from portal.jobs.progress import Report
from portal.settings import ENTITY_TYPES
from portal.storage.store import ObjectEntry

Lists = dict[str, Counter[str]]  # by key: how many objects begin with each two letters


@dataclass(slots=True)
class Swept:
    objects: int = 0
    bytes: int = 0


async def read_lists(destination: Destination, remaining: Sequence[Root]) -> Lists:
    """Each list as its root says it is. Raises Damaged, with its name, where one is not: then nothing may be freed."""
    found: Lists = {}
    for root in remaining:
        for entity_type in root.entity_types:
            key = list_key(root.id, entity_type)
            member = root.members.get(f"{entity_type}/{OBJECT_LIST}")
            if member is None:
                raise Damaged(f"{key} is not named by its root.")
            found[key] = await _counted(destination, key, member)
    return found


async def _counted(destination: Destination, key: str, member: Member) -> Counter[str]:
    counts: Counter[str] = Counter()
    reading = Reading()
    try:
        async for listed in listed_objects(destination, key, reading):
            counts.update(each.sha256[:2] for each in listed)
    except Gone as error:
        raise Damaged(f"{key} is missing, or no file.") from error
    if difference := reading.difference(member):
        raise Damaged(f"{key} is damaged: {difference}.")
    return counts


async def sweep_objects(
    destination: Destination,
    remaining: Sequence[Root],
    lists: Lists,
    swept: Swept,
    *,
    dry_run: bool,
    may_remove: Callable[[], Awaitable[None]],
    report: Report,
) -> None:
    """`swept` counts as it goes. `may_remove` is asked before each removal, and raises where nothing may be removed any more."""
    steps = {entity_type: shards_of(_most(entity_type, remaining)) for entity_type in ENTITY_TYPES}
    done, total = 0, sum(map(len, steps.values()))
    for entity_type, shards in steps.items():
        keys = [list_key(root.id, entity_type) for root in remaining if entity_type in root.entity_types]
        needing = {key: Shards(destination, key) for key in keys}
        for shard in shards:
            needed = await _needed(needing, lists, shard)
            async for entries in destination.listed(shard_key(entity_type, shard)):
                free = [each for each in entries if _is_free(each, needed)]
                if free and not dry_run:
                    await may_remove()
                    await destination.delete([each.key for each in free])
                swept.objects += len(free)
                swept.bytes += sum(each.bytes for each in free)
            await report(done := done + 1, total)


def _most(entity_type: str, remaining: Sequence[Root]) -> int:
    """As many objects as these backups can need together."""
    return sum(
        root.members[f"{entity_type}/{OBJECT_LIST}"].lines or 0
        for root in remaining
        if entity_type in root.entity_types
    )


async def _needed(needing: dict[str, Shards], lists: Lists, shard: str) -> set[str]:
    found: set[str] = set()
    for key, shards in needing.items():
        listed = await shards.of(shard)
        if len(listed) != sum(count for begin, count in lists[key].items() if begin.startswith(shard)):
            raise Damaged(f"{key} is no longer what it was a moment ago.")
        found.update(each.sha256 for each in listed)
    return found


def _is_free(entry: ObjectEntry, needed: set[str]) -> bool:
    """What is named otherwise is not ours to remove."""
    named = object_of_key(entry.key)
    return named is not None and named[1] not in needed
