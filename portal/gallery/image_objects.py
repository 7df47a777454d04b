"""Galleries and uploads as the API gives them; what visitors may know is a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from portal.gallery.entity_objects import EntityObject, InvoiceObject
from portal.gallery.prints import ImageForPrint, PrintView
from portal.gallery.views import ImageView, RenditionView

_ID: Final = "01930000-0000-7000-8000-000000000001"
IMAGE_EXAMPLE: Final = {
    "id": _ID,
    "entity": {"type": "inventory_items", "id": "MUG-FJORD-BL"},
    "filename": "mug-front.jpg",
    "media_type": "image/jpeg",
    "bytes": 3104210,
    "width": 4032,
    "height": 3024,
    "frames": 1,
    "sha256": "9b82174d12f995ed9c97639f821af6a696749cb07d97de5c2c273892585a929b",
    "status": "ready",
    "error": None,
    "alt_text": "Slate blue mug, seen from the front",
    "decorative": False,
    "caption": None,
    "tags": ["front", "studio"],
    "is_primary": True,
    "sort_order": 0,
    "focal_point": {"x": 0.5, "y": 0.25},
    "edits": {},
    "placeholder": "data:image/webp;base64,UklGRg==",
    "version": 1,
    "revision": 3,
    "trashed_at": None,
    "renditions": {
        "card": {
            "url": f"/api/images/serve/{_ID}?size=card&v=1.1",
            "width": 400,
            "height": 300,
            "bytes": 24712,
            "media_type": "image/jpeg",
        }
    },
    "attributes": {"photographer": "Ana Berg"},
    "exif": {},
    "uploaded_by": "user:ana@example.com",
    "created_at": "2026-11-22T09:41:07.149343Z",
    "updated_at": "2026-11-22T09:41:08.335735Z",
}


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
class VisitorImageForPrint(VisitorImage):
    print: PrintView | None


@dataclass(frozen=True, slots=True)
class VisitorEntity:
    type: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class VisitorGallery:
    """Only what is ready, in `total` too."""

    entity: VisitorEntity
    images: list[VisitorImage] | list[VisitorImageForPrint]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class VisitorGalleryForPrint(VisitorGallery):
    """Each image has `print`; those of a pinned invoice are the ones of `pinned_at`."""

    pinned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Gallery:
    """In the order in which it is shown."""

    entity: EntityObject | InvoiceObject
    images: list[ImageView] | list[ImageForPrint]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class GalleryForPrint(Gallery):
    """Each image has `print`; those of a pinned invoice are the ones of `pinned_at`."""

    pinned_at: datetime | None


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
    kind = VisitorImageForPrint if isinstance(image, ImageForPrint) else VisitorImage
    return kind(**{name: getattr(image, name) for name in kind.__dataclass_fields__})
