"""What a refused file is instead of a picture, and what its owner can do about it."""

from __future__ import annotations

_AGAIN = "and add it again."
_EXPORT = f"Export it as JPEG or PNG {_AGAIN}"

_ADVICE: dict[str, str] = {
    "pdf": f"This is a PDF. Export the page as JPEG or PNG {_AGAIN}",
    "heic": (
        "This is a HEIC photo, as iPhones take them. Export it as JPEG and add it again. "
        "For JPEGs from now on, choose Settings › Camera › Formats › Most Compatible on the iPhone."
    ),
    "avif": f"This is an AVIF picture. Save it as JPEG, PNG or WebP {_AGAIN}",
    "jxl": f"This is a JPEG XL picture. Save it as JPEG, PNG or WebP {_AGAIN}",
    "jp2": f"This is a JPEG 2000 picture. Save it as JPEG or PNG {_AGAIN}",
    "svg": f"This is an SVG drawing, which can carry programs. {_EXPORT}",
    "tiff": f"This is a TIFF picture. {_EXPORT}",
    "raw": f"This is a camera's raw file. Develop it as JPEG {_AGAIN}",
    "bmp": f"This is a BMP picture. Save it as PNG or JPEG {_AGAIN}",
    "ico": f"This is an icon file. Save it as PNG {_AGAIN}",
    "psd": f"This is a Photoshop file. {_EXPORT}",
    "eps": f"This is a PostScript or Illustrator drawing. {_EXPORT}",
    "zip": "This is an archive. Unpack it and add the pictures inside.",
    "office": f"This is an office document. Save the picture inside as JPEG or PNG {_AGAIN}",
    "html": "This is a web page. Save the picture itself and add that.",
    "text": "This is text, not a picture.",
    "video": f"This is a video. Save one picture of it as JPEG {_AGAIN}",
    "audio": "This is a sound recording, not a picture.",
    "program": "This is a program, not a picture.",
}

_EXTENSIONS: dict[str, str] = {
    "pdf": "pdf",
    "heic heif hif": "heic",
    "avif": "avif",
    "jxl": "jxl",
    "jp2 j2k jpf jpx": "jp2",
    "svg svgz": "svg",
    "tif tiff": "tiff",
    "dng cr2 cr3 nef arw orf rw2 raf": "raw",
    "bmp dib": "bmp",
    "ico cur icns": "ico",
    "psd psb": "psd",
    "eps ai ps": "eps",
    "zip rar 7z gz tar tgz bz2 xz": "zip",
    "doc docx xls xlsx ppt pptx odt ods odp": "office",
    "html htm xhtml mht mhtml": "html",
    "txt md csv json log": "text",
    "mp4 mov m4v avi mkv webm mpg mpeg wmv 3gp": "video",
    "mp3 wav m4a ogg flac aac": "audio",
}
_BY_EXTENSION = {extension: kind for names, kind in _EXTENSIONS.items() for extension in names.split()}

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "pdf"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
    (b"\0\0\1\0", "ico"),
    (b"\0\0\2\0", "ico"),
    (b"icns", "ico"),
    (b"8BPS", "psd"),
    (b"%!PS", "eps"),
    (b"\xc5\xd0\xd3\xc6", "eps"),
    (b"PK\3\4", "zip"),
    (b"PK\5\6", "zip"),
    (b"Rar!", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "zip"),
    (b"\x1f\x8b", "zip"),
    (b"BZh", "zip"),
    (b"\xfd7zXZ", "zip"),
    (b"\xd0\xcf\x11\xe0", "office"),
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"\x1a\x45\xdf\xa3", "video"),
    (b"FLV", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\x30\x26\xb2\x75", "video"),
    (b"ID3", "audio"),
    (b"fLaC", "audio"),
    (b"OggS", "audio"),
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"\xca\xfe\xba\xbe", "program"),
    (b"#!", "program"),
)
_RIFF = {b"AVI ": "video", b"WAVE": "audio"}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_AVIF_BRANDS = (b"avif", b"avis")
_STILL_BRANDS = (b"mif1", b"msf1", b"mif2", b"miaf")


def advice_for_extension(extension: str) -> str | None:
    kind = _BY_EXTENSION.get(extension)
    return _ADVICE[kind] if kind else None


def advice_for_content(head: bytes) -> str:
    """A sentence for bytes that are none of our formats; 512 bytes are enough."""
    kind = _kind_of(head)
    return _ADVICE[kind] if kind else "This is not a picture that can be shown here. JPEG, PNG, WebP and GIF can."


def _kind_of(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head[8 : max(12, int.from_bytes(head[:4], "big"))])
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if kind := next((kind for magic, kind in _MAGIC if head.startswith(magic)), None):
        return kind
    return _kind_of_text(head.removeprefix(b"\xef\xbb\xbf").lstrip().lower())


def _kind_of_brands(box: bytes) -> str:
    """The brand, four bytes of version, and the other brands that it is like: `mif1` alone says only that it is a still."""
    first, others = box[:4], [box[at : at + 4] for at in range(8, len(box) - 3, 4)]
    if first in _AVIF_BRANDS or (first in _STILL_BRANDS and any(brand in _AVIF_BRANDS for brand in others)):
        return "avif"
    return "heic" if first in _HEIC_BRANDS + _STILL_BRANDS else "video"


def _kind_of_text(head: bytes) -> str | None:
    if b"<svg" in head:
        return "svg"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "html"
    if head.startswith(b"<?php"):
        return "program"
    readable = all(byte in b"\t\r\n" or 32 <= byte != 127 for byte in head)
    return "text" if readable and _is_utf8(head) else None


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # the last character may be cut
    return True
