"""Renditions as WebP and AVIF: clear stays clear, what moves goes on moving, and AVIF is kept where it pays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from portal.errors import NotAnImage
from portal.imaging import modern
from portal.imaging.edits import Crop, Edits
from portal.imaging.modern import render_modern
from portal.imaging.pool import RenderPool
from portal.imaging.presets import PRESETS
from portal.imaging.render import render_bytes
from tests import samples

CLEAN = {"background", "loop", "duration", "timestamp"}


def opened(data: bytes, name: str = "small") -> Image.Image:
    rendered = render_modern(data, name)[0]
    picture = Image.open(io.BytesIO(rendered.data))
    assert (rendered.media_type, picture.format) == ("image/webp", "WEBP")
    assert picture.size == (rendered.width, rendered.height)
    assert set(picture.info) <= CLEAN
    return picture


def colour(picture: Image.Image, x: float, y: float) -> tuple[int, ...]:
    value = picture.convert("RGBA").getpixel((round(x * (picture.width - 1)), round(y * (picture.height - 1))))
    assert isinstance(value, tuple)
    return value


def is_near(found: tuple[int, ...], expected: tuple[int, ...], within: int = 40) -> bool:
    return all(abs(a - b) <= within for a, b in zip(found, expected, strict=True))


def films(picture: Image.Image) -> list[tuple[int, tuple[int, ...]]]:
    """Each frame: its milliseconds, and the colour of its middle."""
    found: list[tuple[int, tuple[int, ...]]] = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        picture.load()
        found.append((picture.info["duration"], colour(picture, 0.5, 0.5)))
    return found


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("data", [samples.jpeg(900, 600), samples.png(900, 600), samples.exif_rotated(6, 900, 600)])
def test_a_still_has_the_size_and_the_look_of_its_jpeg(name: str, data: bytes) -> None:
    (like,) = render_bytes(data, [name])
    picture, jpeg = opened(data, name), Image.open(io.BytesIO(like.data))
    assert picture.size == jpeg.size
    assert picture.mode == "RGB"
    for x, y in ((0.02, 0.02), (0.98, 0.02), (0.02, 0.98), (0.5, 0.5)):
        assert is_near(colour(picture, x, y), colour(jpeg, x, y))


def test_a_camera_picture_is_as_large_as_its_jpeg() -> None:
    for data in (samples.jpeg(4032, 3024), samples.png(2500, 100)):
        (jpeg,) = render_bytes(data, ["optimized"])
        assert opened(data, "optimized").size == (jpeg.width, jpeg.height)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_what_is_clear_stays_clear(format: str) -> None:
    picture = opened(samples.transparent(format))
    assert colour(picture, 0.1, 0.5)[3] == 0
    assert is_near(colour(picture, 0.9, 0.5), (255, 0, 0, 255))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("name", ["small", "icon", "optimized"])
def test_an_animation_keeps_its_frames_times_and_loop(format: str, name: str) -> None:
    data = samples.film(format, [(200, "red"), (70, "lime"), (1500, "blue")], loop=0)
    picture = opened(data, name)
    found = films(picture)
    assert [time for time, _ in found] == [200, 70, 1500]
    expected = [(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)]
    assert all(is_near(shown, wanted) for (_, shown), wanted in zip(found, expected, strict=True))
    assert picture.info["loop"] == 0


@pytest.mark.parametrize(
    ("format", "loop", "plays"),
    [("GIF", None, 1), ("GIF", 0, 0), ("GIF", 3, 4), ("WEBP", 1, 1), ("WEBP", 5, 5), ("PNG", 2, 2), ("PNG", 0, 0)],
)
def test_it_is_played_as_often_as_before(format: str, loop: int | None, plays: int) -> None:
    data = samples.film(format, [(100, "red"), (100, "blue")], **({} if loop is None else {"loop": loop}))
    assert opened(data).info["loop"] == plays


@pytest.mark.parametrize("hurried", [0, 10])
def test_frames_in_no_time_are_shown_as_browsers_show_them(hurried: int) -> None:
    assert {time for time, _ in films(opened(samples.film("GIF", [(hurried, "red"), (hurried, "blue")])))} == {100}


def test_frames_that_change_a_part_are_shown_whole() -> None:
    """A GIF's later frames hold only what differs; scaled alone they would lie in the wrong place."""
    whole = Image.new("RGB", (300, 200), "red")
    part = whole.copy()
    part.paste("blue", (200, 100, 300, 200))
    data = samples.save(whole, "GIF", save_all=True, append_images=[part], duration=100, loop=0)
    picture = opened(data)
    picture.seek(1)
    assert is_near(colour(picture, 0.1, 0.1), (255, 0, 0, 255))
    assert is_near(colour(picture, 0.95, 0.95), (0, 0, 255, 255))


