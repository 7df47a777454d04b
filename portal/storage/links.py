"""URLs of renditions, root-relative; those of private types carry an expiry and a signature. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from portal.errors import Gone

LIFETIME: Final = 3600
# Expiries fall on quarter hours, so that a page asked for twice names the same URLs and the browser keeps its pictures.
STEP: Final = 900
# What a signature grants: the rendition that is shown now, or for good the very one that an invoice is pinned to.
Kind = Literal["rendition", "pinned"]


@dataclass(frozen=True)
class Links:
    """`keys`: the first signs, all verify, so that a key can be retired without breaking what is out.

    `until` (unix seconds) is when the page ends for which these links are made: no signed one outlives it.
    Those of a `pinned` invoice are signed whatever the type: what everybody may see is what is shown now.
    """

    keys: tuple[bytes, ...]
    private_types: frozenset[str]
    until: int | None = None
    kind: Kind = "rendition"

    def rendition(
        self, image_id: UUID | str, entity_type: str, name: str, version: int, rendering: int, now: float
    ) -> str:
        """Where a page finds this rendition; for private types the URL is good for 60 to 75 minutes."""
        if entity_type not in self.private_types and self.kind == "rendition":
            return _plain(image_id, name, f"{version}.{rendering}")
        expires = math.ceil((now + LIFETIME) / STEP) * STEP
        if self.until is not None:
            expires = min(expires, self.until)
        return self.signed(image_id, name, version, rendering, expires)

    def signed(self, image_id: UUID | str, name: str, version: int, rendering: int, expires: int) -> str:
        """A URL that works without signing in until `expires` (unix seconds), for this one rendition."""
        v = f"{version}.{rendering}"
        signature = _signature(self.keys[0], self.kind, image_id, name, v, str(expires))
        return f"{_plain(image_id, name, v)}&exp={expires}&sig={signature}"

    def check(
        self, image_id: UUID | str, name: str, v: str, exp: str, sig: str, now: float, kind: Kind = "rendition"
    ) -> bool:
        """Is this our signature of this kind over exactly these values? Raises Gone when it is, but its time is over."""
        # The text is compared, not what it decodes to: base64 has several spellings for the same bytes.
        given = sig.encode("utf-8", "replace")
        matches = [
            hmac.compare_digest(
                _signature(key, kind, image_id, name, v, exp).encode(), given
            )  # all keys: constant time
            for key in self.keys
        ]
        if not any(matches):
            return False
        if int(exp) <= now:
            raise Gone("This link has expired. Ask for a fresh one where you found it.")
        return True


def _plain(image_id: UUID | str, name: str, v: str) -> str:
    return f"/api/images/serve/{image_id}?size={name}&v={v}"


def _signature(key: bytes, kind: Kind, image_id: UUID | str, name: str, v: str, exp: str) -> str:
    message = "\n".join((kind, str(image_id), name, v, exp)).encode("utf-8", "replace")
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).decode().rstrip("=")
