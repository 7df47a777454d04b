from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from portal.errors import NotAnImage
from portal.imaging.presets import PRESETS, READY
from portal.imaging.render import Rendered, optimized_quality, render
from tests import samples

CLEAN = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}


def render_bytes(
    folder: Path, data: bytes, *names: str, focal_point: tuple[float, float] | None = None
) -> list[Rendered]:
    return render(samples.write(folder, "original", data), names or READY, focal_point)


def opened(rendered: Rendered) -> Image.Image:
    picture = Image.open(io.BytesIO(rendered.data))
    picture.load()
    assert picture.format == "JPEG"
    assert picture.size == (rendered.width, rendered.height)
    return picture


def pixel(rendered: Rendered, x: float, y: float) -> tuple[int, int, int]:
    picture = opened(rendered).convert("RGB")
    value = picture.getpixel((round(x * (picture.width - 1)), round(y * (picture.height - 1))))
    assert isinstance(value, tuple)
    return value[0], value[1], value[2]


def is_near(colour: tuple[int, int, int], expected: tuple[int, int, int], within: int = 40) -> bool:
    return all(abs(a - b) <= within for a, b in zip(colour, expected, strict=True))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            (3000, 2000),
            {"icon": (64, 64), "small": (150, 100), "medium": (300, 200), "large": (600, 400), "card": (400, 300),
             "gallery": (800, 533), "optimized": (2048, 1365), "print": (1063, 709)},
        ),
        (
            (600, 1600),
            {"icon": (64, 64), "small": (56, 150), "medium": (112, 300), "large": (225, 600), "card": (400, 300),
             "gallery": (225, 600), "optimized": (600, 1600), "print": (301, 803)},
        ),
        (
            (10, 7),
            {"icon": (64, 64), "small": (10, 7), "medium": (10, 7), "large": (10, 7), "card": (400, 300),
             "gallery": (10, 7), "optimized": (10, 7), "print": (10, 7)},
        ),
    ],
)  # fmt: skip
def test_every_preset_has_its_box(tmp_path: Path, size: tuple[int, int], expected: dict[str, tuple[int, int]]):
    made = render_bytes(tmp_path, samples.jpeg(*size), *PRESETS)
    assert {r.name: (r.width, r.height) for r in made} == expected
    for rendered in made:
        opened(rendered)
        assert rendered.media_type == "image/jpeg"


def test_renditions_come_in_the_order_asked_for(tmp_path: Path):
    assert [r.name for r in render_bytes(tmp_path, samples.jpeg(), "small", "icon", "optimized")] == [
        "small",
        "icon",
        "optimized",
    ]


