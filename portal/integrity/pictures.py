"""Rows against objects: each original and rendition that a row promises is there, and is what it was.

What looks wrong is a suspect: it is looked at again under its gallery's lock, with what its rows say then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import Conflict, FileRefused, NotFound
from portal.gallery import places
from portal.gallery.views import decoded, rendition_of
from portal.imaging.pool import RenderPool
from portal.imaging.presets import PRESETS, READY, Preset
from portal.imaging.verify import Limits
from portal.integrity.findings import Finding
from portal.storage.keys import original_key, rendition_key
from portal.storage.look import Seen, look_at
from portal.storage.store import Store

AT_ONCE: Final = 200
FIRST: Final = UUID(int=0)
_MODIFIED: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Promise:
    """An object that a row says is there. `name` is the rendition's, None for an original; `by` image, version or pin."""

    key: str
    image_id: UUID
    entity_type: str
    by: str
    sha256: str
    bytes: int | None
    name: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Promised:
    """All that the rows of one image say; `broken`: what is wrong among the rows already."""

    promises: list[Promise] = field(default_factory=list)
    broken: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Looked:
    """One image that was looked at: of how many objects how much was read, and what is wrong with it."""

    image_id: UUID
    objects: int
    bytes: int
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Eyes:
    """What a check looks with. With a `pool` it also decodes what its SHA-256 has settled already, and `presets` tell by their
    names of what size it may be."""

    store: Store
    pool: RenderPool | None = None
    presets: Mapping[str, Sequence[Preset]] = field(default_factory=dict[str, Sequence[Preset]])


async def check_pictures(eyes: Eyes, *, after: UUID = FIRST) -> AsyncIterator[Looked]:
    """Every image behind `after`, in the order of ids, old versions and pinned sets included.

    Raises Unavailable when the store is not mounted.
    """
    while ids := await _ids_behind(after):
        found = await promised_of(ids)
        eyes = await _knowing_presets(eyes)
        for image_id, promised in found.items():
            try:
                looked = await _look_at_one(image_id, promised, eyes)
            except (
                TimeoutError,
                Conflict,
            ):  # its gallery was held for longer than we wait, or it moves: that proves nothing
                looked = Looked(image_id, 0, 0, [])
            yield looked
        after = ids[-1]


async def check_picture(image_id: UUID, eyes: Eyes) -> list[Finding]:
    """All that is wrong with this image now; nothing when it is gone. Raises TimeoutError while its gallery is held for long."""
    promised = await promised_of([image_id])
    return (await _look_at_one(image_id, promised[image_id], await _knowing_presets(eyes))).findings if promised else []


async def _ids_behind(after: UUID) -> list[UUID]:
    rows = await database.fetch("SELECT id FROM image WHERE id > $1 ORDER BY id LIMIT $2", after, AT_ONCE)
    return [row["id"] for row in rows]


async def _look_at_one(image_id: UUID, promised: Promised, eyes: Eyes) -> Looked:
    seen = await look_at(eyes.store, (each.key for each in promised.promises))
    suspects = {each.key for each in promised.promises if await _breach(each, seen[each.key], eyes)}
    read = sum(each.bytes or 0 for each in seen.values())
    findings = await _proved(image_id, suspects, eyes) if suspects or promised.broken else []
    return Looked(image_id, len(promised.promises), read, findings)


async def _proved(image_id: UUID, suspects: set[str], eyes: Eyes) -> list[Finding]:
    """Under the lock no row of the image changes, and what a row promises has been there since before the row was."""
    try:
        async with database.transaction():
            await places.lock_gallery_of(image_id)
            promised = (await promised_of([image_id]))[image_id]
            promises = [each for each in promised.promises if each.key in suspects]
            eyes = await _knowing_presets(eyes)
            seen = await look_at(eyes.store, (each.key for each in promises))
            breaches = [await _breach(each, seen[each.key], eyes) for each in promises]
    except NotFound:
        return []
    return [*promised.broken, *(each for each in breaches if each is not None)]


async def promised_of(image_ids: Sequence[UUID]) -> dict[UUID, Promised]:
    """By image, in the order of ids; those that are gone are left out.

    Of an original that is nowhere its row tells in the trash, where the repair has put it: there it promises nothing more.
    """
    images = await database.fetch(
        """SELECT image.id, image.bytes, image.sha256, image.status, image.version, image.rendering, image.extension,
                  image.renditions, entity.type, 'image' AS by,
                  trashed_at IS NOT NULL AND coalesce(error ->> 'code', '') = 'gone' AS is_given_up
           FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = ANY($1::uuid[]) ORDER BY image.id""",
        image_ids,
    )
    found = {row["id"]: Promised() for row in images}
    for row in [*images, *await _old_versions_of(image_ids)]:
        if row["id"] in found and not row["is_given_up"]:
            found[row["id"]].promises.extend(_promises_of_version(row))
            found[row["id"]].broken.extend(_lacking(row))
    for row in await _pinned_sets_of(image_ids):
        if row["id"] in found:
            found[row["id"]].promises.extend(_promises_of_set(row))
            found[row["id"]].broken.extend(_unkept(row))
    return {image_id: Promised(_each_once(each.promises), each.broken) for image_id, each in found.items()}


async def _old_versions_of(image_ids: Sequence[UUID]) -> Sequence[Any]:
    """Each kept version of these images, as a row like theirs."""
    return await database.fetch(
        """SELECT image.id, v.bytes, v.sha256, 'old' AS status, v.version, v.rendering, v.extension, v.renditions,
                  entity.type, 'version' AS by, false AS is_given_up
           FROM image_version v JOIN image ON image.id = v.image JOIN entity ON entity.pk = image.entity
           WHERE image.id = ANY($1::uuid[])""",
        image_ids,
    )


