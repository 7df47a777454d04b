"""What Accept says of better formats, whatever it holds."""

from __future__ import annotations

import pytest

from portal.media.accept import taken

CHROME = b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        (b"image/webp", ("webp",)),
        (b"image/avif", ("avif",)),
        (CHROME, ("avif", "webp")),
        (b"image/webp,image/avif", ("avif", "webp")),
        (b"image/png, image/webp ;q=0.5", ("webp",)),
        (b"IMAGE/WebP", ("webp",)),
        (b"image/avif;q=0,image/webp", ("webp",)),
        (b"image/avif;q=0.2,image/webp;q=0.9", ("webp", "avif")),
        (b"image/avif; level=3; q = 0.9,image/webp;q=0.8", ("avif", "webp")),
        (b"image/jpeg,image/avif;q=0.9,image/webp", ("webp",)),
        (b"image/jpeg,image/webp;q=0.5", ()),
        (b"image/webp;q=0", ()),
        (b"image/webp; q=0.000, */*", ()),
        (b"image/webp;q=nan", ("webp",)),
        (b"image/webp;q=-1", ("webp",)),
        (b"image/*", ()),
        (b"*/*", ()),
        (b"image/webpx", ()),
        (b"", ()),
    ],
)
def test_only_what_is_named_is_taken_and_the_best_liked_first(accept: bytes, takes: tuple[str, ...]) -> None:
    assert taken([(b"host", b"localhost"), (b"accept", accept)]) == takes


def test_a_list_in_several_lines_is_one_list() -> None:
    assert taken([(b"accept", b"image/webp"), (b"accept", b"image/avif")]) == ("avif", "webp")


@pytest.mark.parametrize(
    "accept",
    [b"image/webp," * 10_000, b"image/webp" + b";" * 100_000, b"x" * 100_000 + b",image/webp", b"," * 50_000],
)
def test_what_no_browser_sends_is_not_even_read(accept: bytes) -> None:
    assert taken([(b"accept", accept)]) == ()


@pytest.mark.parametrize(
    "accept", [b"\xff\xfe\x00,image/webp", b";;;=,,image/webp;q", b"q=1;image/avif,image/webp;=;q=1;q=0"]
)
def test_garbage_beside_it_does_no_harm(accept: bytes) -> None:
    assert taken([(b"accept", accept)]) == ("webp",)
