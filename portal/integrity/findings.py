"""What a check found: each breach a Finding, and in the table `finding` for as long as it is true, with what became of it.

Whether it is still true `integrity.recheck` tells; what is done about it is maintenance's.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.errors import FormError, NotFound
from portal.paging import EXACT_UP_TO, Page, encode_cursor, id_behind

Repair = Literal[
    "rerender", "relink", "heal", "adopt", "quarantine", "trash", "order", "primary", "queue", "recount", "none"
]
State = Literal["open", "repaired", "gone"]
STATES: Final[tuple[State, ...]] = ("open", "repaired", "gone")

# Of each kind: what it is called, and what is proposed where the evidence does not say better.
KINDS: Final[Mapping[str, tuple[str, Repair]]] = {
    "unmounted_root": ("the folder for pictures is not mounted", "none"),
    "missing_object": ("a picture without its original", "heal"),
    "checksum_mismatch": ("an original whose bytes have changed", "heal"),
    "missing_rendition": ("a picture without one of its sizes", "rerender"),
    "wrong_rendition": ("a size that is not what was rendered", "rerender"),
    "orphaned_object": ("bytes that no picture owns", "quarantine"),
    "stray_temp_file": ("a file that an interrupted upload left", "quarantine"),
    "missing_version": ("an invoice's version that is not kept", "none"),
    "no_primary": ("a gallery without primary picture", "primary"),
    "order_not_dense": ("a gallery with a gap in its order", "order"),
    "no_job": ("a picture that waits and that no job renders", "queue"),
    "job_past_lease": ("a job that stands still", "none"),
    "counter_mismatch": ("a counter that differs from counting", "recount"),
    "tally_mismatch": ("a gallery's tally that differs from counting", "recount"),
    "audit_chain": ("a break in the audit's chain", "none"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach. `kind` is a word for scripts; `detail` says why we know.

    `key` is the object's; of a breach among rows alone a name that is the breach's own, as `<type>/<id>` of an entity.
    `evidence`: {"expected": {"bytes", "sha256", …}, "found": {"bytes", "sha256", "modified_at", …}, …}.
    """

    kind: str
    key: str | None
    image_id: str | None
    detail: str
    entity_type: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    repair: Repair | None = None

    @property
    def proposed(self) -> Repair:
        return self.repair or KINDS[self.kind][1]


@dataclass(frozen=True, slots=True)
class FindingView:
    """The API's finding. `outcome` is what a repair did; `checked_at` when it was last found true."""

    id: str
    kind: str
    key: str | None
    image_id: str | None
    entity_type: str | None
    detail: str
    evidence: dict[str, Any]
    repair: Repair
    state: State
    outcome: dict[str, Any] | None
    found_at: dt.datetime
    checked_at: dt.datetime
    ended_at: dt.datetime | None

    @property
    def words(self) -> str:
        """What this kind is called."""
        return KINDS[self.kind][0] if self.kind in KINDS else self.kind.replace("_", " ")


_COLUMNS: Final = (
    "id, kind, key, image, entity_type, detail, evidence, repair, state, outcome, found_at, checked_at, ended_at"
)
_SAME: Final = "(kind, coalesce(key, ''), coalesce(image, '00000000-0000-0000-0000-000000000000'::uuid))"


async def record_finding(finding: Finding) -> bool:
    """Is it new? One that is open already keeps since when, and gets what is known of it now. Joins an open transaction."""
    return await database.fetch_value(
        f"""INSERT INTO finding (id, kind, key, image, entity_type, detail, evidence, repair, state, found_at, checked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, 'open', clock_timestamp(), clock_timestamp())
            ON CONFLICT {_SAME} WHERE state = 'open' DO UPDATE SET
                entity_type = excluded.entity_type, detail = excluded.detail, evidence = excluded.evidence,
                repair = excluded.repair, checked_at = excluded.checked_at
            RETURNING xmax = 0""",  # noqa: S608 - constant columns
        uuid7(),
        finding.kind,
        finding.key,
        None if finding.image_id is None else UUID(finding.image_id),
        finding.entity_type,
        finding.detail,
        json.dumps(finding.evidence),
        finding.proposed,
    )


async def renew_finding(finding_id: UUID | str, finding: Finding) -> bool:
    """It is still true, with this evidence. False, and nothing is changed, when it was ended meanwhile."""
    renewed = await database.execute(
        """UPDATE finding SET detail = $2, evidence = $3::jsonb, repair = $4, checked_at = clock_timestamp()
           WHERE id = $1 AND state = 'open'""",
        UUID(str(finding_id)),
        finding.detail,
        json.dumps(finding.evidence),
        finding.proposed,
    )
    return renewed > 0


