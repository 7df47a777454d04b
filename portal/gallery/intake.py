"""What this portal takes in: its settings as the limits that verification knows."""

from __future__ import annotations

from portal.imaging.formats import DANGEROUS
from portal.imaging.verify import PATTERNS, Limits
from portal.settings import Settings


def limits_of(settings: Settings) -> Limits:
    return Limits(
        max_pixels=settings.max_pixels,
        extensions=settings.allowed_extensions,
        dangerous=DANGEROUS | settings.dangerous_extensions,
        patterns=(*PATTERNS, *(pattern.lower() for pattern in settings.scan_patterns)),
    )
