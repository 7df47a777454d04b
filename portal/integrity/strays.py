"""Objects against rows: bytes that nobody owns, and temporary files that somebody left.

An object without a row is a suspect until we know that nobody is at it: not adding an original (that holds a lock), not
rendering (that is a job), not removing it (that is a job too).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.gallery.disposal import PURGE
from portal.gallery.service import RENDER
from portal.integrity.findings import Finding
from portal.integrity.objects import is_temporary, older_than, orphaned_of, without_arrivals
from portal.integrity.pictures import evidence_of
from portal.storage.keys import parse_key
from portal.storage.look import Seen, look_at, walked
from portal.storage.store import ObjectEntry, Store

# No lock says that somebody is still at a temporary file: an upload of many files over a slow line takes its time.
LEAST_AGE: Final = timedelta(hours=1)
LONGEST_KEY: Final = 300


@dataclass(frozen=True, slots=True)
class Listed:
    """So many objects, and what is found among them, often nothing."""

    objects: int
    findings: list[Finding]


async def check_objects(store: Store, grace: timedelta, temp_grace: timedelta) -> AsyncIterator[Listed]:
    """A thousand at a time. Raises Unavailable when the store is not mounted."""
    async for chunk in walked(store):
        temporary = [entry for entry in chunk if is_temporary(entry)]
        findings = await strays_of(list(older_than(temporary, temp_grace)), store)
        others = [entry for entry in chunk if not is_temporary(entry)]
        yield Listed(len(chunk), findings + await orphans_of(list(older_than(others, grace)), store))


async def strays_of(entries: Sequence[ObjectEntry], store: Store) -> list[Finding]:
    """Those temporary files that are still there, as they were."""
    return [stray_of(seen) for seen in await _still_there(entries, store)]


def stray_of(seen: Seen) -> Finding:
    since = "" if seen.modified_at is None else f" since {seen.modified_at:%Y-%m-%d %H:%M}"
    return _of_object("stray_temp_file", seen, f"left over{since}", {})


async def orphans_of(entries: Sequence[ObjectEntry], store: Store) -> list[Finding]:
    """Those of `entries` that no row owns, while nobody is just adding, rendering or removing them."""
    suspects = await orphaned_of(entries)
    if not suspects:
        return []
    async with database.transaction():
        quiet = await without_arrivals(await _without_renders(suspects))
        proved = await _without_purges(await orphaned_of(quiet))  # asked again: some have their row by now
    return [await orphan_of(seen) for seen in await _still_there(proved, store)]


async def orphan_of(seen: Seen) -> Finding:
    """Whose bytes these once were their SHA-256 may tell."""
    same_as = await database.fetch_value(
        """SELECT id FROM image WHERE sha256 = $1 UNION ALL SELECT image FROM image_version WHERE sha256 = $1 LIMIT 1""",
        seen.sha256,
    )
    copy = "" if same_as is None else f", a copy of picture {same_as}"
    more = {} if same_as is None else {"same_as": str(same_as)}
    return _of_object("orphaned_object", seen, f"no row owns these bytes{copy}", more)


def _of_object(kind: str, seen: Seen, detail: str, more: dict[str, Any]) -> Finding:
    """A foreign name may be what no table or line can hold: then its bytes stand in the evidence, and nobody repairs it."""
    parsed, plain = parse_key(seen.key), plain_name(seen.key)
    evidence = {"expected": None, "found": evidence_of(seen), **more}
    repair = None
    if plain != seen.key:
        evidence["name"] = os.fsencode(seen.key).hex()
        detail, repair = f"{detail}; its name is not one of ours: remove it by hand", "none"
    return Finding(kind, plain, None, detail, None if parsed is None else parsed.entity_type, evidence, repair)


def plain_name(key: str) -> str:
    """A name that is a word of a line and of a table."""
    plain = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in key)
    if len(plain) <= LONGEST_KEY:
        return plain
    return f"{plain[: LONGEST_KEY - 70]}…{hashlib.sha256(os.fsencode(key)).hexdigest()}"


async def _without_renders(entries: Sequence[ObjectEntry]) -> list[ObjectEntry]:
    """A rendering that nobody wants any more is taken away by the job that made it."""
    parsed = {entry.key: parse_key(entry.key) for entry in entries}
    images = {str(each.image_id) for each in parsed.values() if each is not None and not each.is_original}
    if not images:
        return list(entries)
    rows = await database.fetch(
        """SELECT DISTINCT convert_from(payload, 'UTF8')::jsonb ->> 'image' AS image FROM pgqueuer
           WHERE entrypoint = $1 AND status IN ('queued', 'picked')
             AND convert_from(payload, 'UTF8')::jsonb ->> 'image' = ANY($2::text[])""",
        RENDER,
        list(images),
    )
    busy = {UUID(row["image"]) for row in rows}
    return [
        entry
        for entry in entries
        if (each := parsed[entry.key]) is None or each.is_original or each.image_id not in busy
    ]


async def _without_purges(entries: Sequence[ObjectEntry]) -> list[ObjectEntry]:
    """What a job is going to remove; a key that waits without a job is nobody's."""
    ours = [entry.key for entry in entries if parse_key(entry.key) is not None]
    rows = await database.fetch(
        """SELECT key FROM object_purge WHERE key = ANY($1::text[]) AND EXISTS (
             SELECT 1 FROM pgqueuer WHERE entrypoint = $2 AND status IN ('queued', 'picked'))""",
        ours,
        PURGE,
    )
    going = {row["key"] for row in rows}
    return [entry for entry in entries if entry.key not in going]


async def _still_there(entries: Iterable[ObjectEntry], store: Store) -> list[Seen]:
    """Who has written them before we asked, and has not taken them away since, does not own them."""
    left: list[Seen] = []
    for entry in entries:  # one at a time: others wait for this disk
        seen = (await look_at(store, [entry.key]))[entry.key]
        if seen.is_there and seen.modified_at in (None, entry.modified_at):
            left.append(seen)
    return left
