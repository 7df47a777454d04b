"""Right colours: every rendition against what littleCMS makes of the whole original, pixel by pixel."""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from pathlib import Path
from statistics import mean

import pytest
from PIL import Image, ImageCms

from portal.imaging import geometry
from portal.imaging.presets import PRESETS
from portal.imaging.render import Rendered, render
from tests import samples

SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.buildTransform(SRGB, ImageCms.createProfile("LAB"), "RGB", "LAB")
CLOSE = 2.0  # mean difference that nobody sees side by side
WIDTH, HEIGHT = 900, 600


def wide(space: str, format: str = "PNG", mode: str = "RGB") -> bytes:
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}.get(format, {})
    picture = samples.colours().convert(mode)
    return samples.save(picture, format, icc_profile=samples.rgb_profile(space), **options)


def translucent(mode: str, **options: object) -> bytes:
    """Fades to nothing towards the top; half of it is there in the middle."""
    picture = samples.colours().convert(mode)
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return samples.save(picture, "PNG", **options)


def cmyk(*, profile: bool = False, adobe: bool = True) -> bytes:
    picture = samples.colours().convert("CMYK")
    options = {"icc_profile": samples.cmyk_profile()} if profile else {}
    data = samples.save(picture, "JPEG", quality=95, subsampling=0, **options)
    return data if adobe else without_adobe(data)


def without_adobe(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, at + 2)
    return data[:at] + data[at + 2 + length :]


def sixteen_bit(mode: str, **options: object) -> bytes:
    """A PNG of 16 bits a channel, whose lower bytes say something too."""
    eight = samples.colours().convert(mode)
    deep = bytes(byte for value in eight.tobytes() for byte in (value, 255 - value))
    if mode == "L":
        return samples.save(Image.frombytes("I;16B", eight.size, deep), "PNG", **options)
    flat = samples.save(eight, "PNG", **options)
    return samples.as_16_bit_rgb(flat, eight.size, deep)


def palette(*, clear: bool = False, **options: object) -> bytes:
    picture = samples.scene(WIDTH, HEIGHT).quantize(200, dither=Image.Dither.NONE)
    if clear:
        options["transparency"] = bytes(range(200))
    return samples.save(picture, "PNG", **options)


KINDS: dict[str, bytes] = {
    "plain jpeg": samples.save(samples.colours(), "JPEG", quality=95, subsampling=0),
    "grey": samples.save(samples.colours().convert("L"), "PNG"),
    "grey with its profile": samples.save(samples.colours().convert("L"), "PNG", icc_profile=samples.grey_profile()),
    "grey jpeg with its profile": samples.save(
        samples.colours().convert("L"), "JPEG", quality=95, icc_profile=samples.grey_profile()
    ),
    "grey and alpha": translucent("L"),
    "grey and alpha with its profile": translucent("L", icc_profile=samples.grey_profile()),
    "16-bit grey": sixteen_bit("L"),
    "16-bit grey with its profile": sixteen_bit("L", icc_profile=samples.grey_profile()),
    "16-bit rgb": sixteen_bit("RGB"),
    "16-bit rgb in P3": sixteen_bit("RGB", icc_profile=samples.rgb_profile("Display P3")),
    "palette": palette(),
    "palette with a clear colour for each": palette(clear=True),
    "palette in Adobe RGB": palette(icc_profile=samples.rgb_profile("Adobe RGB")),
    "palette with alpha in P3": palette(clear=True, icc_profile=samples.rgb_profile("Display P3")),
    "cmyk": cmyk(),
    "cmyk without Adobe's mark": cmyk(adobe=False),
    "cmyk with its profile": cmyk(profile=True),
    "P3 jpeg": wide("Display P3", "JPEG"),
    "P3 png": wide("Display P3"),
    "P3 webp": wide("Display P3", "WEBP"),
    "Adobe RGB jpeg": wide("Adobe RGB", "JPEG"),
    "Adobe RGB png": wide("Adobe RGB"),
    "ProPhoto jpeg": wide("ProPhoto", "JPEG"),
    "ProPhoto png": wide("ProPhoto"),
    "translucent": translucent("RGB"),
    "translucent in P3": translucent("RGB", icc_profile=samples.rgb_profile("Display P3")),
    "translucent in ProPhoto": translucent("RGB", icc_profile=samples.rgb_profile("ProPhoto")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rendition_has_the_colours_of_the_original(tmp_path: Path, kind: str) -> None:
    data = KINDS[kind]
    expected = reference(kind)
    for rendered in render(samples.write(tmp_path, "original", data), list(PRESETS)):
        assert difference(rendered, expected) < CLOSE, rendered.name


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "in P3" in kind or "Adobe RGB" in kind or "profile" in kind]
)
def test_ignoring_the_profile_would_be_seen(kind: str) -> None:
    """What the test above tells apart at all."""
    ignored = on_white(decoded(KINDS[kind])[0])
    assert mean_difference(ignored.convert("RGB"), reference(kind)) > CLOSE


def decoded(data: bytes) -> tuple[Image.Image, bytes | None]:
    """L, RGB, CMYK, LA or RGBA, and the profile."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        profile = picture.info.get("icc_profile")
        if picture.mode.startswith("I"):
            picture = picture.point(lambda value: value * (1 / 257) + 0.5).convert("L")
        elif picture.mode == "P":
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        return picture.copy(), profile


@lru_cache(maxsize=1)
def reference(kind: str) -> Image.Image:
    """The whole original in sRGB by littleCMS, on white."""
    picture, profile = decoded(KINDS[kind])
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colours = picture.convert(picture.mode[:-1]) if alpha else picture
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(colours, source, SRGB, outputMode="RGB")
        assert made
        colours = made
    else:
        colours = colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    return on_white(colours)


def on_white(picture: Image.Image) -> Image.Image:
    if picture.mode not in ("LA", "RGBA"):
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("RGB")


def difference(rendered: Rendered, expected: Image.Image) -> float:
    preset, box = PRESETS[rendered.name], (rendered.width, rendered.height)
    part = geometry.crop_to_fill(expected.size, box) if preset.fit == "fill" else (0, 0, *expected.size)
    return mean_difference(
        Image.open(io.BytesIO(rendered.data)), expected.resize(box, Image.Resampling.LANCZOS, box=part)
    )


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """CIE76, the mean over a grid of pixels."""
    across, down = max(1, one.width // 40), max(1, one.height // 30)
    grid = (one.width // across, one.height // down)
    pairs = zip(*(lab(picture.resize(grid, Image.Resampling.NEAREST)) for picture in (one, other)), strict=True)
    return mean(sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 for pair in pairs)


def lab(picture: Image.Image) -> list[tuple[float, float, float]]:
    converted = ImageCms.applyTransform(picture.convert("RGB"), LAB)
    assert converted
    values = converted.tobytes()
    signed = struct.unpack(f"{len(values)}b", values)
    return [(values[at] / 2.55, signed[at + 1], signed[at + 2]) for at in range(0, len(values), 3)]
