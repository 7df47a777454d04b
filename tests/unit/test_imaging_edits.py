"""Edits: what people see is what they asked for, whichever way the camera was held, and the sums follow the pixels."""

from __future__ import annotations

import io
from itertools import product
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from portal.imaging.edits import NONE, Crop, Edits, check_size, edits_of, parse_edits
from portal.imaging.presets import PRESETS, READY
from portal.imaging.render import PLACEHOLDER, Rendered, render_bytes
from tests import samples

ROTATIONS: tuple[Any, ...] = (0, 90, 180, 270)
FLIPS: tuple[Any, ...] = (None, "horizontal", "vertical")
CROP = Crop(0.25, 0.1, 0.5, 0.6)
_TURN = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
_FLIP = {"horizontal": Image.Transpose.FLIP_LEFT_RIGHT, "vertical": Image.Transpose.FLIP_TOP_BOTTOM}


def by_pillow(picture: Image.Image, edits: Edits) -> Image.Image:
    """Cropped, flipped, rotated: each by the word's own meaning."""
    if edits.crop:
        width, height = picture.size
        crop = edits.crop
        left, top = round(crop.x * width), round(crop.y * height)
        picture = picture.crop((left, top, left + round(crop.width * width), top + round(crop.height * height)))
    if edits.flip:
        picture = picture.transpose(_FLIP[edits.flip])
    return picture.transpose(_TURN[edits.rotate]) if edits.rotate else picture


def opened(rendered: Rendered) -> Image.Image:
    return Image.open(io.BytesIO(rendered.data)).convert("RGB")


def assert_alike(one: Image.Image, other: Image.Image, most: float = 4) -> None:
    assert one.size == other.size
    assert max(ImageStat.Stat(ImageChops.difference(one, other)).mean) < most


@pytest.mark.parametrize("crop", [None, CROP], ids=["whole", "cropped"])
@pytest.mark.parametrize(("rotate", "flip"), list(product(ROTATIONS, FLIPS)))
def test_every_combination_is_what_pillow_makes_of_it(rotate: Any, flip: Any, crop: Crop | None):
    edits = Edits(rotate, flip, crop)
    (optimized,) = render_bytes(samples.jpeg(320, 200, quality=95), ["optimized"], None, edits)
    expected = by_pillow(samples.scene(320, 200), edits)
    assert_alike(opened(optimized), expected)
    assert edits.size_of((320, 200)) == expected.size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "rotate"), list(product(range(1, 9), ROTATIONS)))
def test_edits_are_of_the_upright_picture(orientation: int, rotate: Any, format: str):
    edits = Edits(rotate, "horizontal", CROP)
    data = samples.exif_rotated(orientation, 320, 200, format)
    (optimized,) = render_bytes(data, ["optimized"], None, edits)
    assert_alike(opened(optimized), by_pillow(samples.scene(320, 200), edits), 6)


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_every_rendition_and_the_placeholder_follow(rotate: Any):
    edits = Edits(rotate, None, Crop(0.5, 0, 0.5, 1))
    made = render_bytes(samples.jpeg(1200, 600, quality=95), [*READY, "print", PLACEHOLDER], None, edits)
    assert [each.name for each in made] == [*READY, "print", PLACEHOLDER]
    shown = by_pillow(samples.scene(1200, 600), edits)
    for each in made:
        if each.name in ("icon", "card"):
            assert (each.width, each.height) == (PRESETS[each.name].width, PRESETS[each.name].height)
        else:
            picture = opened(each)
            assert_alike(picture, shown.resize(picture.size), 12)
    assert opened(made[-1]).size == (16, 16)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_small_crop_of_a_big_picture_keeps_its_resolution(orientation: int):
    """The decoder's own scale would leave a sixteenth of these pixels."""
    picture = samples.scene(6000, 4000).copy()
    for x in range(3000, 3600, 2):
        picture.paste((0, 0, 0), (x, 2000, x + 1, 2400))
    if orientation == 6:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[samples.ORIENTATION] = orientation
    data = samples.save(picture, "JPEG", quality=95, subsampling=0, exif=exif)
    crop = Crop(0.5, 0.5, 0.1, 0.1)
    made = {each.name: each for each in render_bytes(data, [*READY, "print"], None, Edits(crop=crop))}
    assert (made["optimized"].width, made["optimized"].height) == (600, 400)
    assert (made["gallery"].width, made["gallery"].height) == (600, 400)
    assert (made["print"].width, made["print"].height) == (600, 400)
    lines = opened(made["optimized"]).convert("L").crop((100, 200, 500, 201))
    assert ImageStat.Stat(lines).stddev[0] > 40


def test_a_large_crop_is_still_decoded_small():
    (optimized,) = render_bytes(samples.jpeg(8000, 400), ["optimized"], None, Edits(crop=Crop(0, 0, 0.9, 1)))
    assert (optimized.width, optimized.height) == (1800, 100)


def marked(point: tuple[float, float]) -> bytes:
    """Grey, with a red spot at this point."""
    picture = Image.new("RGB", (600, 300), (128, 128, 128))
    x, y = round(point[0] * 600), round(point[1] * 300)
    picture.paste((255, 0, 0), (x - 6, y - 6, x + 6, y + 6))
    return samples.save(picture, "PNG")


