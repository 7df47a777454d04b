"""A backup: the rows of one moment, and every object that they need. Nothing of people's accounts, sessions or tokens.

Objects stay in their places from before that moment until the last one is copied. First lie begun.json and README.txt, then
objects, then manifests, and last the root: what ends before it is an unfinished backup, whose objects the next one finds there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups import layout
from portal.backups.copying import Copied, Copying
from portal.backups.destination import Destination, Folder, destination_of, put_files
from portal.backups.explained import explained
from portal.backups.identity import LOOK_EVERY, begun_by, portal_id
from portal.backups.in_use import backups_in_use
from portal.backups.listing import lying
from portal.backups.root import Member, Reason, Root
from portal.backups.snapshot import WANTED, Snapshot, chosen, take_snapshot
from portal.backups.spool import Spool, spool_folder
from portal.errors import Unavailable
from portal.gallery.tasks import purge_objects
from portal.jobs import alone as turns
from portal.jobs.alone import Hold, alone, refuse_while_running
from portal.jobs.keeping import objects_in_place
from portal.jobs.progress import Later, Report, no_report
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.cache import Cache
from portal.storage.keys import TEMP
from portal.storage.store import Store

STATE: Final = "backup"  # of `portal_state`: the last one that is whole
_LEFT_OVER: Final = timedelta(hours=1)
_GOOD: Final = """
    INSERT INTO portal_state (name, value) VALUES ($1, $2::jsonb) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


async def create_backup(
    *,
    settings: Settings,
    store: Store,
    actor: Actor,
    entity_types: Sequence[str] = ENTITY_TYPES,
    reason: Reason = "asked",
    report: Report = no_report,
    for_restore: bool = False,
) -> Root:
    """`for_restore`: by a restore, which holds its turn and keeps objects in place itself.

    Raises Running while another one, a restore or a removal of backups is at it, Unavailable, DiskFull, Cancelled.
    """
    types = chosen(entity_types)
    destination = destination_of(settings)
    await store.check_marker()
    async with _turn(settings, store, for_restore) as holds:
        await destination.open_root()
        await _sweep(destination, f"backup-{await portal_id()}-")
        begun, began = datetime.now(UTC), time.monotonic()
        making = _Making(destination, layout.new_id(begun), types, reason, actor)
        await making.begin(begun)
        with spool_folder(settings.data_dir) as folder:
            snapshot = await take_snapshot(folder, types, report)
            await _let_others_see(destination, began)
            copied = await making.fill(snapshot, store, report, settings.free_space_bytes)
        for hold in holds:
            await hold.check()  # else what it needs may have been removed meanwhile
        root = making.root(snapshot, copied)
        await destination.put(f"{making.folder}/{layout.ROOT}", root.encoded())
        await _remember(root, actor)
    return root


@contextlib.asynccontextmanager
async def _turn(settings: Settings, store: Store, for_restore: bool) -> AsyncIterator[list[Hold]]:
    async with contextlib.AsyncExitStack() as stack:
        holds = [await stack.enter_async_context(alone(turns.BACKUP))]
        holds.append(await stack.enter_async_context(backups_in_use()))
        if not for_restore:
            await refuse_while_running(turns.RESTORE)
            await _purge_first(settings, store)
            holds.append(await stack.enter_async_context(objects_in_place()))
        yield holds


async def _let_others_see(destination: Destination, began: float) -> None:
    """That we have begun, before we count on any object that is there: who frees objects knows of us only at the next look."""
    ours = await portal_id()
    for each in (await lying(destination)).values():
        if each.begun and await begun_by(destination, each.begun.key) not in (None, ours):
            await asyncio.sleep(began + 2 * LOOK_EVERY - time.monotonic())
            return


async def _purge_first(settings: Settings, store: Store) -> None:
    """What was deleted goes now: else backups that follow each other closely would keep it for ever."""
    with contextlib.suppress(Later, Unavailable):  # the worker tries again; a backup does not depend on it
        await purge_objects({}, store=store, cache=Cache(settings.cache_dir))


