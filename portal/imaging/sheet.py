"""Contact sheets: a gallery with its captions on one picture, or on pages of A4. Pictures and words in, bytes out.

Lengths are points (1/72 inch) until they are drawn.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from PIL import Image, ImageDraw

from portal.errors import NotAnImage
from portal.imaging import geometry
from portal.imaging.decode import on_white, open_picture, resample, to_8_bit
from portal.imaging.formats import sniff
from portal.imaging.lettering import Typeface, Weight
from portal.imaging.render import MAX_PIXELS, named_for_people

Form = Literal["jpg", "pdf"]
MOST: Final[dict[Form, int]] = {"jpg": 24, "pdf": 144}  # pictures
A4: Final = (595.2755905511812, 841.8897637795277)  # 210 x 297 mm
JPEG_WIDTH: Final = 2480  # as A4 at 300 dpi
PDF_SCALE: Final = 3.0  # pixels a point: 216 dpi
_MARGIN, _GAP, _TOP, _BOTTOM = 40, 14, 100, 64
_LABEL = 30  # under a picture: two lines, and air
_ROWS: Final = {1: 1, 2: 3, 3: 4}  # of a page, by columns
_INK, _MUTED, _MAT, _LINE = "#14181f", "#5b6472", "#f3f4f6", "#dde0e5"


@dataclass(frozen=True)
class Sheet:
    """What is said on it. `captions`: one for each picture; `more` pictures are left out."""

    title: str
    subtitle: str
    date: str
    credit: str
    captions: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class Drawn:
    """`is_whole`: no picture was missing or broken."""

    data: bytes
    is_whole: bool


@dataclass(frozen=True)
class _Layout:
    """`height` is a page's, `rows` how many there are on one."""

    scale: float
    columns: int
    rows: int
    height: float
    label: float
    is_paged: bool

    @property
    def size(self) -> geometry.Size:
        return round(A4[0] * self.scale), round(self.height * self.scale)

    @property
    def cell(self) -> tuple[float, float]:
        """A picture's place, 4:3."""
        width = (A4[0] - 2 * _MARGIN - (self.columns - 1) * _GAP) / self.columns
        return width, width * 0.75

    def corner(self, place: int) -> tuple[float, float]:
        row, column = divmod(place, self.columns)
        width, height = self.cell
        return _MARGIN + column * (width + _GAP), _TOP + row * (height + self.label + _GAP)

    def px(self, length: float) -> int:
        return round(length * self.scale)

    def typeface(self, points: float, weight: Weight = 400) -> Typeface:
        return Typeface(round(points * self.scale), weight)


def columns_of(form: Form, count: int) -> int:
    """How many pictures stand side by side: few are shown larger."""
    if form == "pdf":
        return 1 if count == 1 else 2 if count <= 6 else 3
    return min(4, max(1, math.ceil(math.sqrt(count))))


def draw_sheet(sheet: Sheet, form: Form, read: Callable[[int], bytes | None]) -> Drawn:
    """`read` gives the bytes of the picture with this number, or None where they are missing: its place stays empty."""
    layout = _layout(sheet, form)
    holes: list[int] = []

    def picture(number: int) -> Image.Image | None:
        try:
            return _opened(read(number))
        except NotAnImage:
            holes.append(number)
            return None

    pages = list(_pages(sheet, layout, picture))
    data = _jpeg(pages[0]) if form == "jpg" else _pdf(sheet.title, pages)
    return Drawn(data, is_whole=not holes)


def _layout(sheet: Sheet, form: Form) -> _Layout:
    count = len(sheet.captions)
    columns = columns_of(form, count)
    if form == "pdf":
        return _Layout(PDF_SCALE, columns, _ROWS[columns], A4[1], _LABEL, is_paged=True)
    rows = max(1, math.ceil(count / columns))
    label = _LABEL if any(sheet.captions) else 0
    layout = _Layout(JPEG_WIDTH / A4[0], columns, rows, A4[1], label, is_paged=False)
    end = layout.corner(rows * columns)[1] - _GAP if count else _TOP + 60
    return replace(layout, height=end + _BOTTOM)


def _opened(data: bytes | None) -> Image.Image:
    """Upright and in sRGB, as every rendition is. Raises NotAnImage."""
    with named_for_people():
        format = sniff(data[:16]) if data else None
        if data is None or format is None:
            raise ValueError("no picture")
        with open_picture(data, format, MAX_PIXELS) as picture:
            picture.load()
            return on_white(to_8_bit(picture)).convert("RGB")


