"""The four formats that we take, told by their first bytes, and what a file's name may be."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from portal.errors import HostileContent, UnsupportedFormat
from portal.imaging.foreign import advice_for_extension


@dataclass(frozen=True)
class Format:
    name: str  # as Pillow says it
    media_type: str
    extension: str  # what our stored names end in
    extensions: frozenset[str]  # what a person's file may be called

    def __str__(self) -> str:
        """As people write it."""
        return "WebP" if self.name == "WEBP" else self.name


JPEG = Format("JPEG", "image/jpeg", "jpg", frozenset({"jpg", "jpeg", "jpe", "jfif", "mpo"}))
PNG = Format("PNG", "image/png", "png", frozenset({"png", "apng"}))
WEBP = Format("WEBP", "image/webp", "webp", frozenset({"webp"}))
GIF = Format("GIF", "image/gif", "gif", frozenset({"gif"}))

FORMATS: tuple[Format, ...] = (JPEG, PNG, WEBP, GIF)
EXTENSIONS: frozenset[str] = frozenset[str]().union(*(f.extensions for f in FORMATS))
# Refused anywhere in a name: a careless server would run `a.php.jpg`. `com` is left out for `www.shop.com.jpg`.
DANGEROUS: frozenset[str] = frozenset(
    "php php3 php4 php5 php7 php8 phps pht phtml phar inc asp aspx ascx ashx asmx cer cfm cfc jsp jspx jspf jar war do "
    "cgi fcgi pl py pyc pyo rb sh bash zsh ps1 psm1 bat cmd vbs vbe wsf wsh hta lnk url scr pif msi msp exe dll so "
    "dylib app dmg deb rpm apk reg scf cpl html htm xhtml xht shtml stm mht mhtml svg svgz xml xsl xslt js mjs jse swf "
    "wasm htaccess htpasswd config ini".split()
)

NAME_LENGTH = 200
_SEPARATORS = re.compile(r"[.;:\x00]")


def sniff(head: bytes) -> Format | None:
    """The format by its magic bytes; 16 bytes are enough."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    return None


def format_of_extension(extension: str) -> Format | None:
    return next((f for f in FORMATS if extension in f.extensions), None)


def _last_part(filename: str) -> str:
    """Without folders: some browsers and many scripts send a whole path."""
    return re.split(r"[/\\]", filename)[-1]


def check_filename(filename: str, allowed: frozenset[str], dangerous: frozenset[str]) -> str:
    """The extension in lower case, or "" for a name without one (then only the content decides).

    Raises UnsupportedFormat for an extension that is not allowed, HostileContent for a dangerous one in any place.
    """
    segments = [s.strip().lower() for s in _SEPARATORS.split(_last_part(filename))]
    while len(segments) > 1 and not segments[-1]:
        segments.pop()  # "photo.jpg." is photo.jpg to Windows
    extension = segments[-1] if len(segments) > 1 else ""
    if extension and extension not in allowed and (advice := advice_for_extension(extension)):
        raise UnsupportedFormat(advice)
    for segment in segments[1:]:
        if segment in dangerous:
            raise HostileContent(
                f"The name holds “.{segment}”, which belongs to programs. Rename the file and add it again."
            )
    if extension and extension not in allowed:
        shown = clean_filename(extension)[:20]
        raise UnsupportedFormat(f"The name ends in “.{shown}”. Pictures end in {_listed(allowed)}.")
    return extension


def _listed(extensions: frozenset[str]) -> str:
    known = [f".{e}" for e in ("jpg", "png", "webp", "gif") if e in extensions] or sorted(f".{e}" for e in extensions)
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"


def clean_filename(filename: str) -> str:
    """The name as we may keep and show it: NFC, no folders, nothing invisible, at most 200 characters, never empty."""
    name = unicodedata.normalize("NFC", _last_part(filename).encode("utf-8", "ignore").decode())
    name = "".join(" " if c in "\t\r\n" else c for c in name)
    name = "".join(c for c in name if c == "\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    name = " ".join(name.split()).strip("\u200d ")
    return _shorten(name) if name.strip(". ") else "picture"


def _shorten(name: str) -> str:
    """Cut in the stem, so that the extension stays."""
    if len(name) <= NAME_LENGTH:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        return name[:NAME_LENGTH].rstrip()
    return f"{stem[: NAME_LENGTH - len(extension) - 1].rstrip()}.{extension}"
