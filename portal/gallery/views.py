"""What pages and the API show of images and entities: frozen values, never rows.

The field names of ImageView and EntityView are those of the API's objects; encoding one gives the object.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from portal.entities.kinds import EntityRef
from portal.imaging.edits import Edits, edits_of
from portal.imaging.geometry import Point
from portal.imaging.presets import PRESETS, Changes, Measure
from portal.storage.links import Links


@dataclass(frozen=True, slots=True)
class RenditionView:
    """`url` is root-relative and, for private types, signed for an hour. Sizes in pixels and bytes."""

    url: str
    width: int
    height: int
    bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class FocalPoint:
    """0..1 from the left and the top of the upright original."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image. `width` and `height` are those of the upright original; `renditions` is empty until it was ready once."""

    id: str
    entity: EntityRef
    filename: str
    media_type: str
    bytes: int
    width: int
    height: int
    frames: int
    sha256: str
    status: str
    error: dict[str, str] | None
    alt_text: str | None
    decorative: bool
    caption: str | None
    tags: list[str]
    is_primary: bool
    sort_order: int
    focal_point: FocalPoint | None
    edits: dict[str, Any]
    placeholder: str | None
    version: int
    revision: int
    trashed_at: dt.datetime | None
    renditions: dict[str, RenditionView]
    attributes: dict[str, Any]
    exif: dict[str, Any]
    uploaded_by: str | None
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def title(self) -> str:
        """What people call it: its alt text, else its file name."""
        return self.alt_text or self.filename


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of an invoice with the primary picture of its item. Money as decimals."""

    position: int
    item: str | None
    item_name: str | None
    description: str
    quantity: Decimal
    unit_price: Decimal | None
    amount: Decimal | None
    picture: ImageView | None


@dataclass(frozen=True, slots=True)
class EntityView:
    """One entity; the last five fields before the times are an invoice's."""

    type: str
    id: str
    name: str
    reference: str | None
    parent: EntityRef | None
    parent_name: str | None
    attributes: dict[str, Any]
    image_count: int
    primary: ImageView | None
    number: str | None
    date: dt.date | None
    currency: str | None
    total: Decimal | None
    lines: list[LineView]
    created_at: dt.datetime
    updated_at: dt.datetime
    is_private: bool

    @property
    def ref(self) -> EntityRef:
        return EntityRef(self.type, self.id)


def image_view(row: Mapping[str, Any], entity: EntityRef, links: Links, now: float | None = None) -> ImageView:
    """`row` holds the columns of the image table; JSON columns may be text or decoded."""
    moment = time.time() if now is None else now
    focal = FocalPoint(row["focal_x"], row["focal_y"]) if row["focal_x"] is not None else None
    order = row["sort_order"] if row["sort_order"] is not None else row["last_order"]
    return ImageView(
        id=str(row["id"]),
        entity=entity,
        filename=row["filename"],
        media_type=row["media_type"],
        bytes=row["bytes"],
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        sha256=row["sha256"],
        status=row["status"],
        error=decoded(row["error"]),
        alt_text=row["alt_text"],
        decorative=row["decorative"],
        caption=row["caption"],
        tags=list(row["tags"]),
        is_primary=row["is_primary"],
        sort_order=order,
        focal_point=focal,
        edits=decoded(row["edits"]) or {},
        placeholder=row["placeholder"],
        version=row["version"],
        revision=row["revision"],
        trashed_at=row["trashed_at"],
        renditions=rendition_views(row["id"], decoded(row["renditions"]), entity.type, links, moment),
        attributes=decoded(row["attributes"]) or {},
        exif=decoded(row["exif"]) or {},
        uploaded_by=row["uploaded_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def decoded(value: Any) -> Any:
    """A JSONB column's value, whether the driver gave text or Piccolo decoded it."""
    return json.loads(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a set of renditions was made of: an original's extension, what was wanted of it, and by which presets where these
    were not the code's."""

    extension: str
    edits: Edits
    focal_point: Point | None
    presets: Changes = field(default_factory=dict[str, Measure])

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Recipe:
        """What a row of `image` or `image_version` wants; which presets are in force it does not say."""
        focal_point = None if row["focal_x"] is None else (row["focal_x"], row["focal_y"])
        return cls(row["extension"], edits_of(decoded(row["edits"])), focal_point)

    def stored(self) -> dict[str, Any]:
        said = {"extension": self.extension, "edits": self.edits.stored(), "focal_point": self.focal_point}
        return said | ({"presets": dict(self.presets)} if self.presets else {})


def recipe_of(renditions: Mapping[str, Any], row: Mapping[str, Any]) -> Recipe | None:
    """Of the stored set; None where it is not known any more: sets made before there were edits do not name it, and are
    of what `row` wants as long as it wants nothing else."""
    said = renditions.get("made_of")
    if said is not None:
        focal_point = said["focal_point"]
        point = focal_point and (focal_point[0], focal_point[1])
        return Recipe(said["extension"], edits_of(said["edits"]), point, presets_of(renditions))
    return Recipe.of_row(row) if rendition_of(renditions) == (row["version"], row["rendering"]) else None


def presets_of(renditions: Mapping[str, Any]) -> Changes:
    """By which presets a stored set was made, where these were not the code's."""
    said: Mapping[str, Any] = (renditions.get("made_of") or {}).get("presets") or {}
    return {name: (width, height, quality) for name, (width, height, quality) in said.items()}


def rendition_of(renditions: Mapping[str, Any]) -> tuple[int, int]:
    """Version and rendering of a stored set, from its `of`."""
    version, _, rendering = renditions["of"].partition(".")
    return int(version), int(rendering)


def rendition_views(
    image_id: UUID, stored: Mapping[str, Any], entity_type: str, links: Links, now: float
) -> dict[str, RenditionView]:
    if not stored:
        return {}
    version, rendering = rendition_of(stored)
    return {
        name: RenditionView(
            url=links.rendition(image_id, entity_type, name, version, rendering, now),
            width=item["width"],
            height=item["height"],
            bytes=item["bytes"],
            media_type=item["media_type"],
        )
        for name in PRESETS
        if (item := stored["items"].get(name)) is not None
    }
