"""A photo that somebody looks for: what it is, once it is known to be a picture that is safe to open, and what is like it."""

from __future__ import annotations

from dataclasses import dataclass

from portal.gallery.forms import ReceivedPicture
from portal.gallery.intake import rules_of, verify_upload
from portal.gallery.likeness import Likes, pictures_like
from portal.gallery.views import ImageView
from portal.imaging.pool import RenderPool
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.links import Links


@dataclass(frozen=True, slots=True)
class PhotoMatch:
    """An image that is the photo, or nearly: `bits` of 64 differ. `same_file`: byte for byte, now or before it was replaced."""

    image: ImageView
    entity_name: str
    same_file: bool
    bits: int


def widest_type(settings: Settings) -> str:
    """The type that takes the largest files: a photo that is only looked for may be as large."""
    return max(ENTITY_TYPES, key=lambda kind: settings.uploads_of(kind).max_bytes)


async def likes_of_photo(photo: ReceivedPicture, *, settings: Settings, pool: RenderPool) -> Likes:
    """Raises what `verify_upload` raises."""
    verified = await verify_upload(photo, rules_of(settings, widest_type(settings)), pool)
    return Likes(photo.sha256, verified.fingerprint)


async def find_by_photo(
    photo: ReceivedPicture, *, settings: Settings, pool: RenderPool, links: Links
) -> list[PhotoMatch]:
    """The same files first, then the likest, 24 at most. Raises what `verify_upload` raises."""
    alike = await pictures_like(await likes_of_photo(photo, settings=settings, pool=pool), links)
    return [PhotoMatch(each.hit.image, each.hit.entity_name, each.is_same_file, each.bits) for each in alike]
