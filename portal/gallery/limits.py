"""What may be uploaded, as pages say it and check it before a byte is sent."""

from __future__ import annotations

from dataclasses import dataclass

from portal.settings import Settings


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What the upload zone checks before it sends."""

    max_bytes: int
    max_mb: int
    max_pixels: int
    accept: str
    extensions: list[str]


def upload_limits(settings: Settings, entity_type: str) -> UploadLimits:
    rules = settings.uploads_of(entity_type)
    kinds = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
    accept = ",".join(media for extension, media in kinds.items() if extension in rules.allowed_extensions)
    extensions = sorted(rules.allowed_extensions)
    return UploadLimits(rules.max_bytes, rules.max_bytes // 2**20, rules.max_pixels, accept, extensions)
