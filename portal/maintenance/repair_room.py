"""What every repair is given, and what it answers; shared by the repairs of originals, renditions, objects and rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups.destination import Destination, destination_of
from portal.gallery.views import decoded
from portal.imaging.pool import RenderPool
from portal.imaging.render import Rendered
from portal.integrity.findings import FindingView, end_finding
from portal.maintenance.quarantine import Held, hold, open_quarantine
from portal.settings import Settings
from portal.storage.keys import ParsedKey, original_key, parse_key
from portal.storage.look import Seen, look_at
from portal.storage.store import Store

End = Literal["planned", "repaired", "refused", "gone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a finding. `planned` is a dry run's word for what would be `repaired`; `gone`: no more true, left alone."""

    outcome: End
    repair: str
    detail: str


@dataclass(slots=True)
class Foresight:
    """What this run did so far or, dry, would have done: what comes later is planned upon it."""

    sound: set[str] = field(default_factory=set)  # keys of originals that have their bytes again
    lost: set[tuple[UUID, int]] = field(default_factory=set)  # images, with their version, whose original is nowhere
    counters: frozenset[str] | None = None  # those that were wrong when they were counted again
    rendered: tuple[tuple[UUID, str], dict[str, Rendered]] | None = None  # the last set that was made, and whose


@dataclass(frozen=True, slots=True)
class Room:
    """`backups` may be a folder that is not there: then nothing is healed from it."""

    settings: Settings
    store: Store
    pool: RenderPool
    quarantine: Store
    backups: Destination
    actor: Actor
    dry_run: bool
    foresight: Foresight = field(default_factory=Foresight)

    @classmethod
    async def opened(cls, settings: Settings, store: Store, pool: RenderPool, actor: Actor, *, dry_run: bool) -> Room:
        """Raises Unavailable when the store or the quarantine is not mounted. A dry run makes no folder."""
        await store.check_marker()
        folder = settings.quarantine_dir
        quarantine = Store(folder) if dry_run else await open_quarantine(folder)
        return cls(settings, store, pool, quarantine, destination_of(settings), actor, dry_run)

    @property
    def grace(self) -> timedelta:
        return timedelta(minutes=self.settings.grace_minutes)


class Original(NamedTuple):
    """What the row says that owns an original: an image's, or (not `is_current`) a kept version's."""

    key: str
    image_id: UUID
    version: int
    is_current: bool
    sha256: str
    bytes: int
    is_trashed: bool
    error: dict[str, Any] | None

    @property
    def is_given_up(self) -> bool:
        """In the trash, and it is said there that these bytes are nowhere."""
        return self.is_current and self.is_trashed and (self.error or {}).get("code") == GONE


GONE: Final = "gone"
_ORIGINAL: Final = """
    SELECT entity.type, version, extension, sha256, image.bytes, true AS is_current, trashed_at, error
    FROM image JOIN entity ON entity.pk = entity WHERE image.id = $1 AND version = $2
    UNION ALL
    SELECT entity.type, v.version, v.extension, v.sha256, v.bytes, false, trashed_at, NULL
    FROM image_version v JOIN image ON image.id = v.image JOIN entity ON entity.pk = entity
    WHERE v.image = $1 AND v.version = $2
"""


async def find_original(image_id: UUID, version: int) -> Original | None:
    """As its row says now; None when no row has this version (any more)."""
    row = await database.fetch_row(_ORIGINAL, image_id, version)
    if row is None:
        return None
    key = original_key(row["type"], image_id, version, row["extension"])
    said = (row["is_current"], row["sha256"], row["bytes"], row["trashed_at"] is not None, decoded(row["error"]))
    return Original(key, image_id, version, *said)


async def find_original_of(key: str | None) -> Original | None:
    """That lies under `key`; None for what is no original's, or nobody's any more."""
    parsed = parse_key(key or "")
    if parsed is None or not parsed.is_original:
        return None
    found = await find_original(parsed.image_id, parsed.version)
    return found if found is not None and found.key == key else None


async def seen_at(store: Store, key: str) -> Seen:
    return (await look_at(store, [key]))[key]


async def has_bytes(room: Room, key: str, sha256: str) -> bool:
    """Of an original: now, or once the run has come so far."""
    return key in room.foresight.sound or (await seen_at(room.store, key)).sha256 == sha256


def parsed_rendition(key: str | None) -> ParsedKey | None:
    parsed = parse_key(key or "")
    return None if parsed is None or parsed.is_original else parsed


def gone(repair: str, detail: str = "Nothing is wrong there any more.") -> Outcome:
    return Outcome("gone", repair, detail)


def refused(repair: str, detail: str) -> Outcome:
    return Outcome("refused", repair, detail)


async def hold_for(
    finding: FindingView,
    key: str,
    reason: str,
    room: Room,
    image: UUID | None = None,
    before: dict[str, Any] | None = None,
) -> Held:
    """In the quarantine, for what a finding says of it; in the open transaction. Raises Gone."""
    return await hold(
        key,
        reason,
        store=room.store,
        quarantine=room.quarantine,
        actor=room.actor,
        image=image,
        finding=UUID(finding.id),
        before=before,
    )


async def settle(
    finding: FindingView,
    repair: str,
    detail: str,
    room: Room,
    subject: tuple[str, str],
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Outcome:
    """In the repair's own transaction, as its last step: the finding ends, and the audit tells it."""
    outcome = {"repair": repair, "detail": detail, "by": room.actor.name}
    await end_finding(finding.id, "repaired", outcome)
    about = {"finding": finding.id, "kind": finding.kind, **(before or {})}
    await record(room.actor, f"repair.{repair}", *subject, before=about, after={"detail": detail, **(after or {})})
    return Outcome("repaired", repair, detail)