async def end_finding(finding_id: UUID | str, state: State, outcome: Mapping[str, Any] | None = None) -> bool:
    """`repaired` with what was done, or `gone`. False when it was not open (any more). Joins an open transaction."""
    ended = await database.execute(
        """UPDATE finding SET state = $2, outcome = $3::jsonb, ended_at = clock_timestamp()
           WHERE id = $1 AND state = 'open'""",
        UUID(str(finding_id)),
        state,
        None if outcome is None else json.dumps(outcome),
    )
    return ended > 0


async def get_finding(finding_id: UUID) -> FindingView:
    """In whatever state. Raises NotFound."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM finding WHERE id = $1", finding_id)  # noqa: S608 - constant columns
    if row is None:
        raise NotFound("There is no finding with this id.")
    return _view(row)


async def open_findings(
    *, kind: str | None = None, after: FindingView | None = None, limit: int = 200
) -> list[FindingView]:
    """Oldest first, those behind `after`: for who goes through all of them."""
    rows = await database.fetch(
        f"""SELECT {_COLUMNS} FROM finding WHERE state = 'open' AND ($1::text IS NULL OR kind = $1)
              AND (found_at, id) > ($2, $3) ORDER BY found_at, id LIMIT $4""",  # noqa: S608 - constant columns
        kind,
        after.found_at if after else dt.datetime.fromtimestamp(0, dt.UTC),
        UUID(after.id) if after else UUID(int=0),
        limit,
    )
    return [_view(row) for row in rows]


async def list_findings(
    *, state: str | None = None, kind: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[FindingView]:
    """Newest first. Raises FormError for an unknown state or kind, or a foreign cursor."""
    _refuse_unknown(state, kind)
    last = id_behind(cursor)
    wanted = "($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM finding WHERE {wanted} AND id < $3 ORDER BY id DESC LIMIT $4",  # noqa: S608 - constants
        state,
        kind,
        last,
        limit + 1,
    )
    total = await database.fetch_value(
        f"SELECT count(*) FROM (SELECT 1 FROM finding WHERE {wanted} LIMIT $3) AS counted",  # noqa: S608 - constants
        state,
        kind,
        EXACT_UP_TO + 1,
    )
    found = [_view(row) for row in rows[:limit]]
    return Page(found, total, encode_cursor([found[-1].id]) if len(rows) > limit else None)


def _refuse_unknown(state: str | None, kind: str | None) -> None:
    if state is not None and state not in STATES:
        raise FormError({"state": f"Use one of {', '.join(STATES)}."})
    if kind is not None and kind not in KINDS:
        raise FormError({"kind": f"Use one of {', '.join(KINDS)}."})


async def open_by_kind() -> dict[str, int]:
    """How many are open, by kind, in the order of KINDS."""
    rows = await database.fetch("SELECT kind, count(*) AS findings FROM finding WHERE state = 'open' GROUP BY kind")
    counted = {row["kind"]: row["findings"] for row in rows}
    return {kind: counted[kind] for kind in [*KINDS, *sorted(counted.keys() - KINDS.keys())] if kind in counted}


async def propose_relinks() -> None:
    """What is lost here may lie there: an object that nobody owns has the very bytes."""
    await database.execute(
        """UPDATE finding AS lost SET repair = 'relink' FROM finding AS stray
           WHERE lost.state = 'open' AND lost.kind IN ('missing_object', 'checksum_mismatch')
             AND stray.state = 'open' AND stray.kind = 'orphaned_object'
             AND stray.evidence -> 'found' ->> 'sha256' = lost.evidence -> 'expected' ->> 'sha256'"""
    )


def _view(row: Mapping[str, Any]) -> FindingView:
    return FindingView(
        id=str(row["id"]),
        kind=row["kind"],
        key=row["key"],
        image_id=None if row["image"] is None else str(row["image"]),
        entity_type=row["entity_type"],
        detail=row["detail"],
        evidence=json.loads(row["evidence"]),
        repair=row["repair"] or "none",
        state=row["state"],
        outcome=None if row["outcome"] is None else json.loads(row["outcome"]),
        found_at=row["found_at"],
        checked_at=row["checked_at"],
        ended_at=row["ended_at"],
    )
