"""What is thrown at the portal: hostile files with the code that each is refused by, odd ones that are good, and requests
that are none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

from tests import samples

BOUNDARY = b"x"
FIELDS = {"entity_type": "inventory_items", "entity_id": "attacked", "allow_duplicate": "true"}


@cache
def hostile() -> list[tuple[str, bytes, str]]:
    return list(_hostile())


@cache
def good() -> list[tuple[str, bytes]]:
    return list(_good())


def _hostile() -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes, and the code of the refusal."""
    yield "bomb.png", samples.bomb(), "too_many_pixels"
    yield "just-too-large.png", samples.bomb(8001, 8001), "too_many_pixels"
    yield "needle.png", samples.bomb(60_000_000, 1), "too_many_pixels"
    yield "lying.gif", samples.lying_gif(), "too_many_pixels"
    yield "frames.gif", samples.many_frames(), "too_many_frames"
    yield "very-many-frames.gif", samples.many_frames(200_000), "too_many_frames"
    yield "scans.jpg", samples.many_scans(), "hostile_content"
    yield "zip-behind.jpg", samples.polyglot(), "hostile_content"
    yield "php.jpg", samples.with_php(), "hostile_content"
    yield (
        "script.png",
        samples.with_chunk(samples.png(), b"tEXt", b"Title\0<script>alert(1)</script>"),
        "hostile_content",
    )
    yield "mug.php.jpg", samples.jpeg(), "hostile_content"
    yield "mug.jpg.exe", samples.jpeg(), "hostile_content"
    yield "mug.png", samples.jpeg(), "extension_mismatch"
    yield "mug.jpg", samples.png(), "extension_mismatch"
    yield "empty.jpg", b"", "empty_file"
    yield "noise.jpg", b"\xff\xd8\xff" + bytes(5000), "not_an_image"
    for share in (0.02, 0.3, 0.6, 0.99):
        yield f"cut-{share}.jpg", samples.truncated(share=share), "not_an_image"
        yield f"cut-{share}.png", samples.truncated(samples.png(), share), "not_an_image"
        yield f"cut-{share}.webp", samples.truncated(samples.webp(), share), "not_an_image"
    for name, data in samples.FOREIGN.items():
        yield name, data, "unsupported_format"
        yield f"{name.replace('.', '-')}.jpg", data, "unsupported_format"
    yield "large.jpg", samples.jpeg() + bytes(15 * 2**20), "too_large"


def _good() -> Iterator[tuple[str, bytes]]:
    """Odd ones among them."""
    for number in range(24):
        yield f"{number}.jpg", samples.noisy(1600 + number, 1200)
    for orientation in range(1, 9):
        yield f"turned-{orientation}.jpg", samples.exif_rotated(orientation)
    yield "all-of-64-megapixels.png", samples.plain("PNG", 8000)
    yield "long.png", samples.png(20_000, 40)
    yield "progressive.jpg", samples.jpeg(4000, 3000, progressive=True)
    yield "cmyk.jpg", samples.cmyk()
    yield "sixteen-bits.png", samples.grey_16_bit()
    yield "moving.gif", samples.animated("GIF", frames=60)
    yield "moving.webp", samples.animated("WEBP", frames=60)
    yield "film-behind.jpg", samples.motion_photo()
    yield "stereo.jpg", samples.mpo()
    yield "clear.webp", samples.transparent("WEBP")
    yield "with-place.jpg", samples.with_location()
    yield "../../../etc/passwd.jpg", samples.distinct(1)
    yield "\u202egpj.exe\u202c.jpg", samples.distinct(2)
    yield "<img src=x onerror=alert(1)>.jpg", samples.distinct(3)
    yield "n" * 4000 + ".jpg", samples.distinct(4)
    yield "CON.jpg", samples.distinct(5)
    yield "no extension", samples.distinct(6)


def part(head: bytes, body: bytes) -> bytes:
    return b"--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


def whole(*parts: bytes) -> bytes:
    fields = (part(b'Content-Disposition: form-data; name="%b"' % k.encode(), v.encode()) for k, v in FIELDS.items())
    return b"".join((*fields, *parts, b"--x--\r\n"))


FILE = b'Content-Disposition: form-data; name="file"; filename="a.jpg"'


def broken_bodies() -> Iterator[tuple[str, bytes]]:
    """Multipart that is none, or not quite; each is refused with 4xx."""
    picture = samples.jpeg()
    yield "nothing", b""
    yield "no boundary in it", b"xx" * 1000
    yield "without end", whole(part(FILE, picture))[:-8]
    yield "cut in a header", b"--x\r\nContent-Dispo"
    yield "a header of 1 MB", whole(part(FILE + b"\r\nX-A: " + b"a" * 1_000_000, picture))
    yield "100,000 headers", b"--x\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\nb\r\n--x--\r\n"
    yield "base64", whole(part(FILE + b"\r\nContent-Transfer-Encoding: base64", b"/9j/4AAQ"))
    yield "a name in Latin-1", whole(part(FILE.replace(b"a.jpg", b"caf\xe9\xff.jpg"), picture))
    yield "3,000 fields", whole(*(part(b'Content-Disposition: form-data; name="x%d"' % n, b"v") for n in range(3000)))
    yield "200 files", whole(*(part(FILE, picture) for _ in range(200)))
    yield "16 MB of text", whole(part(b'Content-Disposition: form-data; name="caption"', b"A" * 16_000_000))
    yield "a NUL", whole(part(b'Content-Disposition: form-data; name="caption"', b"a\0b"), part(FILE, picture))
    yield "no text", whole(part(b'Content-Disposition: form-data; name="caption"', b"\xff\xfe"), part(FILE, picture))
    yield "an unknown field", whole(part(b'Content-Disposition: form-data; name="sha256"', b"0"), part(FILE, picture))


def broken_requests(token: str) -> Iterator[tuple[str, bytes]]:
    """Bytes for a socket: what the server makes of them is an answer below 500, or an end."""
    body = whole(part(FILE, samples.noisy()))
    head = (
        b"POST /api/images/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n" % token.encode()
    )
    yield "a length below nothing", head + b"Content-Length: -5\r\n\r\n" + body
    yield "a length beyond all", head + b"Content-Length: 99999999999999\r\n\r\n" + body
    yield "a length and pieces", head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "pieces of no length", head + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nxx"
    yield "a header of 1 MB", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n"
    yield "no HTTP", bytes(100_000)


def abandoned_request(token: str, share: float) -> bytes:
    """The beginning of an upload of 3 MB."""
    body = whole(part(FILE, samples.jpeg() + bytes(3_000_000)))
    out = io.BytesIO()
    out.write(b"POST /api/images/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token.encode())
    out.write(b"\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % len(body))
    out.write(body[: int(len(body) * share)])
    return out.getvalue()
