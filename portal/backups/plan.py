"""What a restore would do, or did: counts by kind, and some of what is there and differs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from portal import database
from portal.backups.selection import Selection

__all__ = ["MOST_EXAMPLES", "Counts", "Difference", "Plan", "Selection", "read_plan"]

MOST_EXAMPLES: Final = 20  # of each kind
_WORDS: Final = {
    "sort_order": "place",
    "is_primary": "primary picture",
    "recipe": "crop, turns or focal point",
    "key_hash": "key",
    "expires_at": "expiry",
    "revoked_at": "withdrawn since",
}
_COUNTS: Final = """
    SELECT count(*) FILTER (WHERE action = 'create') AS create, count(*) FILTER (WHERE action = 'replace') AS replace,
           count(*) FILTER (WHERE action IN ('same', 'skip', 'conflict')) AS skip,
           count(*) FILTER (WHERE action = 'conflict' OR action IN ('skip', 'replace') AND differs IS NOT NULL) AS conflict
    FROM {0}
"""
# Of each kind: whose table it is, what it is called, why, beyond the columns that differ, it stays.
_KINDS: Final = (
    ("entities", "plan_entity", "type || '/' || id", "NULL"),
    (
        "images",
        "plan_image",
        "id::text || ' of ' || of_type || '/' || entity",
        "CASE WHEN action = 'conflict' THEN 'it is in ' || live_in || ' now, and stays there' END",
    ),
    (
        "versions",
        "plan_version",
        "image::text || ' version ' || version",
        "CASE WHEN action = 'conflict' THEN 'the picture has other bytes under this number, or has not come to it yet' END",
    ),
    (
        "pins",
        "plan_pin",
        "'invoices/' || invoice",
        "CASE WHEN action = 'conflict' THEN 'what it showed is neither there nor comes along' END",
    ),
    (
        "embed_keys",
        "plan_key",
        "id::text || ' of ' || scope",
        "CASE WHEN action <> 'conflict' THEN NULL WHEN differs = ARRAY['revoked_at'] THEN 'it was withdrawn since, and stays so'"
        " ELSE 'the same key is there under another id' END",
    ),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """`conflict`: of these, those that are there and differ; `skip`: all that stay as they are."""

    create: int = 0
    replace: int = 0
    skip: int = 0
    conflict: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is there and differs. `action`: replace, or skip where it stays. `detail`: in what it differs, or why."""

    kind: str
    name: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`objects` and `bytes` are copied into the store. `left_out`: pictures whose originals were lost already when the backup was
    made. `sizes`: changes of sizes that come along. `restore_point`: the backup of what was there before."""

    backup_id: str
    on_conflict: str
    dry_run: bool
    is_into_empty: bool
    entities: Counts = Counts()
    images: Counts = Counts()
    versions: Counts = Counts()
    pins: Counts = Counts()
    embed_keys: Counts = Counts()
    sizes: int = 0
    objects: int = 0
    bytes: int = 0
    left_out: int = 0
    examples: tuple[Difference, ...] = field(default=())
    restore_point: str | None = None

    def as_result(self) -> dict[str, Any]:
        return asdict(self)

    def without_its_run(self) -> Plan:
        """What a dry run and the run after it have in common."""
        return replace(self, dry_run=False, restore_point=None)

    def lines(self) -> list[str]:
        """For who reads it in a terminal."""
        told = [self._said(name.replace("_", " "), getattr(self, name)) for name, *_ in _KINDS]
        would = "would be" if self.dry_run else "were"
        told.append(f"{self.objects} objects, {self.bytes} bytes, {would} copied.")
        if self.sizes:
            told.append(f"{self.sizes} changes of sizes come along.")
        if self.left_out:
            told.append(f"{self.left_out} pictures are left out: their originals were lost when this backup was made.")
        told += [f"{each.kind} {each.name}: {each.detail} ({_DONE[each.action]})" for each in self.examples]
        if self.restore_point:
            told.append(f"What was there before is kept as backup {self.restore_point}.")
        return told

    def _said(self, name: str, counts: Counts) -> str:
        line = f"{name}: {counts.create} to create, {counts.replace} to replace, {counts.skip} stay as they are"
        return f"{line}; {counts.conflict} are there and differ" if counts.conflict else line


_DONE: Final = {"replace": "is replaced", "skip": "stays", "conflict": "stays"}


async def read_plan(plan: Plan) -> Plan:
    """What `decisions` has just decided in the open transaction."""
    counts: dict[str, Counts] = {}
    examples: list[Difference] = []
    for kind, table, name, why in _KINDS:
        row = await database.fetch_row(_COUNTS.format(table))
        counts[kind] = Counts(**dict(row or {}))
        examples += await _examples(kind, table, name, why)
    objects = await database.fetch_row(
        "SELECT count(*) AS objects, coalesce(sum(bytes), 0)::bigint AS bytes FROM wanted_object WHERE NOT is_there"
    )
    left_out = await database.fetch_value("SELECT count(*) FROM left_out")
    return replace(plan, **counts, **dict(objects or {}), left_out=left_out, examples=tuple(examples))


async def _examples(kind: str, table: str, name: str, why: str) -> list[Difference]:
    rows = await database.fetch(
        f"""SELECT {name} AS name, action, differs, {why} AS why FROM {table}
            WHERE action IN ('replace', 'conflict') OR action = 'skip' AND differs IS NOT NULL ORDER BY 1 LIMIT $1""",  # noqa: S608 - constants
        MOST_EXAMPLES,
    )
    singular = {
        "entities": "entity",
        "images": "image",
        "versions": "version",
        "pins": "pin",
        "embed_keys": "embed key",
    }[kind]
    return [Difference(singular, row["name"], row["action"], row["why"] or _named(row["differs"])) for row in rows]


def _named(differs: list[str]) -> str:
    return "other " + ", ".join(_WORDS.get(each, each.replace("_", " ")) for each in differs)
