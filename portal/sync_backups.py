"""Backups for scripts: `p.backups` of `portal.sync`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from portal.audit.actors import Actor
from portal.backups import listing, retention
from portal.backups.contents import Contents, find_in_backup
from portal.backups.create import create_backup
from portal.backups.destination import destination_of
from portal.backups.listing import BackupView
from portal.backups.plan import Plan
from portal.backups.restore import restore_backup
from portal.backups.retention import PruneReport
from portal.backups.root import Root
from portal.backups.selection import Selection
from portal.backups.verify import Verification, verify_backup
from portal.entities.kinds import EntityRef
from portal.parts import Parts
from portal.settings import ENTITY_TYPES


class Backups:
    """Every method blocks until it is done, and raises Running beside what must not run at the same time."""

    def __init__(self, parts: Parts, call: Any, actor: Actor) -> None:
        self._parts, self._call, self._actor = parts, call, actor

    def create(self, *, entity_types: Sequence[str] = ENTITY_TYPES) -> Root:
        """Raises DiskFull, Unavailable."""
        about = {"settings": self._parts.settings, "store": self._parts.store, "actor": self._actor}
        return self._call(create_backup(**about, entity_types=entity_types))

    def list(self) -> list[BackupView]:
        """Newest first; unfinished and damaged ones too."""
        return self._call(listing.list_backups(destination_of(self._parts.settings)))

    def verify(self, backup_id: str, *, quick: bool = False) -> Verification:
        """Raises NotFound, Foreign, Unavailable; what is wrong is in the answer."""
        place = destination_of(self._parts.settings)
        return self._call(verify_backup(destination=place, backup_id=backup_id, quick=quick))

    def find(self, backup_id: str, q: str) -> Contents:
        """The first galleries and pictures in it whose names hold these words. Raises NotFound, Damaged, Foreign, FormError."""
        return self._call(find_in_backup(destination_of(self._parts.settings), backup_id, q))

    def restore(
        self,
        backup_id: str,
        *,
        entity_types: Sequence[str] | None = None,
        entity: EntityRef | None = None,
        image_id: UUID | None = None,
        on_conflict: str = "skip",
        dry_run: bool = False,
    ) -> Plan:
        """All of it, some types, one entity or one picture. Raises NotFound, Damaged, Foreign, DiskFull: nothing is touched."""
        parts, types = self._parts, None if entity_types is None else tuple(entity_types)
        about = {"settings": parts.settings, "store": parts.store, "destination": destination_of(parts.settings)}
        how = {"on_conflict": on_conflict, "dry_run": dry_run, "actor": self._actor}
        selection = Selection(types, entity, image_id)
        return self._call(restore_backup(**about, **how, backup_id=backup_id, selection=selection))

    def prune(self, *, dry_run: bool = True) -> PruneReport:
        """By PORTAL_BACKUP_KEEP. Raises Unavailable."""
        settings = self._parts.settings
        about = {"keep": settings.backup_keep, "zone": settings.timezone, "actor": self._actor, "dry_run": dry_run}
        return self._call(retention.prune_backups(destination=destination_of(settings), **about))