async def _pinned_sets_of(image_ids: Sequence[UUID]) -> Sequence[Any]:
    """Each set that a pin alone holds; the others are looked at where they are shown or kept."""
    return await database.fetch(
        """SELECT DISTINCT image.id, p.version, p.renditions, entity.type, 'pin' AS by,
                  v.pk IS NOT NULL OR image.version = p.version AS has_original
           FROM pinned_picture AS p JOIN image ON image.id = p.image JOIN entity ON entity.pk = image.entity
           LEFT JOIN image_version AS v ON v.image = p.image AND v.version = p.version
           WHERE p.image = ANY($1::uuid[]) AND p.renditions <> image.renditions AND p.renditions IS DISTINCT FROM v.renditions""",
        image_ids,
    )


def _promises_of_version(row: Any) -> Iterator[Promise]:
    key = original_key(row["type"], row["id"], row["version"], row["extension"])
    yield Promise(key, row["id"], row["type"], row["by"], row["sha256"], row["bytes"])
    yield from _promises_of_set(row)


def _promises_of_set(row: Any) -> Iterator[Promise]:
    stored = decoded(row["renditions"]) or {"items": {}}
    for name, item in stored["items"].items():
        key = rendition_key(row["type"], row["id"], *rendition_of(stored), name)
        size = (item["width"], item["height"])
        yield Promise(key, row["id"], row["type"], row["by"], item["sha256"], item.get("bytes"), name, size)


def _lacking(row: Any) -> list[Finding]:
    """What a row that is ready should have and does not know of."""
    if row["status"] != "ready":
        return []
    stored = decoded(row["renditions"]) or {"items": {}}
    version, rendering = rendition_of(stored) if stored["items"] else (row["version"], row["rendering"])
    return [
        Finding(
            "missing_rendition",
            rendition_key(row["type"], row["id"], version, rendering, name),
            str(row["id"]),
            f"ready, but without {name}",
            row["type"],
            {"expected": {"name": name, "by": "image"}, "found": None},
        )
        for name in READY
        if name not in stored["items"]
    ]


def _unkept(row: Any) -> list[Finding]:
    if row["has_original"]:
        return []
    detail = f"an invoice is pinned to version {row['version']}, which is not kept"
    evidence = {"expected": {"version": row["version"], "by": "pin"}, "found": None}
    return [Finding("missing_version", None, str(row["id"]), detail, row["type"], evidence)]


def _each_once(promises: Iterable[Promise]) -> list[Promise]:
    """While a new file is rendered, an image and its last version name the same set."""
    once: dict[str, Promise] = {}
    for each in promises:
        once.setdefault(each.key, each)
    return list(once.values())


async def _breach(promise: Promise, seen: Seen, eyes: Eyes) -> Finding | None:
    what = promise.name or "the original"
    if not seen.is_there:
        kind = "missing_object" if promise.name is None else "missing_rendition"
        return _finding(kind, promise, seen, f"{what} is not in the store")
    if seen.sha256 == promise.sha256:
        wrong = await _wrong_picture(promise, promise.name, eyes.pool, eyes) if eyes.pool and promise.name else None
        return None if wrong is None else _finding("wrong_rendition", promise, seen, f"{what} {wrong}")
    if promise.name is not None:
        return _finding("wrong_rendition", promise, seen, f"{what} is not what was rendered")
    return _finding("checksum_mismatch", promise, seen, _changed(promise, seen))


def _changed(promise: Promise, seen: Seen) -> str:
    if seen.sha256 is None:
        return "the disk cannot read it"
    if seen.bytes != promise.bytes:
        return f"{seen.bytes} bytes instead of {promise.bytes}"
    return f"SHA-256 {seen.sha256} instead of {promise.sha256}"


async def _wrong_picture(promise: Promise, name: str, pool: RenderPool, eyes: Eyes) -> str | None:
    """Its bytes are those that were rendered: was the renderer wrong?"""
    try:
        seen = await pool.verify(eyes.store.path_of(promise.key), "rendition.jpg", Limits())
    except FileRefused as error:
        return f"does not decode: {error.message}"
    except FileNotFoundError:  # somebody was faster; where nobody was, the next look says that it is missing
        return "is gone"
    size = (seen.width, seen.height)
    if size == promise.size and any(each.may_be(size) for each in eyes.presets.get(name, ())):
        return None
    return f"is {seen.width} x {seen.height}"


async def _knowing_presets(eyes: Eyes) -> Eyes:
    """What the code says, and what anybody ever decided: an old set is of the size that was in force then. To be asked after the
    rows: what they promise was decided before."""
    if eyes.pool is None:
        return eyes
    presets = {name: [preset] for name, preset in PRESETS.items()}
    for row in await database.fetch("SELECT DISTINCT name, width, height, quality FROM preset_change"):
        if row["name"] in PRESETS:
            decided = {name: row[name] for name in ("width", "height", "quality")}
            presets[row["name"]].append(dataclasses.replace(PRESETS[row["name"]], **decided))
    return dataclasses.replace(eyes, presets=presets)


def _finding(kind: str, promise: Promise, seen: Seen, detail: str) -> Finding:
    expected = {"bytes": promise.bytes, "sha256": promise.sha256, "by": promise.by, "name": promise.name or "original"}
    evidence = {"expected": expected, "found": evidence_of(seen)}
    return Finding(kind, promise.key, str(promise.image_id), detail, promise.entity_type, evidence)


def evidence_of(seen: Seen) -> dict[str, Any] | None:
    """What lies there, for a finding's evidence; None: nothing."""
    if not seen.is_there:
        return None
    modified = None if seen.modified_at is None else seen.modified_at.strftime(_MODIFIED)
    return {"bytes": seen.bytes, "sha256": seen.sha256, "modified_at": modified}
