"""The one place where bytes become a Pillow picture: only our four decoders, warnings of bombs are errors."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Generator
from typing import cast

from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from portal.imaging.formats import Format
from portal.imaging.stopwatch import stage

STRIP_PIXELS = 4_000_000

_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,  # Image.open would make an MPO of some
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}


@contextlib.contextmanager
def open_picture(data: bytes, format: Format, max_pixels: int) -> Generator[ImageFile.ImageFile]:
    """Raises whatever the decoder raises (OSError, SyntaxError, ValueError, …): callers name it for people."""
    Image.MAX_IMAGE_PIXELS = max_pixels  # also for frames inside, which a header need not announce
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities in metadata
        # Pillow only refuses above twice its limit; below, it warns.
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        with _DECODERS[format.name](io.BytesIO(data)) as picture:
            yield picture


def scale_decoder(picture: ImageFile.ImageFile, scale: int) -> None:
    """Have a JPEG decoded at 1/scale. Other formats can't, and are left as they are."""
    if scale > 1:
        picture.draft(None, (max(1, picture.width // scale), max(1, picture.height // scale)))


def load_still(picture: ImageFile.ImageFile) -> None:
    """Decode what is shown, and let go of what a decoder keeps for the frames after it: of a WebP, thrice as much."""
    with stage("decode"):
        picture.load()
    if isinstance(picture, WebPImagePlugin.WebPImageFile):
        picture.fp = None
        picture._decoder = None  # pyright: ignore[reportPrivateUsage]  # it has no other way to end it


def resample(
    picture: Image.Image,
    size: tuple[int, int],
    method: Image.Resampling = Image.Resampling.LANCZOS,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """By whole numbers first, then by the method: in a cascade LANCZOS then costs no more than BICUBIC alone."""
    if picture.mode in ("LA", "RGBA") and box is None:
        picture = _reduce_in_strips(picture, min(picture.width // size[0], picture.height // size[1]))
    return picture.resize(size, method, box, reducing_gap=1.01)  # pyright: ignore[reportUnknownMemberType]  # so typed in Pillow


def _reduce_in_strips(picture: Image.Image, factor: int) -> Image.Image:
    """To a whole fraction. Pillow weighs colours by their opacity on a copy of all it is given: of a strip, that is little."""
    if factor < 2:
        return picture
    small = Image.new(picture.mode, (-(-picture.width // factor), -(-picture.height // factor)))
    height = max(STRIP_PIXELS // picture.width // factor, 1) * factor
    for top in range(0, picture.height, height):
        strip = picture.crop((0, top, picture.width, min(top + height, picture.height)))
        small.paste(strip.reduce(factor), (0, top // factor))
    return small


def to_8_bit(picture: Image.Image) -> Image.Image:
    """L, LA, RGB, RGBA or CMYK from any mode that our decoders give; transparency only as a channel."""
    if picture.mode in ("LA", "RGBA"):
        return picture
    if picture.mode.startswith("I"):
        return _from_16_bit(picture)
    if picture.has_transparency_data:  # of a palette, or one colour that counts as clear
        return _with_8_bit_key(picture).convert("RGBA")
    if picture.mode in ("L", "RGB", "CMYK"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _from_16_bit(picture: Image.Image) -> Image.Image:
    """Pillow's own convert() would clip everything above 255 to white."""
    grey = picture.point(_upper_byte).convert("L")  # pyright: ignore[reportUnknownMemberType]  # so typed in Pillow
    clear = grey.info.pop("transparency", None)
    if isinstance(clear, int):  # in 16 bits, of which each counts
        opaque = [255] * 65536
        opaque[clear & 0xFFFF] = 0
        grey.putalpha(picture.convert("I").point(opaque, "L"))  # pyright: ignore[reportUnknownMemberType]  # so typed in Pillow
    return grey


def _with_8_bit_key(picture: Image.Image) -> Image.Image:
    """Of a picture that had 16 bits, the decoder leaves the clear colour as it was."""
    key: object = picture.info.get("transparency")
    if picture.mode == "RGB" and isinstance(key, tuple):
        channels = [int(value) for value in cast(tuple[int, ...], key)]
        if max(channels) > 255:
            picture.info["transparency"] = tuple(value >> 8 for value in channels)
    return picture


def _upper_byte(value: float) -> float:
    return value * (1 / 256)


def on_white(picture: Image.Image) -> Image.Image:
    """What shows through is white, as a web page is."""
    if picture.mode not in ("LA", "RGBA"):
        return picture
    white = Image.new(picture.mode[:-1], picture.size, "white")
    white.paste(picture.convert(white.mode), mask=picture.getchannel("A"))
    return white


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(picture: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
