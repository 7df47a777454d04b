"""Lines of the audit as people read them: names instead of ids, words instead of codes, before beside after."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit import words
from portal.audit.denials import ACTION as DENIED
from portal.audit.queries import AuditLine
from portal.maintenance.job_words import kind_in_words

LONGEST: Final = 300
_IMAGES: Final = """
    SELECT image.id::text AS id, image.filename, entity.id AS entity FROM image JOIN entity ON entity.pk = image.entity
    WHERE image.id = ANY($1::uuid[])
"""
# An image that is gone is known by the lines about it.
_GONE_IMAGES: Final = """
    SELECT audit.subject_id AS id, coalesce(change.before, change.after) AS said
    FROM audit JOIN audit_change AS change ON change.audit = audit.pk
    WHERE audit.subject_type = 'image' AND audit.subject_id = ANY($1::text[]) AND audit.action IN ('image.add', 'image.delete')
    ORDER BY audit.pk
"""
_ENTITIES: Final = """
    SELECT type, id, entity.name FROM unnest($1::text[], $2::text[]) AS asked (type, id) JOIN entity USING (type, id)
"""
_USERS: Final = "SELECT id::text AS id, email FROM account WHERE id = ANY($1::uuid[])"
_TOKENS: Final = "SELECT id::text AS id, name FROM api_token WHERE id = ANY($1::uuid[])"
_KEYS: Final = """
    SELECT id::text AS id, concat_ws('/', scope_type, scope_id) AS scope, revoked_at IS NULL AS is_out FROM embed_key
    WHERE id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """`route`: where it is to be seen, with its parameters; None where it is gone or has no page."""

    label: str
    route: str | None = None
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Cut for the page; the CSV has the whole. None: it was not there."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class LineView:
    """`words` around the subject: what stands before it, and after it. `key` names the subject for the filter."""

    id: int
    at: datetime
    who: str
    actor: str
    words: tuple[str, str]
    subject: Subject
    has_subject: bool
    key: str
    action: str
    is_denial: bool
    detail: str
    changes: tuple[Change, ...]
    request_id: str | None


async def views_of(lines: Sequence[AuditLine]) -> list[LineView]:
    subjects = await subjects_of((line.subject_type, line.subject_id) for line in lines)
    names = await _names_of({line.actor for line in lines})
    return [_view(line, subjects, names) for line in lines]


def _view(line: AuditLine, subjects: Mapping[tuple[str, str], Subject], names: Mapping[str, str]) -> LineView:
    is_denial = line.action == DENIED
    phrase = words.said(line.action, "\0")
    before, has_subject, after = phrase.partition("\0")
    return LineView(
        id=line.id,
        at=line.at,
        who=names.get(line.actor) or words.who(line.actor),
        actor=line.actor,
        words=(before, after),
        subject=subjects[line.subject_type, line.subject_id],
        has_subject=bool(has_subject),
        key=f"{line.subject_type}/{line.subject_id}" if line.subject_type != "entity" else line.subject_id,
        action=line.action,
        is_denial=is_denial,
        detail=_refusal(line.after or {}) if is_denial else "",
        changes=() if is_denial else tuple(changes_of(line.before, line.after)),
        request_id=line.request_id,
    )


def _refusal(after: Mapping[str, Any]) -> str:
    count = after.get("count")
    times = f", {count} times within a minute" if count and count > 1 else ""
    return (
        f"{after.get('method', '')} · {after.get('status', '')} {str(after.get('code', '')).replace('_', ' ')}{times}"
    )


def changes_of(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterable[Change]:
    old, new = before or {}, after or {}
    for name in dict.fromkeys([*old, *new]):
        yield Change(
            words.field_of(name), _text(old[name]) if name in old else None, _text(new[name]) if name in new else None
        )


def _text(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


async def subjects_of(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
    """What each (type, id) is called, and where it is to be seen."""
    wanted = dict.fromkeys(keys)
    found = {key: Subject(_plain(*key)) for key in wanted}
    for kind, find in _FINDERS.items():
        ids = [id for type, id in wanted if type == kind]
        if ids:
            found |= {(kind, id): subject for id, subject in (await find(ids)).items()}
    return found


def _plain(type: str, id: str) -> str:
    if type == "portal":
        return f"the {id}"
    if type == "entity":
        return id.partition("/")[2] or id
    return id if type in ("route", "audit") else f"{type} {id}"


async def _images(ids: list[str]) -> dict[str, Subject]:
    rows = await database.fetch(_IMAGES, _uuids(ids))
    found = {
        row["id"]: Subject(f"{row['filename']} of {row['entity']}", "gallery:image", {"id": row["id"]}) for row in rows
    }
    missing = [id for id in ids if id not in found]
    for row in await database.fetch(_GONE_IMAGES, missing) if missing else ():
        said = json.loads(row["said"] or "{}")
        if said.get("filename"):
            found[row["id"]] = Subject(f"{said['filename']} of {_plain('entity', said.get('entity', ''))}")
    return found


async def _entities(ids: list[str]) -> dict[str, Subject]:
    found: dict[str, Subject] = {}
    asked = [id.partition("/") for id in ids]
    for row in await database.fetch(_ENTITIES, [each[0] for each in asked], [each[2] for each in asked]):
        type, id = row["type"], row["id"]
        found[f"{type}/{id}"] = Subject(f"{row['name']} ({id})", "gallery:show", {"type": type, "id": id})
    return found


async def _users(ids: list[str]) -> dict[str, Subject]:
    return {row["id"]: Subject(row["email"]) for row in await database.fetch(_USERS, _uuids(ids))}


async def _tokens(ids: list[str]) -> dict[str, Subject]:
    return {row["id"]: Subject(row["name"]) for row in await database.fetch(_TOKENS, _uuids(ids))}


async def _keys(ids: list[str]) -> dict[str, Subject]:
    rows = await database.fetch(_KEYS, _uuids(ids))
    return {row["id"]: Subject(row["scope"], "embed:keys" if row["is_out"] else None, {}) for row in rows}


async def _jobs(ids: list[str]) -> dict[str, Subject]:
    rows = await database.fetch("SELECT id::text AS id, kind FROM job WHERE id = ANY($1::uuid[])", _uuids(ids))
    return {row["id"]: Subject(f"the job “{kind_in_words(row['kind'])}”", "maintenance:jobs", {}) for row in rows}


async def _kinds(ids: list[str]) -> dict[str, Subject]:
    return {id: Subject(f"jobs “{kind_in_words(id)}”", "maintenance:jobs", {}) for id in ids}


async def _presets(ids: list[str]) -> dict[str, Subject]:
    return {id: Subject(id, "maintenance:preset", {"size": id}) for id in ids}


_FINDERS: Final[Mapping[str, Callable[[list[str]], Awaitable[dict[str, Subject]]]]] = {
    "image": _images,
    "entity": _entities,
    "user": _users,
    "token": _tokens,
    "embed": _keys,
    "job": _jobs,
    "kind": _kinds,
    "preset": _presets,
}


def _uuids(ids: Iterable[str]) -> list[UUID]:
    found: list[UUID] = []
    for id in ids:
        try:
            found.append(UUID(id))
        except ValueError:
            continue
    return found


async def _names_of(actors: Iterable[str]) -> dict[str, str]:
    """How the portal calls the people among them."""
    emails = [actor.removeprefix("user:") for actor in actors if actor.startswith("user:")]
    rows = await database.fetch("SELECT email, name FROM account WHERE email = ANY($1::text[])", emails)
    return {f"user:{row['email']}": row["name"] for row in rows if row["name"]}