@pytest.mark.parametrize("crop", [None, Crop(0.1, 0.05, 0.8, 0.9)], ids=["whole", "cropped"])
@pytest.mark.parametrize(("rotate", "flip"), list(product(ROTATIONS, FLIPS)))
def test_the_focal_point_goes_where_its_pixel_goes(rotate: Any, flip: Any, crop: Crop | None):
    point, edits = (0.2, 0.3), Edits(rotate, flip, crop)
    (optimized,) = render_bytes(marked(point), ["optimized"], None, edits)
    x, y = edits.point_of(point)
    red, green, _ = opened(optimized).getpixel((int(x * optimized.width), int(y * optimized.height)))  # type: ignore[misc]
    assert red > 180 > 90 > green
    (icon,) = render_bytes(marked(point), ["icon"], point, edits)
    reds = [opened(icon).getpixel((at, line))[0] for at in range(64) for line in range(64)]  # type: ignore[index]
    assert max(reds) > 160  # of a spot of a few pixels; elsewhere it is grey


def test_a_focal_point_that_was_cut_off_lies_at_the_edge():
    right = Edits(crop=Crop(0.5, 0, 0.5, 1))
    assert right.point_of((0.1, 0.5)) == (0, 0.5)
    assert Edits(90, None, Crop(0.5, 0, 0.5, 1)).point_of((0.1, 0.25)) == (0.75, 0)


@pytest.mark.parametrize(("rotate", "flip"), list(product(ROTATIONS, FLIPS)))
def test_a_quick_turn_is_a_turn_of_what_people_see(rotate: Any, flip: Any):
    """Also after a flip, where turning left is not adding a turn left to the first rotation and mirroring again."""
    scene, before = samples.scene(48, 30), Edits(rotate, flip, CROP)
    seen = by_pillow(scene, before)
    expected = {
        before.turned("left"): seen.transpose(Image.Transpose.ROTATE_90),
        before.turned("right"): seen.transpose(Image.Transpose.ROTATE_270),
        before.mirrored("horizontal"): seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        before.mirrored("vertical"): seen.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    }
    for edits, shown in expected.items():
        assert by_pillow(scene, edits).tobytes() == shown.tobytes(), edits
        assert edits.crop == CROP


def test_four_turns_and_two_mirrors_lead_back():
    edits = NONE
    for _ in range(4):
        edits = edits.turned("left")
    assert edits == NONE
    for flip in ("horizontal", "vertical"):
        assert NONE.mirrored(flip).stored() == {"flip": flip}
        assert NONE.mirrored(flip).mirrored(flip) == NONE
    assert NONE.mirrored("horizontal").mirrored("vertical") == Edits(180)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, {}),
        ({}, {}),
        ({"rotate": 0, "flip": None, "crop": None}, {}),
        ({"rotate": 270}, {"rotate": 270}),
        ({"flip": "vertical", "rotate": 0}, {"flip": "vertical"}),
        ({"crop": {"x": 0, "y": 0, "width": 1, "height": 1}}, {}),
        (
            {"crop": {"x": 0, "y": 0.5, "width": 1, "height": 0.5}, "rotate": 90},
            {"rotate": 90, "crop": {"x": 0.0, "y": 0.5, "width": 1.0, "height": 0.5}},
        ),
        (
            {"crop": {"x": 0.1, "y": 0.2, "width": 0.9000000001, "height": 0.8}},
            {"crop": {"x": 0.1, "y": 0.2, "width": 0.9, "height": 0.8}},
        ),
    ],
)
def test_only_what_differs_from_the_original_is_kept(sent: Any, stored: dict[str, Any]):
    assert parse_edits(sent).stored() == stored
    assert edits_of(stored) == parse_edits(sent)


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ([], "rotate, flip, crop"),
        ("left", "rotate, flip, crop"),
        ({"turn": 90}, "“turn”"),
        ({"rotate": 45}, "clockwise"),
        ({"rotate": "90"}, "clockwise"),
        ({"rotate": True}, "clockwise"),
        ({"rotate": False}, "clockwise"),
        ({"rotate": 90.0}, "clockwise"),
        ({"flip": "both"}, "horizontal"),
        ({"flip": ["horizontal"]}, "horizontal"),
        ({"crop": [0, 0, 1, 1]}, "crop is"),
        ({"crop": {"x": 0, "y": 0, "width": 1}}, "crop is"),
        ({"crop": {"x": 0, "y": 0, "width": 1, "height": 1, "unit": "px"}}, "crop is"),
        ({"crop": {"x": 0, "y": 0, "width": "1", "height": 1}}, "numbers"),
        ({"crop": {"x": 0, "y": 0, "width": float("nan"), "height": 1}}, "numbers"),
        ({"crop": {"x": -0.1, "y": 0, "width": 0.5, "height": 0.5}}, "numbers"),
        ({"crop": {"x": 0.6, "y": 0, "width": 0.5, "height": 0.5}}, "inside"),
        ({"crop": {"x": 0, "y": 0, "width": 0, "height": 0.5}}, "inside"),
        ({"crop": {"x": 1, "y": 0, "width": 1e-7, "height": 1}}, "neither side is 0"),  # inside by a hair: nothing
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_words(sent: Any, word: str):
    with pytest.raises(ValueError, match=word):
        parse_edits(sent)


def test_a_crop_leaves_at_least_sixteen_pixels_where_the_picture_has_them():
    check_size(Edits(crop=Crop(0, 0, 0.16, 0.16)), (100, 100))
    with pytest.raises(ValueError, match="15 × 15 pixels"):
        check_size(Edits(crop=Crop(0, 0, 0.15, 0.15)), (100, 100))
    check_size(Edits(crop=Crop(0.5, 0, 0.5, 1)), (40, 3))
    with pytest.raises(ValueError, match="Leave at least 16 × 3"):
        check_size(Edits(crop=Crop(0, 0, 0.5, 0.2)), (40, 3))