async def _sweep(destination: Destination, drafts: str) -> None:
    """What a killed one left, by its name; of others (another portal, an archive that arrives) only what is old. And what it
    had named is on the disk before anything refers to it."""
    if isinstance(destination, Folder):
        destination.drafts = drafts
        await destination.settle()
    limit = datetime.now(UTC) - _LEFT_OVER
    async for entries in destination.listed(TEMP):
        left = [each for each in entries if each.key.startswith(f"{TEMP}/{drafts}") or each.modified_at < limit]
        if left:
            await destination.delete([each.key for each in left])


class _Making:
    """One backup on its way; `members`: its files so far."""

    def __init__(
        self, destination: Destination, backup_id: str, types: Sequence[str], reason: Reason, actor: Actor
    ) -> None:
        self.id, self.folder = backup_id, layout.folder_of(backup_id)
        self.members: dict[str, Member] = {}
        self._reason: Reason = reason
        self._destination, self._types, self._actor = destination, tuple(types), actor

    async def begin(self, now: datetime) -> None:
        self._portal = await portal_id()
        said = {
            "id": self.id,
            "begun_at": now.isoformat(),
            "entity_types": self._types,
            "reason": self._reason,
            "made_by": self._actor.name,
            "portal_version": version("image-portal"),
            "portal": self._portal,
        }
        await self._put(layout.BEGUN, json.dumps(said, indent=2).encode() + b"\n")
        await self._put(layout.README, explained(self.id, self._types).encode())

    async def fill(self, snapshot: Snapshot, store: Store, report: Report, floor: int) -> Copied:
        """Objects, then the manifests of rows and objects."""
        copying = Copying(
            self._destination,
            store,
            report,
            done=len(snapshot.manifests),
            total=len(snapshot.manifests) + snapshot.objects,
            floor=floor,
        )
        for entity_type in self._types:
            name = f"{entity_type}/{layout.OBJECT_LIST}"
            with Spool(snapshot.folder / name) as spool:
                await copying.copy(entity_type, snapshot.folder / entity_type / WANTED, spool)
            snapshot.manifests[name] = spool.member
        folder = snapshot.folder
        await put_files(self._destination, [(f"{self.folder}/{name}", folder / name) for name in snapshot.manifests])
        self.members |= snapshot.manifests
        return copying.copied

    async def _put(self, name: str, data: bytes) -> None:
        await self._destination.put(f"{self.folder}/{name}", data)
        self.members[name] = Member(hashlib.sha256(data).hexdigest(), len(data))

    def root(self, snapshot: Snapshot, copied: Copied) -> Root:
        return Root(
            id=self.id,
            begun_at=snapshot.begun_at,
            created_at=datetime.now(UTC),
            entity_types=self._types,
            entities=snapshot.lines(layout.ENTITIES),
            images=snapshot.lines(layout.IMAGES),
            versions=snapshot.lines(layout.VERSIONS),
            objects=snapshot.objects,
            bytes=copied.needed_bytes,
            copied_objects=copied.objects,
            copied_bytes=copied.bytes,
            lost=copied.lost,
            reason=self._reason,
            made_by=self._actor.name,
            portal_version=version("image-portal"),
            portal=self._portal,
            members=self.members,
        )


async def _remember(root: Root, actor: Actor) -> None:
    async with database.transaction():
        await record(actor, "backup.create", "backup", root.id, after=told_of(root))
        if root.is_of_all and not root.lost:
            good = {"good_at": root.created_at.isoformat(), "id": root.id}
            await database.execute(_GOOD, STATE, json.dumps(good))


def told_of(root: Root) -> dict[str, Any]:
    """What a job's result and the audit say of it."""
    names = ("reason", "entities", "images", "versions", "objects", "bytes", "copied_objects", "copied_bytes", "lost")
    return {"id": root.id, "entity_types": list(root.entity_types)} | {name: getattr(root, name) for name in names}
