"""Text on pictures: Inter, as on our pages, in the files that cover its letters; and what this machine has for the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

Weight = Literal[400, 600]
ELLIPSIS: Final = "…"
LONGEST: Final = 400  # characters that are looked at: no two lines hold more
_FONTS: Final = Path(__file__).resolve().parents[2] / "static" / "fonts"
# Which file has which letters, as the typeface's maker cut it for the web; the first that has a letter draws it.
_INTER: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "inter-latin": (
        *((0x20, 0xFF), (0x131, 0x131), (0x152, 0x153), (0x2BB, 0x2BC), (0x2C6, 0x2C6), (0x2DA, 0x2DA), (0x2DC, 0x2DC)),
        *((0x2000, 0x206F), (0x20AC, 0x20AC), (0x2122, 0x2122), (0x2191, 0x2191), (0x2193, 0x2193), (0x2212, 0x2215)),
    ),
    "inter-latin-ext": ((0x100, 0x2FF), (0x1D00, 0x1DBF), (0x1E00, 0x1E9F), (0x20A0, 0x20C0), (0x2113, 0x2113)),
    "inter-cyrillic": ((0x400, 0x45F), (0x490, 0x491), (0x4B0, 0x4B1), (0x2116, 0x2116)),
    "inter-cyrillic-ext": ((0x460, 0x52F), (0x1C80, 0x1C8A), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "inter-greek": ((0x370, 0x3FF),),
    "inter-greek-ext": ((0x1F00, 0x1FFF),),
    "inter-vietnamese": (
        (0x300, 0x301),
        (0x303, 0x304),
        (0x308, 0x309),
        (0x323, 0x323),
        (0x329, 0x329),
        (0x1EA0, 0x1EF9),
    ),
}
_LATIN: Final = "inter-latin"
_ELSEWHERE: Final = (  # Chinese, Japanese, Korean and more, where a distribution has put it
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
)
_NO_LETTER: Final = "\uffff"


class Typeface:
    """Inter in one size (pixels) and weight."""

    def __init__(self, size: int, weight: Weight = 400) -> None:
        self.size, self._weight = size, weight

    def width(self, text: str) -> float:
        return sum(font.getlength(part) for font, part in self._parts(text))

    def draw(self, on: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: str) -> None:
        """`at`: where its baseline begins."""
        x, y = at
        for font, part in self._parts(text):
            on.text((x, y), part, fill=colour, font=font, anchor="ls")
            x += font.getlength(part)

    def lines(self, text: str, width: float, most: int) -> list[str]:
        """At most `most` lines that are no wider than this; what does not fit ends in an ellipsis."""
        words, lines = " ".join(text[:LONGEST].split()), list[str]()
        while words and len(lines) < most:
            line = self._head(words, width, is_last=len(lines) == most - 1)
            words = words[len(line) :].lstrip()
            lines.append(line.rstrip())
        if words and lines:
            lines[-1] = self._cut(f"{lines[-1]}{ELLIPSIS}", width)
        return lines

    def _head(self, words: str, width: float, *, is_last: bool) -> str:
        """What goes on one line: to the end of a word where one fits, as much as fits on the last line."""
        if self.width(words) <= width:
            return words
        fitting = max(1, self._fitting(words, width))
        if is_last or words[fitting] == " ":
            return words[:fitting]
        end = words.rfind(" ", 0, fitting)
        return words[: end if end > 0 else fitting]

    def _fitting(self, text: str, width: float) -> int:
        """How many of its characters fit."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(text[:middle]) <= width else (low, middle - 1)
        return low

    def _cut(self, text: str, width: float) -> str:
        if self.width(text) <= width:
            return text
        kept = text.removesuffix(ELLIPSIS)
        return kept[: self._fitting(kept, width - self.width(ELLIPSIS))].rstrip() + ELLIPSIS

    def _parts(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        for file, letters in groupby(text, _file_for):
            yield _font(file, self.size, self._weight), "".join(letters)


@lru_cache(maxsize=4096)
def _file_for(letter: str) -> str:
    """The name of one of our files, or the path of one of the machine's; ours draws a box where nobody has the letter."""
    code = ord(letter)
    for name, ranges in _INTER.items():
        if any(first <= code <= last for first, last in ranges):
            return name
    return next((path for path in _ELSEWHERE if _has(path, letter)), _LATIN)


def _has(path: str, letter: str) -> bool:
    if not Path(path).is_file():
        return False
    return _looks(path, letter) != _looks(path, _NO_LETTER)


def _looks(path: str, letter: str) -> bytes:
    picture = Image.new("L", (32, 32))
    ImageDraw.Draw(picture).text((4, 4), letter, fill=255, font=_font(path, 16, 400))
    return picture.tobytes()


@cache
def _font(file: str, size: int, weight: int) -> ImageFont.FreeTypeFont:
    if file not in _INTER:
        return ImageFont.truetype(file, size)
    font = ImageFont.truetype(_FONTS / f"{file}-opsz.woff2", size)
    font.set_variation_by_axes([min(max(size // 3, 14), 32), weight])  # optical size as on paper, weight
    return font
