"""What this portal takes in, by entity type, and the one way by which a file becomes known as a safe picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from portal.errors import TooLarge
from portal.gallery.forms import ReceivedPicture
from portal.imaging.formats import DANGEROUS
from portal.imaging.pool import RenderPool
from portal.imaging.scan import Address, scan
from portal.imaging.verify import PATTERNS, Limits, Verified
from portal.settings import Settings, UploadRules


@dataclass(frozen=True, slots=True)
class Rules:
    """`scanner` None: no virus scanner is configured."""

    max_bytes: int = UploadRules.max_bytes
    limits: Limits = field(default_factory=Limits)
    scanner: Address | None = None


def rules_of(settings: Settings, entity_type: str) -> Rules:
    uploads = settings.uploads_of(entity_type)
    limits = Limits(
        max_pixels=uploads.max_pixels,
        extensions=uploads.allowed_extensions,
        dangerous=DANGEROUS | uploads.dangerous_extensions,
        patterns=(*PATTERNS, *(pattern.lower() for pattern in uploads.scan_patterns)),
    )
    return Rules(uploads.max_bytes, limits, settings.clamd)


async def verify_upload(received: ReceivedPicture, rules: Rules, pool: RenderPool) -> Verified:
    """All that is asked of a file before it is stored, in its order: size, name, content, every frame, viruses.

    Raises FileRefused; Unavailable when it can't be asked at the moment.
    """
    if received.bytes > rules.max_bytes:
        raise TooLarge(f"This file is larger than {rules.max_bytes // 2**20} MB.")
    verified = await pool.verify(received.path, received.filename, rules.limits)
    if rules.scanner is not None:
        await scan(rules.scanner, received.path)
    return verified
