"""One rendition in the formats of today: WebP, which keeps what JPEG can't (transparency, an animation with its times), and AVIF.

Measured on camera photographs at `gallery`: 0.02 s of CPU for the WebP and 0.03 s for the AVIF, which is a seventh smaller.
Of drawings and smooth pictures the WebP is smaller.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import AvifImagePlugin, Image, ImageFile

from portal.imaging import geometry
from portal.imaging.colour import to_srgb
from portal.imaging.decode import load_still, open_picture, resample, scale_decoder, to_8_bit, turn_upright
from portal.imaging.edits import NONE, Edits
from portal.imaging.exif import read_exif, read_orientation
from portal.imaging.formats import sniff
from portal.imaging.presets import OPTIMIZED_LEAST, OPTIMIZED_MOST, PRESETS, UNCHANGED, Changes, Preset, presets_with
from portal.imaging.render import MAX_PIXELS, Rendered, cut_out, named_for_people, reach, shrink
from portal.imaging.stopwatch import stage

WEBP, AVIF = "image/webp", "image/avif"
QUALITY, METHOD = 80, 2  # method 4 costs 2.4 times the CPU for 3 % fewer bytes
AVIF_QUALITY, AVIF_SPEED = 63, 10  # as near to the original as the WebP; speed 8 costs 4 times the CPU
MOST_FRAME_PIXELS = 50_000_000  # of all frames together: 200 MB, and some seconds of encoding
_HURRY = 10, 100  # milliseconds: browsers show for the second what claims to be shown for the first or less
_LONGEST = 60_000
_LEAST_QUALITY = 20
_ALPHA_FLAG = 0x10


@dataclass(frozen=True)
class _Wish:
    """How the original is wanted. `size` is that of the edited original, `turns` bring it there from as it lies."""

    preset: Preset
    edits: Edits
    upright: geometry.Size
    orientation: int
    focal_point: geometry.Point

    @property
    def size(self) -> geometry.Size:
        return self.edits.size_of(self.upright)

    @property
    def box(self) -> geometry.Size:
        """The size of the result; what the JPEG decoder scales may come out a little otherwise."""
        box = (self.preset.width, self.preset.height)
        if self.preset.takes_decoder_scale and max(self.size) <= OPTIMIZED_MOST:
            return self.size
        return box if self.preset.fit == "fill" else geometry.fit_within(self.size, box)

    def quality(self, usual: int) -> int:
        """As many points better or worse as the preset's is than the code's."""
        return min(max(usual + self.preset.quality - PRESETS[self.preset.name].quality, _LEAST_QUALITY), 100)


def render_modern(
    data: bytes,
    name: str,
    focal_point: geometry.Point | None = None,
    edits: Edits = NONE,
    changes: Changes = UNCHANGED,
) -> list[Rendered]:
    """The named preset as WebP, and after it as AVIF where that is smaller: of a still. Decoded once.

    An animation that would be too much in the preset's box is made smaller; where the box has to be filled, it is a still.
    Raises what `render.render_bytes` raises.
    """
    with named_for_people():
        format = sniff(data[:16])
        if format is None:
            raise ValueError("not one of our formats")
        with open_picture(data, format, MAX_PIXELS) as picture:
            orientation = read_orientation(read_exif(picture))
            upright = geometry.upright(picture.size, orientation)
            seen_point = geometry.CENTRE if focal_point is None else edits.point_of(focal_point)
            wish = _Wish(presets_with(changes)[name], edits, upright, orientation, seen_point)
            film = _animation(picture, wish)
            return [film] if film else _still(picture, wish)


def _still(picture: ImageFile.ImageFile, wish: _Wish) -> list[Rendered]:
    cropped, preset = wish.edits.cropped(wish.upright), wish.preset
    if max(cropped) > OPTIMIZED_MOST:
        least = OPTIMIZED_LEAST if preset.takes_decoder_scale else 2 * max(preset.width, preset.height)
        scale_decoder(picture, geometry.jpeg_scale(cropped, least))
    load_still(picture)
    frame = _frame(picture, wish, None if preset.takes_decoder_scale else wish.box)
    webp = _encoded(wish, [frame])
    data = _avif(frame, wish.quality(AVIF_QUALITY))
    if data is None or len(data) >= len(webp.data):
        return [webp]
    return [webp, Rendered(preset.name, data, *frame.size, AVIF)]


def _animation(picture: ImageFile.ImageFile, wish: _Wish) -> Rendered | None:
    """None for a still, and for what is too much."""
    count: int = getattr(picture, "n_frames", 1)
    box = _bounded(wish, count)
    if count < 2 or box is None:
        return None
    loop, times = _plays(picture), list[int]()
    frames = list(_frames(picture, wish, box, times))
    if len(frames) < 2:
        picture.seek(0)
        return None
    return _encoded(wish, frames, save_all=True, append_images=frames[1:], duration=times, loop=loop)


def _bounded(wish: _Wish, count: int) -> geometry.Size | None:
    width, height = wish.box
    too_much = width * height * count / MOST_FRAME_PIXELS
    if too_much <= 1:
        return wish.box
    if wish.preset.fit == "fill":
        return None
    return max(1, int(width / math.sqrt(too_much))), max(1, int(height / math.sqrt(too_much)))


def _frames(picture: ImageFile.ImageFile, wish: _Wish, box: geometry.Size, times: list[int]) -> Iterator[Image.Image]:
    """Each as it is shown, with what earlier ones left; its milliseconds are added to `times`."""
    first = 1 if picture.info.get("default_image") else 0  # what an animated PNG shows to who can't animate
    for number in range(first, getattr(picture, "n_frames", 1)):
        picture.seek(number)
        picture.load()
        yield _frame(picture, wish, box).convert("RGBA")
        times.append(_milliseconds(picture.info.get("duration")))


def _milliseconds(said: object) -> int:
    time = round(said) if isinstance(said, int | float) and math.isfinite(said) else 0
    return _HURRY[1] if time <= _HURRY[0] else min(time, _LONGEST)


def _plays(picture: ImageFile.ImageFile) -> int:
    """How often it is played, 0 for ever. A GIF says how often it is repeated, and without a word is played once."""
    said = picture.info.get("loop")
    if not isinstance(said, int):
        return 1
    return said + 1 if picture.format == "GIF" and 0 < said < 0xFFFF else min(said, 0xFFFF)


def _frame(picture: Image.Image, wish: _Wish, box: geometry.Size | None) -> Image.Image:
    """Without a box as large as `shrink` leaves it."""
    part = cut_out(picture, wish.edits.crop, wish.upright, wish.orientation)
    long = reach([wish.preset], wish.size)
    made = to_srgb(shrink(to_8_bit(part), long), picture.info.get("icc_profile"))
    for turn in (wish.orientation, *wish.edits.turns):
        made = turn_upright(made, turn)
    made = made.convert("RGBA" if made.mode in ("LA", "RGBA") else "RGB")
    if box is None or made.size == box:
        return made
    if wish.preset.fit == "fill":
        return resample(made, box, box=geometry.crop_to_fill(made.size, box, wish.focal_point))
    return resample(made, box)


def _encoded(wish: _Wish, frames: Sequence[Image.Image], **animation: object) -> Rendered:
    for frame in frames:
        frame.info = {}
    out = io.BytesIO()
    with stage("encode"):
        frames[0].save(out, "WEBP", quality=wish.quality(QUALITY), method=METHOD, **animation)
    data = _saying_clear(out.getvalue()) if any(_is_clear(frame) for frame in frames) else out.getvalue()
    return Rendered(wish.preset.name, data, *frames[0].size, WEBP)


def _avif(frame: Image.Image, quality: int) -> bytes | None:
    """None where there is no encoder, or it gives up: there is the WebP. In one thread, as each costs memory."""
    if not AvifImagePlugin.SUPPORTED:
        return None
    out = io.BytesIO()
    try:
        with stage("encode"):
            frame.save(out, "AVIF", quality=quality, speed=AVIF_SPEED, max_threads=1)
    except (OSError, ValueError, RuntimeError, MemoryError):
        return None
    return out.getvalue()


def _is_clear(frame: Image.Image) -> bool:
    return frame.mode == "RGBA" and frame.getchannel("A").getextrema() != (255, 255)


def _saying_clear(data: bytes) -> bytes:
    """The encoder leaves out the flag for transparency when each frame's part is opaque, though the rest is clear."""
    if data[12:16] != b"VP8X":
        return data
    return data[:20] + bytes([data[20] | _ALPHA_FLAG]) + data[21:]
