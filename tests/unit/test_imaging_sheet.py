"""Contact sheets: what stands where, whole and in order; A4; words that fit; nothing that names places, people or programs."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from PIL import Image, ImageChops, ImageDraw

from portal.imaging.lettering import Typeface
from portal.imaging.sheet import A4, JPEG_WIDTH, MOST, Drawn, Form, Sheet, columns_of, draw_sheet
from tests import samples

COLOURS = [(200, 40, 40), (40, 160, 60), (40, 70, 200), (210, 180, 40), (150, 40, 160), (40, 170, 180)]
COLOURS += [
    (120, 120, 30),
    (240, 120, 20),
    (90, 50, 20),
    (20, 90, 90),
    (130, 130, 240),
    (240, 120, 190),
    (255, 150, 150),
]


def plain(number: int, size: tuple[int, int] = (800, 600)) -> bytes:
    return samples.save(Image.new("RGB", size, COLOURS[number % len(COLOURS)]), "JPEG", quality=95)


def drawn(form: Form, count: int, *, size: tuple[int, int] = (800, 600), caption: str = "", more: int = 0) -> Drawn:
    sheet = Sheet("Fjord mug", "MUG-1", "22 November 2026", "pictures.example.com", (caption,) * count, more)
    return draw_sheet(sheet, form, lambda number: plain(number, size))


def pages(made: Drawn, scale: int = 1) -> list[Image.Image]:
    with pypdfium2.PdfDocument(made.data) as pdf:
        return [page.render(scale=scale).to_pil().convert("RGB") for page in pdf]


def box_of(page: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    apart = ImageChops.difference(page, Image.new("RGB", page.size, colour))
    near = [channel.point([255 * (value < 12) for value in range(256)]) for channel in apart.split()]
    box = ImageChops.darker(ImageChops.darker(near[0], near[1]), near[2]).getbbox()
    assert box is not None
    return box


def is_white(part: Image.Image) -> bool:
    """But for what JPEG adds at edges."""
    return part.convert("L").getextrema()[0] > 235  # type: ignore[operator]  # of one channel


@pytest.mark.parametrize(("count", "length"), [(0, 1), (1, 1), (6, 1), (12, 1), (13, 2), (25, 3)])
def test_a_pdf_has_pages_of_exactly_a4(count: int, length: int) -> None:
    with pypdfium2.PdfDocument(drawn("pdf", count).data) as pdf:
        assert [page.get_size() for page in pdf] == [pytest.approx(A4, abs=0.001)] * length


@pytest.mark.parametrize(("form", "count"), [("pdf", 13), ("jpg", 13), ("pdf", 5), ("jpg", 3)])
def test_pictures_stand_in_their_order_row_by_row(form: Form, count: int) -> None:
    made = drawn(form, count)
    found = pages(made) if form == "pdf" else [Image.open(io.BytesIO(made.data)).convert("RGB").reduce(4)]
    columns = columns_of(form, count)
    on_page = 12 if count > 6 and form == "pdf" else count
    for number in range(count):
        page = found[number // on_page]
        left, top, right, bottom = box_of(page, COLOURS[number])
        assert (right - left) / (bottom - top) == pytest.approx(4 / 3, rel=0.05)
        if number % on_page and number % columns:
            before = box_of(page, COLOURS[number - 1])
            assert (left > before[2], abs(top - before[1]) < 2) == (True, True)
        elif number % on_page:
            assert top > box_of(page, COLOURS[number - columns])[3]


@pytest.mark.parametrize("size", [(300, 900), (900, 300), (40, 30)])
def test_a_picture_of_any_shape_is_whole(size: tuple[int, int]) -> None:
    (page,) = pages(drawn("pdf", 2, size=size), scale=2)
    left, top, right, bottom = box_of(page, COLOURS[1])
    assert (right - left) / (bottom - top) == pytest.approx(size[0] / size[1], rel=0.05)


@pytest.mark.parametrize("caption", ["W" * 500, "word " * 200, "Ж" * 300, "a\nb\tc\u202ed", "\U0001f600" * 40])
def test_captions_stay_under_their_picture(caption: str) -> None:
    (page,) = pages(drawn("pdf", 12, caption=caption))
    boxes = [box_of(page, COLOURS[number]) for number in range(12)]
    for first, second in ((0, 1), (1, 2)):
        between = page.crop((boxes[first][2] + 3, 0, boxes[second][0] - 3, page.height)).crop((0, 100, 8, 780))
        assert is_white(between)
    assert is_white(page.crop((558, 0, page.width, page.height)))
    assert is_white(page.crop((0, boxes[0][3] + 28, page.width, boxes[3][1] - 2)))


def test_letters_of_many_scripts_are_drawn() -> None:
    def looks(text: str) -> bytes:
        picture = Image.new("RGB", (60, 60), "white")
        Typeface(40).draw(ImageDraw.Draw(picture), (5, 45), text, "black")
        return picture.tobytes()

    letters = "AéğżЖѣІΩἈạ€“№"
    assert len({looks(letter) for letter in letters} | {looks("\U0010fffd")}) == len(letters) + 1


def test_what_does_not_fit_on_a_line_ends_in_an_ellipsis() -> None:
    face = Typeface(20)
    assert face.lines("", 100, 2) == []
    assert face.lines("short", 100, 2) == ["short"]
    for text in ("one two three four five six seven eight", "x" * 90, "x " + "y" * 90):
        lines = face.lines(text, 120, 2)
        assert len(lines) == 2
        assert lines[-1].endswith("…")
        assert max(face.width(line) for line in lines) <= 120
    assert face.lines("abc", 1, 2)  # as narrow as nothing: it ends all the same


def test_nothing_on_it_says_who_made_it_or_where() -> None:
    sheet = Sheet("Кружка (Fjord)", "", "", "", ("",), 0)
    with_place = [samples.with_location()]
    pdf = draw_sheet(sheet, "pdf", with_place.__getitem__).data
    jpeg = draw_sheet(sheet, "jpg", with_place.__getitem__).data
    for word in (b"SECRET", b"Canon", b"Pillow", b"Exif", b"driver", b"CreationDate", b"ModDate", b"Producer"):
        assert word not in pdf + jpeg
    with pypdfium2.PdfDocument(pdf) as document:
        said = {name: value for name, value in document.get_metadata_dict().items() if value}
    assert said == {"Title": "Кружка (Fjord)"}
    assert set(Image.open(io.BytesIO(jpeg)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize("broken", [None, b"", b"\xff\xd8\xff\xe0 cut", samples.jpeg()[:900], b"GIF89a"])
def test_a_picture_that_cannot_be_read_leaves_its_place_empty(broken: bytes | None) -> None:
    sheet = Sheet("Mug", "", "", "", ("", ""), 0)
    made = draw_sheet(sheet, "pdf", lambda number: plain(0) if number == 0 else broken)
    assert not made.is_whole
    box_of(pages(made)[0], COLOURS[0])
    assert draw_sheet(sheet, "pdf", plain).is_whole


def test_an_empty_one_says_so_and_one_of_many_says_how_many_more() -> None:
    def words(made: Drawn) -> Image.Image:
        return Image.open(io.BytesIO(made.data)).convert("L").point([255 * (value < 200) for value in range(256)])

    empty = words(drawn("jpg", 0))
    assert empty.width == JPEG_WIDTH
    assert empty.crop((0, 430, JPEG_WIDTH, 560)).getbbox()
    last = words(drawn("jpg", MOST["jpg"], more=12))
    foot = (JPEG_WIDTH // 3, last.height - 180, JPEG_WIDTH * 2 // 3, last.height)
    assert last.crop(foot).getbbox()
    assert not words(drawn("jpg", MOST["jpg"])).crop(foot).getbbox()