def test_a_camera_picture_is_decoded_to_the_decoders_own_scale(tmp_path: Path):
    (optimized,) = render_bytes(tmp_path, samples.jpeg(4032, 3024), "optimized")
    assert (optimized.width, optimized.height) == (2016, 1512)
    assert opened(optimized).info["progressive"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_every_rendition_is_upright_without_an_orientation_left(tmp_path: Path, orientation: int, format: str):
    for rendered in render_bytes(tmp_path, samples.exif_rotated(orientation, 160, 120, format), "small", "optimized"):
        assert rendered.width > rendered.height
        assert is_near(pixel(rendered, 0.02, 0.02), (255, 0, 0))
        assert is_near(pixel(rendered, 0.98, 0.02), (0, 255, 0))
        assert 0x0112 not in opened(rendered).getexif()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_white_shows_through_transparency(tmp_path: Path, format: str):
    for rendered in render_bytes(tmp_path, samples.transparent(format)):
        if rendered.name not in ("icon", "card"):  # those may crop
            assert is_near(pixel(rendered, 0.05, 0.5), (255, 255, 255), 6)
            assert is_near(pixel(rendered, 0.95, 0.5), (255, 0, 0), 12)


def test_one_colour_of_a_png_may_be_transparent(tmp_path: Path):
    black = samples.save(Image.new("RGB", (50, 50)), "PNG", transparency=(0, 0, 0))
    assert is_near(pixel(render_bytes(tmp_path, black, "small")[0], 0.5, 0.5), (255, 255, 255), 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_colour_of_16_bits_may_be_transparent_too(tmp_path: Path, mode: str):
    (small,) = render_bytes(tmp_path, samples.clear_in_16_bit(mode), "small")
    assert is_near(pixel(small, 0.05, 0.5), (255, 255, 255), 6)
    assert is_near(pixel(small, 0.95, 0.5), (0x40,) * 3 if mode == "L" else (0x40, 0x10, 0x80), 12)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA"])
def test_every_mode_becomes_plain(tmp_path: Path, mode: str):
    for rendered in render_bytes(tmp_path, samples.png(200, 150, mode)):
        assert opened(rendered).mode in ("L", "RGB")


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path):
    assert is_near(pixel(render_bytes(tmp_path, samples.grey_16_bit(), "small")[0], 0.5, 0.5), (128, 128, 128), 2)


def test_cmyk_is_not_inverted(tmp_path: Path):
    (small,) = render_bytes(tmp_path, samples.cmyk(), "small")
    assert is_near(pixel(small, 0.02, 0.02), (255, 0, 0))
    assert is_near(pixel(small, 0.98, 0.98), (255, 255, 255))


def test_colours_follow_the_profile_which_is_then_left_out(tmp_path: Path):
    for rendered in render_bytes(tmp_path, samples.swapped_channels()):
        assert is_near(pixel(rendered, 0.5, 0.5), (255, 0, 0), 12)
        assert "icc_profile" not in opened(rendered).info


def test_a_broken_profile_is_ignored(tmp_path: Path):
    for rendered in render_bytes(tmp_path, samples.jpeg(icc_profile=b"garbage" * 100)):
        assert "icc_profile" not in opened(rendered).info


@pytest.mark.parametrize(
    "data",
    [
        samples.with_location(),
        samples.with_php(),
        samples.polyglot(),
        samples.motion_photo(),
        samples.gif(comment=b"SECRET"),
        samples.save(samples.scene(90, 60).convert("P"), "PNG", icc_profile=b"SECRET" * 50),
    ],
    ids=["location", "php", "archive", "film", "comment", "palette"],
)
def test_nothing_but_pixels_is_in_a_rendition(tmp_path: Path, data: bytes):
    for rendered in render_bytes(tmp_path, data, *PRESETS):
        assert b"SECRET" not in rendered.data
        assert b"PAYLOAD" not in rendered.data
        assert set(opened(rendered).info) <= CLEAN
        assert rendered.data.endswith(b"\xff\xd9")


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_shown_by_its_first_frame(tmp_path: Path, format: str):
    for rendered in render_bytes(tmp_path, samples.animated(format), "optimized", "small"):
        assert is_near(pixel(rendered, 0.02, 0.02), (255, 0, 0), 60)


def test_the_first_picture_of_an_mpo_is_shown(tmp_path: Path):
    assert is_near(pixel(render_bytes(tmp_path, samples.mpo(), "small")[0], 0.02, 0.02), (255, 0, 0))


def test_the_focal_point_moves_the_crop(tmp_path: Path):
    wide = samples.jpeg(1200, 300)
    (left,) = render_bytes(tmp_path, wide, "icon", focal_point=(0, 0))
    (right,) = render_bytes(tmp_path, wide, "icon", focal_point=(1, 0))
    assert pixel(left, 0.05, 0.05)[0] > 220 > 60 > pixel(right, 0.95, 0.05)[0]


def test_the_focal_point_is_of_the_upright_picture(tmp_path: Path):
    turned = samples.exif_rotated(6, 1200, 300)
    (icon,) = render_bytes(tmp_path, turned, "icon", focal_point=(0, 0))
    assert is_near(pixel(icon, 0.02, 0.02), (255, 0, 0))


def test_a_small_original_is_not_outgrown_without_lowering_quality_first(tmp_path: Path):
    lean = samples.noisy(quality=40)
    (optimized,) = render_bytes(tmp_path, lean, "optimized")
    tables: dict[int, list[int]] = getattr(opened(optimized), "quantization")  # noqa: B009  # of JPEG pictures only
    reference: dict[int, list[int]] = getattr(Image.open(io.BytesIO(samples.jpeg(quality=65))), "quantization")  # noqa: B009
    assert tables == reference


@pytest.mark.parametrize(
    ("size", "quality"), [(0, 85), (2_000_000, 85), (6_000_000, 75), (10_000_000, 65), (15_000_000, 65)]
)
def test_quality_falls_as_originals_grow(size: int, quality: int):
    assert optimized_quality(size) == quality


def test_a_damaged_original_is_named_so(tmp_path: Path):
    with pytest.raises(NotAnImage, match="original"):
        render_bytes(tmp_path, samples.truncated())


def test_a_missing_original_is_not_the_pictures_fault(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        render(tmp_path / "nowhere.jpg", READY)
