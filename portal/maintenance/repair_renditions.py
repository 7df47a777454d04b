"""Renditions that are missing or wrong: made again from a sound original, of the very cut that their set says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.errors import FileRefused, Gone, NotFound
from portal.gallery import places
from portal.gallery.views import Recipe, decoded, recipe_of
from portal.imaging.presets import READY
from portal.imaging.render import Rendered
from portal.integrity.findings import Finding, FindingView
from portal.integrity.pictures import Eyes, check_picture
from portal.maintenance.repair_room import (
    Original,
    Outcome,
    Room,
    find_original,
    gone,
    has_bytes,
    hold_for,
    parsed_rendition,
    refused,
    seen_at,
    settle,
)
from portal.storage.keys import ParsedKey, original_key

RERENDER: Final = "rerender"
WRONG: Final = "not the rendition that its row says"
# Who names a set of renditions: the image that shows it, a kept version, pins. What was wanted is asked of the first two.
_SETS: Final = """
    SELECT 'image' AS by, renditions, version, rendering, extension, edits, focal_x, focal_y FROM image
    WHERE id = $1 AND renditions ->> 'of' = $2
    UNION ALL
    SELECT 'version', renditions, version, rendering, extension, edits, focal_x, focal_y FROM image_version
    WHERE image = $1 AND renditions ->> 'of' = $2
    UNION ALL
    SELECT 'pin', renditions, version, 0, NULL, '{}', NULL, NULL FROM pinned_picture
    WHERE image = $1 AND renditions ->> 'of' = $2
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rendition of a stored set that somebody shows or keeps."""

    key: str
    said: ParsedKey
    name: str
    by: str
    stored: dict[str, Any]
    recipe: Recipe | None

    @property
    def of(self) -> str:
        return self.stored["of"]

    @property
    def subject(self) -> tuple[str, str]:
        return "image", str(self.said.image_id)


async def repair_rendition(finding: FindingView, room: Room) -> Outcome:
    """Raises DiskFull, Unavailable."""
    wanted = await _find_wanted(finding.key)
    if wanted is None or await _still_wrong(wanted, room) is None:
        return gone(RERENDER)
    original = await find_original(wanted.said.image_id, wanted.said.version)
    refusal = await _refusal(wanted, original, room)
    if refusal is not None:
        return refusal
    detail = f"{wanted.name} was made again from its original."
    if room.dry_run:
        return Outcome("planned", RERENDER, detail)
    try:
        return await _make_again(finding, wanted, detail, room)
    except NotFound:
        return gone(RERENDER)
    except (FileRefused, Gone) as error:
        return refused(RERENDER, error.message)


async def _find_wanted(key: str | None) -> Wanted | None:
    said = parsed_rendition(key)
    if said is None or key is None or said.name is None:
        return None
    of = f"{said.version}.{said.rendering}"
    rows = await database.fetch(_SETS, said.image_id, of)
    if not rows:
        return None
    recipes = [_recipe_of(row) for row in rows]
    known = next((each for each in recipes if each is not None), None)
    return Wanted(key, said, said.name, rows[0]["by"], decoded(rows[0]["renditions"]), known)


def _recipe_of(row: Mapping[str, Any]) -> Recipe | None:
    stored = decoded(row["renditions"])
    if row["by"] == "pin" and stored.get("made_of") is None:
        return None
    return recipe_of(stored, row)


async def _still_wrong(wanted: Wanted, room: Room) -> Finding | None:
    """As a check would find it; None of an image in the trash whose original was given up."""
    version = (wanted.said.image_id, wanted.said.version)
    original = await find_original(*version)
    if version in room.foresight.lost or (original is not None and original.is_given_up):
        return None
    findings = await check_picture(wanted.said.image_id, Eyes(room.store, room.pool))
    return next((each for each in findings if each.key == wanted.key), None)


async def _refusal(wanted: Wanted, original: Original | None, room: Room) -> Outcome | None:
    if original is None:
        return refused(RERENDER, f"Version {wanted.said.version}, of which it was made, is not kept any more.")
    if wanted.recipe is None:
        return refused(RERENDER, "It is not known how this set was cut, so that it cannot be made again exactly.")
    if not await has_bytes(room, original.key, original.sha256):
        return refused(RERENDER, "Its original is not sound. Repair that first.")
    return None


async def _make_again(finding: FindingView, wanted: Wanted, detail: str, room: Room) -> Outcome:
    made = (await _rendered(wanted, room))[wanted.name]
    item = wanted.stored["items"].get(wanted.name)
    sha256 = hashlib.sha256(made.data).hexdigest()
    fact = {"width": made.width, "height": made.height, "bytes": len(made.data), "sha256": sha256}
    if item is not None and wanted.by != "image" and (item["width"], item["height"]) != (made.width, made.height):
        return refused(RERENDER, f"{wanted.name} would have other measures than those that were kept.")
    await _hold_wrong(wanted, finding, item, room)
    async with room.store.turn(), database.transaction():
        await places.lock_gallery_of(wanted.said.image_id)
        now = await _find_wanted(finding.key)
        if now is None or now.stored != wanted.stored:
            return gone(RERENDER)
        seen = await seen_at(room.store, wanted.key)
        await room.store.put(wanted.key, made.data)
        if item is None or sha256 != item["sha256"]:
            await _write_down(wanted, {**fact, "media_type": made.media_type})
        before = {"key": wanted.key, "sha256": seen.sha256, "bytes": seen.bytes}
        return await settle(finding, RERENDER, detail, room, wanted.subject, before=before, after=fact)


async def _rendered(wanted: Wanted, room: Room) -> dict[str, Rendered]:
    """The whole set, as it was made then: each step of it is made from the one before. Kept for its next finding."""
    whose = (wanted.said.image_id, wanted.of)
    held = room.foresight.rendered
    if held is not None and held[0] == whose:
        return held[1]
    recipe = wanted.recipe
    assert recipe is not None
    key = original_key(wanted.said.entity_type, wanted.said.image_id, wanted.said.version, recipe.extension)
    rendered = await room.pool.render(
        room.store.path_of(key), READY, recipe.focal_point, recipe.edits, changes=recipe.presets
    )
    made = {each.name: each for each in rendered}
    room.foresight.rendered = (whose, made)
    return made


async def _hold_wrong(wanted: Wanted, finding: FindingView, item: dict[str, Any] | None, room: Room) -> None:
    """A transaction of its own: the bytes are in the quarantine, and it is known there, before others take their place."""
    async with room.store.turn(), database.transaction():
        await places.lock_gallery_of(wanted.said.image_id)
        if (await seen_at(room.store, wanted.key)).sha256 is not None:
            await hold_for(finding, wanted.key, WRONG, room, wanted.said.image_id, {"replaced": True})


async def _write_down(wanted: Wanted, item: dict[str, Any]) -> None:
    """The facts of what was made, wherever this set is named."""
    values = (wanted.said.image_id, wanted.of, ["items", wanted.name], json.dumps(item))
    for table, column in (("image", "id"), ("image_version", "image"), ("pinned_picture", "image")):
        await database.execute(
            f"""UPDATE {table} SET renditions = jsonb_set(renditions, $3::text[], $4::jsonb)
                WHERE {column} = $1 AND renditions ->> 'of' = $2""",  # noqa: S608 - constants
            *values,
        )