def test_a_clear_animation_stays_clear() -> None:
    frames = [Image.new("RGBA", (80, 60), (0, 0, 0, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((255, 0, 0, 255), (40 * number, 0, 40 * number + 40, 60))
    data = samples.save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0, disposal=2)
    picture = opened(data)
    picture.seek(1)
    assert colour(picture, 0.1, 0.5)[3] == 0
    assert is_near(colour(picture, 0.9, 0.5), (255, 0, 0, 255))


def test_the_still_of_an_animated_png_is_no_part_of_the_film() -> None:
    frames = [Image.new("RGB", (80, 60), name) for name in ("white", "red", "blue")]
    data = samples.save(
        frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True, duration=[100, 200], loop=0
    )
    found = films(opened(data))
    assert len(found) == 2
    assert is_near(found[0][1], (255, 0, 0, 255))


def test_edits_and_focal_point_are_kept_in_every_frame() -> None:
    data = samples.animated("GIF", width=120, height=80)
    edits = Edits(rotate=90, crop=Crop(0.0, 0.0, 0.5, 1.0))
    rendered = render_modern(data, "small", None, edits)[0]
    (jpeg,) = render_bytes(data, ["small"], None, edits)
    picture = Image.open(io.BytesIO(rendered.data))
    assert (rendered.width, rendered.height) == (jpeg.width, jpeg.height) == (80, 60)
    assert getattr(picture, "n_frames", 1) == 4
    assert is_near(colour(picture, 0.95, 0.03), (255, 0, 0, 255), 60)  # left top, turned to the right


def test_a_film_too_long_for_its_box_is_made_smaller_and_where_the_box_is_to_be_filled_a_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modern, "MOST_FRAME_PIXELS", 40 * 30 * 4)
    data = samples.animated("GIF", width=120, height=90)
    picture = opened(data, "small")
    assert (picture.size, getattr(picture, "n_frames", 1)) == ((40, 30), 4)
    still = opened(data, "icon")
    assert (still.size, getattr(still, "n_frames", 1)) == ((64, 64), 1)


def test_nothing_but_pixels_is_in_it() -> None:
    for data in (samples.with_location(), samples.gif(comment=b"SECRET"), samples.with_location_in("WEBP")):
        assert b"SECRET" not in render_modern(data, "large")[0].data
        opened(data, "large")


def test_a_wide_space_becomes_srgb_in_every_frame() -> None:
    picture = Image.new("RGB", (80, 60), (0, 200, 0))
    frames = [Image.new("RGB", (80, 60), (0, 200, number)) for number in (40, 80)]
    data = samples.save(
        picture,
        "WEBP",
        save_all=True,
        append_images=frames,
        lossless=True,
        duration=100,
        icc_profile=samples.rgb_profile("Adobe RGB"),
    )
    for _, shown in films(opened(data)):
        assert is_near(shown[:2], (0, 202), 10)


def test_a_damaged_original_is_named_so() -> None:
    for data in (samples.truncated(), samples.animated("WEBP")[:200], b"nothing"):
        with pytest.raises(NotAnImage, match="original"):
            render_modern(data, "small")


async def test_the_pool_makes_it_in_a_child(render_pool: RenderPool, tmp_path: Path) -> None:
    path = samples.write(tmp_path, "original", samples.animated("GIF"))
    (rendered,) = await render_pool.render(path, ["small"], modern=True)
    assert [rendered] == render_modern(samples.animated("GIF"), "small")


def both(data: bytes, name: str = "card", edits: Edits = Edits()) -> Sequence[Image.Image]:  # noqa: B008 - frozen
    made = render_modern(data, name, None, edits)
    pictures = [Image.open(io.BytesIO(each.data)) for each in made]
    assert [(each.width, each.height) for each in made] == [picture.size for picture in pictures]
    assert [each.media_type for each in made] == [f"image/{(picture.format or '').lower()}" for picture in pictures]
    return pictures


@pytest.mark.parametrize("name", PRESETS)
def test_of_a_photograph_the_smaller_avif_comes_too_and_looks_alike(name: str) -> None:
    data, edits = samples.noisy(900, 600, 80), Edits(rotate=90)
    made = render_modern(data, name, None, edits)
    webp, avif = both(data, name, edits) if len(made) == 2 else (None, None)
    if webp is None or avif is None:
        assert name in ("icon", "small", "medium")  # where the noise is averaged away
        return
    assert len(made[1].data) < len(made[0].data)
    assert (avif.format, avif.size, avif.mode) == ("AVIF", webp.size, "RGB")
    assert set(avif.info) <= {"timestamp", "duration"}
    small = (8, 8)
    pairs = zip(webp.resize(small).get_flattened_data(), avif.resize(small).get_flattened_data(), strict=True)
    for one, other in pairs:
        assert isinstance(one, tuple)
        assert isinstance(other, tuple)
        assert is_near(one, other, 24)


def test_where_avif_is_not_smaller_and_where_it_moves_there_is_none() -> None:
    for data in (samples.jpeg(640, 480), samples.animated("GIF"), samples.animated("WEBP"), samples.animated("PNG")):
        assert [picture.format for picture in both(data, "small")] == ["WEBP"]


def test_what_is_clear_stays_clear_in_avif() -> None:
    picture = Image.open(io.BytesIO(samples.noisy(400, 300))).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 200, 300))
    _, avif = both(samples.save(picture, "PNG"))
    assert colour(avif, 0.2, 0.5)[3] < 10
    assert colour(avif, 0.8, 0.5)[3] > 245


def test_an_encoder_that_gives_up_costs_only_the_avif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern, "AVIF_QUALITY", 1000)
    assert [picture.format for picture in both(samples.noisy())] == ["WEBP"]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 2000), (2000, 1)])
def test_the_oddest_shapes_can_be_made(size: tuple[int, int]) -> None:
    assert both(samples.jpeg(*size), "gallery")[0].size[0] <= 800
