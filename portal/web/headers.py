"""What every answer says to browsers: which scripts may run, who may frame it, who may read it."""

from __future__ import annotations

from typing import Final

from portal.settings import Settings

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# Loaded by other sites' pages, or by a sandboxed frame, whose origin is nobody's.
_OPEN: Final = ("/static/", "/embed", "/cards/", "/qr/", "/api/images/serve/")
_FRAMED: Final = ("/embed/", "/cards/")

Headers = list[tuple[bytes, bytes]]


def content_security_policy(**changes: str) -> str:
    """The portal's policy with changes: `frame_src="'self'"` for a page that shows embeds."""
    policy = _POLICY | {name.replace("_", "-"): value for name, value in changes.items()}
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def framing_policy(parents: str) -> str:
    """For embeds and cards; `parents` as PORTAL_EMBED_PARENTS says it: `*`, or origins parted by commas or spaces."""
    return content_security_policy(frame_ancestors=frame_ancestors(parents))


def frame_ancestors(parents: str) -> str:
    sources = [word for word in parents.replace(",", " ").split() if ";" not in word and word.isascii()]
    return " ".join([*sources, "'self'"])


class HeaderTable:
    """The headers that an answer gets unless its handler has set them; made once, looked up by path."""

    def __init__(self, settings: Settings) -> None:
        common = {
            "x-content-type-options": "nosniff",
            # Not no-referrer: that would turn the Origin of our own forms into "null". Embeds set theirs.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        }
        closed = common | {"cross-origin-resource-policy": "same-origin"}
        opened = common | {"cross-origin-resource-policy": "cross-origin"}
        strict = "default-src 'none'; frame-ancestors 'none'; sandbox"
        docs = content_security_policy(script_src="'self' 'unsafe-inline'", style_src="'self' 'unsafe-inline'")
        self._page = _encoded(closed | {"content-security-policy": content_security_policy()})
        self._api = _encoded(closed | {"content-security-policy": strict})
        self._docs = _encoded(closed | {"content-security-policy": docs})
        self._bytes = _encoded(opened | {"content-security-policy": strict})
        # Modules and typefaces are fetched with CORS even from our own frames.
        static = opened | {"content-security-policy": content_security_policy(), "access-control-allow-origin": "*"}
        self._static = _encoded(static)
        framed = opened | {"content-security-policy": framing_policy(settings.embed_parents)}
        self._framed = _encoded(framed | {"referrer-policy": "no-referrer", "x-robots-tag": "noindex"})
        self._hsts = (b"strict-transport-security", b"max-age=31536000")

    def for_path(self, path: str, *, https: bool) -> Headers:
        chosen = self._choose(path)
        return [*chosen, self._hsts] if https else chosen

    def _choose(self, path: str) -> Headers:
        if path.startswith(_OPEN):
            if path.startswith(_FRAMED):
                return self._framed
            return self._static if path.startswith(("/static/", "/embed.js")) else self._bytes
        if path.startswith("/api/"):
            return self._api
        return self._docs if path == "/docs" or path.startswith("/docs/") else self._page


def _encoded(headers: dict[str, str]) -> Headers:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
