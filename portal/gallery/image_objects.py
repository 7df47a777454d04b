"""Galleries and uploads as the API gives them; what visitors may know is a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.gallery.entity_objects import EntityObject, InvoiceObject
from portal.gallery.views import ImageView, RenditionView


@dataclass(frozen=True, slots=True)
class VisitorImage:
    """All that somebody without account learns of a picture."""

    id: str
    width: int
    height: int
    frames: int
    alt_text: str | None
    caption: str | None
    is_primary: bool
    sort_order: int
    placeholder: str | None
    renditions: dict[str, RenditionView]


@dataclass(frozen=True, slots=True)
class VisitorEntity:
    type: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class VisitorGallery:
    """Only what is ready, in `total` too."""

    entity: VisitorEntity
    images: list[VisitorImage]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Gallery:
    """In the order in which it is shown."""

    entity: EntityObject | InvoiceObject
    images: list[ImageView]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class ImageList:
    images: list[ImageView]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """Of one file: `image` with 201, else `error`, which is problem+json."""

    filename: str
    status: int
    image: ImageView | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UploadReport:
    """`results` in the order sent."""

    results: list[UploadOutcome]
    stored: int
    refused: int


def for_visitor(image: ImageView) -> VisitorImage:
    return VisitorImage(**{name: getattr(image, name) for name in VisitorImage.__dataclass_fields__})
