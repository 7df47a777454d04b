"""Pictures that look alike have nearly the same fingerprint; others, and those without shape, do not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from portal.imaging.fingerprint import ALIKE_BITS
from portal.imaging.verify import Limits, verify
from tests import samples

DEMO = Path(__file__).resolve().parents[2] / "portal" / "demo_shop"


def looks(folder: Path, data: bytes, name: str = "picture.jpg") -> int | None:
    return verify(samples.write(folder, name, data), name, Limits()).fingerprint


def distance(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return ((one ^ other) & (2**64 - 1)).bit_count()


def again(data: bytes, format: str = "JPEG", scale: float = 1, **options: object) -> bytes:
    picture = Image.open(io.BytesIO(data))
    size = (round(picture.width * scale), round(picture.height * scale))
    return samples.save(picture.resize(size), format, **options)


@pytest.mark.parametrize("name", ["mug-front", "candle", "lamp-dark", "warehouse", "notebooks", "teapot"])
def test_a_photograph_saved_smaller_brighter_or_in_another_format_looks_the_same(tmp_path: Path, name: str):
    data = (DEMO / f"{name}.jpg").read_bytes()
    first = looks(tmp_path, data)
    brighter = samples.save(
        Image.open(io.BytesIO(data)).point([min(255, round(value * 1.15)) for value in range(256)] * 3), "JPEG"
    )
    for changed, ending in (
        (again(data, quality=50), "jpg"),
        (again(data, scale=0.3), "jpg"),
        (again(data, "WEBP", 0.6), "webp"),
        (again(data, "PNG", 0.5), "png"),
        (brighter, "jpg"),
    ):
        assert distance(first, looks(tmp_path, changed, f"picture.{ending}")) <= ALIKE_BITS


def test_different_pictures_look_different(tmp_path: Path):
    found = [looks(tmp_path, samples.shapes(number)) for number in range(12)]
    for at, one in enumerate(found):
        assert all(distance(one, other) > ALIKE_BITS for other in found[at + 1 :])


def test_it_is_a_signed_number_of_64_bits(tmp_path: Path):
    found = [looks(tmp_path, samples.shapes(number)) for number in range(40)]
    assert all(each is not None and -(2**63) <= each < 2**63 for each in found)
    assert {each < 0 for each in found if each is not None} == {True, False}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_that_of_the_upright_picture(tmp_path: Path, orientation: int):
    upright = Image.open(io.BytesIO(samples.shapes(3)))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation in back else upright
    exif = Image.Exif()
    exif[samples.ORIENTATION] = orientation
    turned = samples.save(stored, "JPEG", exif=exif)
    assert distance(looks(tmp_path, turned), looks(tmp_path, samples.shapes(3))) <= 2


def test_what_shows_through_is_white(tmp_path: Path):
    clear = Image.open(io.BytesIO(samples.shapes(5))).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 160, 240))
    white = Image.open(io.BytesIO(samples.shapes(5))).convert("RGB")
    white.paste("white", (0, 0, 160, 240))
    found = [looks(tmp_path, samples.save(picture, "PNG"), "picture.png") for picture in (clear, white)]
    assert found[0] is not None
    assert distance(*found) <= 2


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (300, 200), (90, 91, 92)),
        Image.linear_gradient("L").rotate(90),
        Image.linear_gradient("L").rotate(270),
        Image.linear_gradient("L"),
    ],
    ids=["white", "grey", "brighter", "darker", "downwards"],
)
def test_a_picture_without_shape_has_none(tmp_path: Path, picture: Image.Image):
    assert looks(tmp_path, samples.save(picture, "PNG"), "picture.png") is None


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (2, 3)])
def test_a_tiny_or_narrow_picture_is_no_trouble(tmp_path: Path, size: tuple[int, int]):
    looks(tmp_path, samples.save(samples.scene(*size), "PNG"), "picture.png")