def _pages(sheet: Sheet, layout: _Layout, picture: Callable[[int], Image.Image | None]) -> Iterator[Image.Image]:
    count, on_page = len(sheet.captions), layout.columns * layout.rows
    last = max(1, math.ceil(count / on_page))
    for number in range(last):
        page = Image.new("RGB", layout.size, "white")
        draw = ImageDraw.Draw(page)
        _draw_head(draw, layout, sheet)
        _draw_foot(draw, layout, sheet, number + 1, last)
        for place, which in enumerate(range(number * on_page, min(count, (number + 1) * on_page))):
            _draw_picture(page, draw, layout, place, picture(which), sheet.captions[which])
        if not count:
            where = layout.px(_MARGIN), layout.px(_TOP + 24)
            layout.typeface(11).draw(draw, where, "There are no pictures here yet.", _MUTED)
        yield page


def _draw_head(draw: ImageDraw.ImageDraw, layout: _Layout, sheet: Sheet) -> None:
    title, words = layout.typeface(20, 600), layout.typeface(9.5)
    left, right = layout.px(_MARGIN), layout.px(A4[0] - _MARGIN)
    date_width = words.width(sheet.date)
    for line in title.lines(sheet.title, right - left, 1):
        title.draw(draw, (left, layout.px(56)), line, _INK)
    baseline = layout.px(74)
    for line in words.lines(sheet.subtitle, right - left - date_width - layout.px(20), 1):
        words.draw(draw, (left, baseline), line, _MUTED)
    words.draw(draw, (right - date_width, baseline), sheet.date, _MUTED)
    _draw_rule(draw, layout, 84)


def _draw_foot(draw: ImageDraw.ImageDraw, layout: _Layout, sheet: Sheet, number: int, last: int) -> None:
    words, strong = layout.typeface(8), layout.typeface(8, 600)
    _draw_rule(draw, layout, layout.height - 46)
    left, right = layout.px(_MARGIN), layout.px(A4[0] - _MARGIN)
    baseline = layout.px(layout.height - 32)
    if number == last and sheet.more:
        more = f"and {sheet.more:,} more"
        strong.draw(draw, (layout.size[0] / 2 - strong.width(more) / 2, baseline), more, _INK)
    for line in words.lines(sheet.credit, layout.size[0] * 0.35, 1):
        words.draw(draw, (left, baseline), line, _MUTED)
    page = f"{number} of {last}"
    if layout.is_paged:
        words.draw(draw, (right - words.width(page), baseline), page, _MUTED)


def _draw_rule(draw: ImageDraw.ImageDraw, layout: _Layout, y: float) -> None:
    draw.rectangle((layout.px(_MARGIN), layout.px(y), layout.px(A4[0] - _MARGIN), layout.px(y + 0.6)), fill=_LINE)


def _draw_picture(
    page: Image.Image, draw: ImageDraw.ImageDraw, layout: _Layout, place: int, picture: Image.Image | None, caption: str
) -> None:
    """Whole, in the middle of its mat; under it the caption."""
    left, top, width, height = (layout.px(length) for length in (*layout.corner(place), *layout.cell))
    tile = Image.new("RGB", (width, height), _MAT)
    if picture is not None:
        scale = min(width / picture.width, height / picture.height)
        fitted = resample(picture, (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
        tile.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    radius = layout.px(4)
    page.paste(tile, (left, top), _rounded((width, height), radius))
    frame = (left, top, left + width - 1, top + height - 1)
    draw.rounded_rectangle(frame, radius, outline=_LINE, width=max(1, radius // 6))
    words = layout.typeface(8.5)
    for number, line in enumerate(words.lines(caption, width, 2)):
        words.draw(draw, (left, top + height + layout.px(12.5 + 11 * number)), line, _INK)


def _rounded(size: geometry.Size, radius: int) -> Image.Image:
    mask = Image.new("L", (size[0] * 2, size[1] * 2))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] * 2 - 1, size[1] * 2 - 1), radius * 2, fill=255)
    return mask.reduce(2)


def _jpeg(page: Image.Image) -> bytes:
    out = io.BytesIO()
    page.save(out, "JPEG", quality=85, optimize=True, subsampling=0)  # letters fray when colours are coarser
    return out.getvalue()


def _pdf(title: str, pages: Sequence[Image.Image]) -> bytes:
    out = io.BytesIO()
    dpi = tuple(72 * pixels / points for pixels, points in zip(pages[0].size, A4, strict=True))
    about: dict[str, Any] = {"title": title, "creationDate": None, "modDate": None}
    how: dict[str, Any] = {"quality": 85, "subsampling": 0, "optimize": True, "dpi": dpi}
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], **about, **how)
    return _without_maker(out.getvalue())


def _without_maker(pdf: bytes) -> bytes:
    """The comment that names the program made blank, so that nothing else in the file moves."""
    head, end, rest = pdf.partition(b"driver\n")
    kept = head.split(b"\n", 1)[0] + b"\n"
    return kept + b"%" + b" " * (len(head) + len(end) - len(kept) - 2) + b"\n" + rest
