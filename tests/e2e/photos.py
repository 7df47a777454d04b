"""What people upload: real photographs where the folder beside the checkout has them, else those of the demo shop."""

from __future__ import annotations

from playwright.sync_api import FilePayload

from tests import samples
from tests.e2e.pages import payload
from tests.e2e.server import CHECKOUT

SHARED = CHECKOUT.parent / "shared" / "photos"
DEMO = CHECKOUT / "portal" / "demo_shop"
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}


def real_photos() -> list[FilePayload]:
    """Five or six pictures; always a GIF that moves and, last, `upright.jpg` that a camera stored lying (EXIF 6)."""
    names = ("p12_s7.jpg", "p12_d90.jpg", "p8_iphone6.jpg", "p6.png", "p4.webp", "anim.gif")
    found = [(name, (SHARED / name).read_bytes()) for name in names if (SHARED / name).is_file()]
    if not found:
        found = [(name, (DEMO / name).read_bytes()) for name in ("mug-front.jpg", "mug-top.jpg", "mug-box.jpg")]
        found.append(("anim.gif", samples.animated()))
    found.append(("upright.jpg", samples.exif_rotated(6, 480, 640)))
    return [payload(name, data, TYPES[name.rpartition(".")[2]]) for name, data in found]


def demo_photo(name: str) -> bytes:
    return (DEMO / f"{name}.jpg").read_bytes()
