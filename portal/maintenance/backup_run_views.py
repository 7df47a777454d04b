"""What a job about backups would do, or did, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal.backups.kinds import BACKUP_PRUNE, BACKUP_VERIFY, RESTORE
from portal.entities.kinds import KINDS
from portal.jobs.lists import JobLine
from portal.jobs.progress import JobView
from portal.maintenance.job_words import kind_in_words, result_in_words
from portal.settings import ENTITY_TYPES

_ROWS: Final = (
    ("entities", "Galleries"),
    ("images", "Pictures"),
    ("versions", "Their earlier files"),
    ("pins", "Pinned invoices"),
    ("embed_keys", "Embed keys"),
)


@dataclass(frozen=True, slots=True)
class Verified:
    """`wrong`: the first files that are not what was written, each {name, detail}; `more` beyond them."""

    quick: bool
    files: int
    objects: int
    bytes: int
    wrong: Sequence[Mapping[str, str]]
    faults: int
    more: int


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    create: int
    replace: int
    skip: int
    conflict: int


@dataclass(frozen=True, slots=True)
class Example:
    """Something that is here and differs. `image_id` or `entity`: what it leads to."""

    words: str
    image_id: str | None
    entity: tuple[str, str] | None
    detail: str
    is_replaced: bool


@dataclass(frozen=True, slots=True)
class PlanView:
    """A restore's plan, or what it did. `of`: for the middle of a sentence."""

    of: str
    replaces: bool
    rows: Sequence[Row]
    examples: Sequence[Example]
    differ: int
    objects: int
    bytes: int
    left_out: int
    sizes: int
    restore_point: str | None

    @property
    def changes(self) -> int:
        return sum(row.create + row.replace for row in self.rows) + self.sizes


@dataclass(frozen=True, slots=True)
class RunView:
    """`result`: what came of it, of kinds that have no view of their own."""

    job: JobView
    title: str
    backup_id: str | None
    is_dry: bool
    verification: Verified | None
    plan: PlanView | None
    prune: Mapping[str, Any] | None
    result: str


def run_view(found: JobLine) -> RunView:
    job, arguments = found.job, found.arguments
    is_dry = arguments.get("dry_run") is True
    told = job.result if job.state == "succeeded" else None
    return RunView(
        job,
        _title(job.kind, is_dry=is_dry),
        arguments.get("backup_id"),
        is_dry,
        _verified(told) if told and job.kind == BACKUP_VERIFY else None,
        _plan(told, arguments) if told and job.kind == RESTORE else None,
        told if job.kind == BACKUP_PRUNE else None,
        result_in_words(job.kind, told) if told else "",
    )


def _title(kind: str, *, is_dry: bool) -> str:
    dry = {RESTORE: "What a restore would do", BACKUP_PRUNE: "Which backups can go"}
    return dry[kind] if is_dry and kind in dry else kind_in_words(kind)


def _verified(told: Mapping[str, Any]) -> Verified:
    names = ("quick", "files", "objects", "bytes", "wrong", "faults", "more")
    return Verified(**{name: told[name] for name in names})


def _plan(told: Mapping[str, Any], arguments: Mapping[str, Any]) -> PlanView:
    rows = [
        Row(label, **told[name]) for name, label in _ROWS if any(told[name].values()) or name in ("entities", "images")
    ]
    return PlanView(
        selection_in_words(arguments),
        told["on_conflict"] == "replace",
        rows,
        [_example(each) for each in told["examples"]],
        sum(row.conflict for row in rows),
        **{name: told[name] for name in ("objects", "bytes", "left_out", "sizes", "restore_point")},
    )


def _example(told: Mapping[str, str]) -> Example:
    kind, name = told["kind"], told["name"]
    detail, is_replaced = told["detail"], told["action"] == "replace"
    first, _, owner = name.partition(" ")
    if kind == "entity":
        type, _, id = name.partition("/")
        return Example(f"{_singular(type)} {id}", None, (type, id), detail, is_replaced)
    if kind in ("image", "version"):
        about = owner.removeprefix("of ") if kind == "image" else f"a picture, {owner}"
        return Example(f"Picture of {about}" if kind == "image" else f"Of {about}", first, None, detail, is_replaced)
    return Example(f"{kind.capitalize()} {owner or first}", None, None, detail, is_replaced)


def _singular(type: str) -> str:
    return KINDS[type].singular.capitalize() if type in KINDS else type


_NEWEST: Final = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year", "newest": "kind"}
_RULES: Final = {
    "last": "among the newest",
    "restore point": "the way back from a restore",
    "arrived": "brought in a few days ago",
    "damaged": "damaged, and would stay if it were not",
    "running": "being made",
    "foreign": "not ours to remove",
}


def rules_in_words(rules: Sequence[str]) -> str:
    """ "the newest of its day, week and kind; brought in a few days ago"."""
    newest = [_NEWEST[each] for each in rules if each in _NEWEST]
    said = [f"the newest of its {joined(newest)}"] if newest else []
    return "; ".join([*said, *(_RULES.get(each, each) for each in rules if each not in _NEWEST)])


def joined(words: Sequence[str]) -> str:
    """ "one, two and three"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def what_in_words(types: Sequence[str]) -> str:
    """ "Everything", "Inventory items, customers"."""
    if set(types) >= set(ENTITY_TYPES):
        return "Everything"
    labels = [KINDS[each].label for each in types if each in KINDS]
    return ", ".join([*labels[:1], *(label.lower() for label in labels[1:])])


def selection_in_words(arguments: Mapping[str, Any]) -> str:
    """For the middle of a sentence: "everything", "item MUG-1", "one picture"."""
    if entity := arguments.get("entity"):
        return f"{_singular(entity['type']).lower()} {entity['id']}"
    if arguments.get("image_id"):
        return "one picture"
    types = arguments.get("entity_types")
    return what_in_words(types).lower() if types else "everything in it"
