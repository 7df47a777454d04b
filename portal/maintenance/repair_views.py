"""What the page says of findings: in words, with the evidence and the repair that would be made. Values, never rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from portal import database
from portal.backups.destination import destination_of
from portal.backups.objects import find_objects
from portal.entities.kinds import EntityRef
from portal.errors import Unavailable
from portal.gallery.views import ImageView, image_view
from portal.integrity.check import CHECK, STATE, Cost, full_check_cost
from portal.integrity.findings import FindingView, list_findings, open_by_kind
from portal.integrity.recheck import RECHECK
from portal.jobs.progress import JobView, job_view
from portal.maintenance.quarantine import held_in_all
from portal.maintenance.repair import REPAIR, VERBS
from portal.maintenance.repair_objects import find_owner
from portal.settings import Settings
from portal.storage.links import Links

EACH_KIND: Final = 3  # findings shown of each kind before one is chosen
A_PAGE: Final = 20
SMALL_FIRST: Final = ("icon", "small", "card", "medium", "large")
JOBS: Final = (REPAIR, CHECK, RECHECK)


class Words(NamedTuple):
    """Of a kind: its heading, a finding's badge with its tone, and its sentence; `{part}` is the name of a size."""

    title: str
    badge: str
    tone: str
    sentence: str


WORDS: Final[Mapping[str, Words]] = {
    "unmounted_root": Words(
        "Disk not mounted", "Nothing can be judged", "bad", "The folder for pictures is not mounted."
    ),
    "missing_object": Words("Missing original", "Not on disk", "bad", "Its original is not on disk any more."),
    "checksum_mismatch": Words(
        "Checksum mismatch", "Changed on disk", "bad", "Its original no longer has the bytes it was stored with."
    ),
    "missing_rendition": Words("Missing size", "Not on disk", "warn", "Its {part} size is gone."),
    "wrong_rendition": Words("Wrong size", "Changed on disk", "warn", "Its {part} size is not what was made."),
    "orphaned_object": Words("Orphaned object", "Nothing refers to it", "", "A file that no picture owns."),
    "stray_temp_file": Words(
        "Stray temporary file", "Nothing refers to it", "", "An upload that never ended left this."
    ),
    "missing_version": Words(
        "Missing version", "Not kept", "warn", "An invoice is pinned to a version that is not kept."
    ),
    "no_primary": Words("No primary picture", "Gallery", "warn", "The gallery shows no primary picture."),
    "order_not_dense": Words("Gap in the order", "Gallery", "", "Its pictures are not numbered one by one."),
    "no_job": Words("Forgotten picture", "Waits in vain", "warn", "It waits for its sizes, and no job makes them."),
    "job_past_lease": Words(
        "Job stands still", "Worker away", "warn", "A worker took it and is not heard of any more."
    ),
    "counter_mismatch": Words("Wrong counter", "Statistics", "", "A counter differs from counting."),
    "tally_mismatch": Words("Wrong tally", "Gallery", "", "What lists say of it differs from counting its pictures."),
    "audit_chain": Words("Break in the audit", "Look into it", "bad", "The chain of the audit has a break."),
}
# Of each repair: what the button says, and what it will do.
BUTTONS: Final[Mapping[str, tuple[str, str]]] = {
    "rerender": ("Make it again", "Its original is there, so it can be made again."),
    "relink": ("Bring it back", "The very bytes lie elsewhere in the store and are copied to their place."),
    "heal": ("Heal from backup", "A backup holds the very bytes."),
    "trash": ("Move to trash", "No copy of its bytes is known. It can go to the trash; why is said there."),
    "quarantine": ("Quarantine", "It can go to the quarantine, and come back from there."),
    "order": ("Close the gap", "Their order stays as people see it."),
    "primary": ("Choose the first", "The first picture that is ready becomes the primary one."),
    "queue": ("Queue it again", "A job is queued that makes them."),
    "recount": ("Count again", "Everything stored is counted anew, beside who works."),
}


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding as people read it. `shown`: a size of the picture that is sound. `button` is empty where nothing can be
    done; `owner`: who would adopt it."""

    id: str
    name: str
    badge: str
    tone: str
    shown: str
    sentence: str
    promise: str
    detail: str
    button: str
    image: ImageView | None
    key: str | None
    expected: Mapping[str, Any]
    found: Mapping[str, Any]
    modified_at: dt.datetime | None
    found_at: dt.datetime
    is_adoptable: bool
    owner: str


@dataclass(frozen=True, slots=True)
class Group:
    kind: str
    words: Words
    count: int
    lines: list[FindingLine]


@dataclass(frozen=True, slots=True)
class Checked:
    """The last full check: when it ended, what it read, and how much it found then."""

    ended_at: dt.datetime
    pictures: int
    bytes: int
    findings: int


@dataclass(frozen=True, slots=True)
class FindingsPanel:
    """`kind`: the chosen one. `running` and `last` are the newest job of a repair or a check, under way or ended."""

    total: int
    repairable: int
    kinds: list[tuple[str, Words, int]]
    groups: list[Group]
    kind: str | None
    next: str | None
    running: JobView | None
    last: JobView | None
    checked: Checked | None
    cost: Cost
    held_pieces: int
    held_bytes: int


async def findings_panel(
    *, settings: Settings, links: Links, kind: str | None = None, cursor: str | None = None
) -> FindingsPanel:
    """Raises FormError for an unknown kind or a foreign cursor."""
    counted = await open_by_kind()
    page = await list_findings(state="open", kind=kind, cursor=cursor, limit=A_PAGE) if kind else None
    shown = {kind: page.items} if kind and page else {each: await _first_of(each) for each in counted}
    pictures = await _pictures_of([one for found in shown.values() for one in found], links)
    groups = [
        Group(
            each,
            _words(each),
            counted.get(each, 0),
            [await _line(one, pictures.get(one.image_id or ""), settings) for one in found],
        )
        for each, found in shown.items()
    ]
    job = await _last_job()
    pieces, size = await held_in_all()
    return FindingsPanel(
        total=sum(counted.values()),
        repairable=sum(count for each, count in counted.items() if each in VERBS),
        kinds=[(each, _words(each), count) for each, count in counted.items()],
        groups=groups,
        kind=kind,
        next=page.next if page else None,
        running=job if job and not job.is_finished else None,
        last=job if job and job.is_finished else None,
        checked=await _last_check(),
        cost=await full_check_cost(),
        held_pieces=pieces,
        held_bytes=size,
    )


async def _first_of(kind: str) -> list[FindingView]:
    return (await list_findings(state="open", kind=kind, limit=EACH_KIND)).items


def _words(kind: str) -> Words:
    return WORDS.get(kind) or Words(kind.replace("_", " ").capitalize(), "Found", "", "")


@dataclass(frozen=True, slots=True)
class Picture:
    """`shown`: the first small size that no finding is about."""

    image: ImageView
    shown: str


async def _pictures_of(findings: Iterable[FindingView], links: Links) -> dict[str, Picture]:
    ids = [UUID(each.image_id) for each in findings if each.image_id]
    rows = await database.fetch(
        """SELECT image.*, entity.type AS entity_type, entity.id AS entity_id, array(
               SELECT evidence -> 'expected' ->> 'name' FROM finding WHERE state = 'open' AND finding.image = image.id
           ) AS broken FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = ANY($1::uuid[])""",
        ids,
    )
    return {
        str(row["id"]): Picture(
            image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links),
            next((name for name in SMALL_FIRST if name not in row["broken"]), "none"),
        )
        for row in rows
    }


async def _line(finding: FindingView, picture: Picture | None, settings: Settings) -> FindingLine:
    words = _words(finding.kind)
    expected, found = finding.evidence.get("expected") or {}, finding.evidence.get("found") or {}
    repair = await _proposed(finding, expected.get("sha256"), settings)
    button, promise = BUTTONS.get(repair, ("", "")) if finding.kind in VERBS else ("", "")
    part = expected.get("name") if finding.kind in ("missing_rendition", "wrong_rendition") else None
    is_adoptable = finding.kind == "orphaned_object" and repair == "quarantine"
    owner = await find_owner(finding.key) if is_adoptable else None
    return FindingLine(
        id=finding.id,
        name=picture.image.title if picture else (finding.key or "").rpartition("/")[2] or words.title,
        badge=f"{part} size".capitalize() if part else words.badge,
        tone=words.tone,
        shown=picture.shown if picture else "none",
        sentence=words.sentence.format(part=part or "") or finding.detail,
        promise=promise,
        detail=finding.detail,
        button=button,
        image=picture.image if picture else None,
        key=finding.key,
        expected=expected,
        found=found,
        modified_at=_moment(found.get("modified_at")),
        found_at=finding.found_at,
        is_adoptable=is_adoptable,
        owner="" if owner is None else str(owner),
    )


async def _proposed(finding: FindingView, sha256: Any, settings: Settings) -> str:
    """As a repair would decide, without reading the bytes."""
    if finding.kind not in ("missing_object", "checksum_mismatch") or finding.repair == "relink" or not sha256:
        return finding.repair
    elsewhere = await database.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = $1 AND id IS DISTINCT FROM $2)
               OR EXISTS (SELECT 1 FROM quarantined WHERE sha256 = $1 AND restored_at IS NULL AND removed_at IS NULL)""",
        sha256,
        None if finding.image_id is None else UUID(finding.image_id),
    )
    if elsewhere:
        return "relink"
    try:
        return "heal" if await find_objects(destination_of(settings), sha256) else "trash"
    except Unavailable:  # of their bucket: the repair itself will say so
        return finding.repair


def _moment(text: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


async def _last_job() -> JobView | None:
    row = await database.fetch_row(
        "SELECT * FROM job WHERE kind = ANY($1::text[]) AND created_at > now() - interval '1 day' ORDER BY id DESC LIMIT 1",
        list(JOBS),
    )
    return None if row is None else job_view(row)


async def _last_check() -> Checked | None:
    value = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", STATE)
    if value is None:
        return None
    said = json.loads(value)
    return Checked(dt.datetime.fromisoformat(said["ended_at"]), said["pictures"], said["bytes"], said["findings"])
