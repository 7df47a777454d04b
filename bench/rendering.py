"""CPU of rendering all seven presets: ours, the barest form of the same pattern, and the commonest naive code.

All three run in turns within one process, so that their ratios hold on any machine. `python -m bench.rendering [photo …]`.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from portal.imaging.presets import PRESETS, READY
from portal.imaging.render import render

ROUNDS = 5
LANCZOS, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


def measure(photo_paths: Sequence[Path]) -> dict[str, Any]:
    """CPU milliseconds (median of the rounds) of each way for each photo, and ours divided by the others.

    Without photos one of 12 MP is made from gradients and noise.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos = list(photo_paths) or [make_photo(Path(folder))]
        measured = {photo.name: _measure_photo(photo) for photo in photos}
    return {
        "cpu_ms": measured,
        "ours_to_minimal": {name: round(ms["ours"] / ms["minimal"], 2) for name, ms in measured.items()},
        "ours_to_naive": {name: round(ms["ours"] / ms["naive"], 2) for name, ms in measured.items()},
    }


def _measure_photo(photo: Path) -> dict[str, float]:
    ways: dict[str, Callable[[Path], object]] = {
        "ours": lambda path: render(path, READY),
        "minimal": _render_minimal,
        "naive": _render_naive,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            begun = time.process_time()
            way(photo)
            if round_number:  # the first one warms up
                times[name].append(time.process_time() - begun)
    return {name: round(1000 * statistics.median(taken), 1) for name, taken in times.items()}


def _render_minimal(photo: Path) -> list[bytes]:
    """Decoder scale and cascade with nothing around: no colours, no modes, no metadata, no refusals."""
    picture = Image.open(photo)
    long = max(picture.size)
    if long > 2400:
        scale = next((s for s in (8, 4, 2) if long // s >= 1600), 1)
        picture.draft("RGB", (picture.width // scale, picture.height // scale))
    picture.load()
    base: Image.Image = picture if picture.mode == "RGB" else picture.convert("RGB")
    if max(base.size) > 2400:
        base.thumbnail((2048, 2048), BICUBIC, reducing_gap=1.01)
    base = ImageOps.exif_transpose(base).copy()
    base.info = {}
    made = [_encode(base, quality=80, progressive=True)]
    steps = [base]
    for box in ((800, 600), (600, 600), (300, 300), (150, 150)):
        step = steps[-1].copy()
        step.thumbnail(box, LANCZOS, reducing_gap=1.01)
        steps.append(step)
        made.append(_encode(step))
    for box in ((400, 300), (64, 64)):
        source = next((s for s in reversed(steps) if s.width >= box[0] and s.height >= box[1]), base)
        made.append(_encode(source.resize(box, LANCZOS, _centre(source.size, box), reducing_gap=1.01)))
    return made


def _centre(size: tuple[int, int], box: tuple[int, int]) -> tuple[float, float, float, float]:
    scale = min(size[0] / box[0], size[1] / box[1])
    left, top = (size[0] - box[0] * scale) / 2, (size[1] - box[1] * scale) / 2
    return left, top, size[0] - left, size[1] - top


def _render_naive(photo: Path) -> list[bytes]:
    """As most tutorials have it: open, turn, shrink and save, anew for each size."""
    made: list[bytes] = []
    for name in READY:
        preset = PRESETS[name]
        with Image.open(photo) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            box = (preset.width, preset.height)
            if preset.fit == "fill":
                upright = ImageOps.fit(upright, box, LANCZOS)
            else:
                upright.thumbnail(box, LANCZOS)
            made.append(_encode(upright, quality=85))
    return made


def _encode(picture: Image.Image, quality: int = 82, progressive: bool = False) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, optimize=True, progressive=progressive)
    return out.getvalue()


def make_photo(folder: Path) -> Path:
    """12 MP, about as hard to decode as a camera's: gradients, shapes' edges and a sensor's noise."""
    size = (4032, 3024)
    ramp = Image.linear_gradient("L").resize(size)
    rings = Image.radial_gradient("L").resize(size).point([value * 5 % 256 for value in range(256)])
    noise = Image.effect_noise((size[0] // 2, size[1] // 2), 40).resize(size, BICUBIC)
    channels = [
        Image.blend(Image.blend(a, b, 0.5), noise, 0.25) for a, b in ((ramp, rings), (rings, ramp), (ramp, ramp))
    ]
    path = folder / "made-12mp.jpg"
    Image.merge("RGB", channels).save(path, "JPEG", quality=92)
    return path


def main() -> None:
    result = measure([Path(argument) for argument in sys.argv[1:]])
    for name, ms in result["cpu_ms"].items():
        ratios = result["ours_to_minimal"][name], result["ours_to_naive"][name]
        print(f"{name}: {ms} · ours / minimal {ratios[0]} · ours / naive {ratios[1]}")


if __name__ == "__main__":
    main()
