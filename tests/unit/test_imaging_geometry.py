from __future__ import annotations

import pytest

from portal.imaging.geometry import covers, crop_to_fill, fit_within, jpeg_scale, upright


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((4000, 3000), (800, 600), (800, 600)),
        ((3000, 4000), (800, 600), (450, 600)),
        ((4288, 2848), (150, 150), (150, 100)),
        ((100, 80), (800, 600), (100, 80)),
        ((1, 20_000), (150, 150), (1, 150)),
        ((20_000, 1), (2048, 2048), (2048, 1)),
    ],
)
def test_a_whole_picture_fits_its_box_and_is_never_enlarged(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
):
    assert fit_within(size, box) == expected


@pytest.mark.parametrize(
    ("focal_point", "expected"),
    [
        ((0.5, 0.5), (200, 0, 600, 400)),
        ((0, 0), (0, 0, 400, 400)),
        ((1, 1), (400, 0, 800, 400)),
        ((0.3, 0.9), (40, 0, 440, 400)),
    ],
)
def test_a_crop_follows_the_focal_point_up_to_the_edge(
    focal_point: tuple[float, float], expected: tuple[float, float, float, float]
):
    assert crop_to_fill((800, 400), (64, 64), focal_point) == pytest.approx(expected)


def test_a_crop_of_a_tiny_picture_stays_inside_it():
    left, top, right, bottom = crop_to_fill((1, 7), (400, 300), (0.5, 0.99))
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 7
    assert (right - left) / (bottom - top) == pytest.approx(400 / 300)


@pytest.mark.parametrize(("side", "scale"), [(4032, 2), (6400, 4), (12_800, 8), (3000, 1), (3264, 2)])
def test_the_decoder_scales_as_far_as_the_least_side_allows(side: int, scale: int):
    assert jpeg_scale((side, 1000), 1600) == scale


def test_orientations_from_five_on_swap_the_sides():
    assert [upright((4, 3), n) for n in (1, 4, 5, 8)] == [(4, 3), (4, 3), (3, 4), (3, 4)]


def test_a_step_covers_a_box_only_on_both_sides():
    assert covers((400, 300), (400, 300))
    assert not covers((399, 600), (400, 300))
