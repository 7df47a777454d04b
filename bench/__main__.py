"""`make bench`: the README's table, measured side by side in one run. `python -m bench [--photos FOLDER] [--json FILE] [--long]`.

A real portal in a process of its own (authentication, verification and queue on), real pictures, and beside it what it is
held against: the barest Pillow pattern for rendering; for serving uvicorn without a framework, and Thumbor, which is installed
into a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

from bench import backups, million, rendering, serving, starting, uploading
from bench.portal_process import PortalProcess

PHOTOS = Path(__file__).resolve().parent.parent.parent / "shared" / "photos"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder of 12 MP photographs; made ones without")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--long", action="store_true", help="also 1,000 uploads in a row: does memory grow?")
    parser.add_argument("--million", action="store_true", help="only the pages of a portal with a million pictures")
    parser.add_argument(
        "--backups", action="store_true", help="only backups of 10,000 pictures, beside cp -r and SHA-256"
    )
    arguments = parser.parse_args()
    if arguments.backups:
        print(backups.table(backups.measure()))
        return
    if arguments.million:
        print(million.table(million.measure()))
        return
    photos = sorted(arguments.photos.glob("p12_*.jpg")) if arguments.photos.is_dir() else []
    figures: dict[str, Any] = {"rendering": rendering.measure(photos)}
    with tempfile.TemporaryDirectory() as folder:
        photos = photos or [rendering.make_photo(Path(folder))]
        data_dir = Path(folder) / "data"
        figures["start"] = starting.measure(data_dir)
        with PortalProcess(data_dir) as portal:
            figures["upload"] = uploading.measure(portal, photos)
            if arguments.long:
                figures["many"] = uploading.measure_many(portal, photos)
            figures["serve"] = serving.measure(portal, photos)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def table(figures: dict[str, Any]) -> str:
    """Markdown, as it stands in the README."""
    rendered, upload, serve, start = (figures[name] for name in ("rendering", "upload", "serve", "start"))
    rows = [
        ("Seven renditions of a 12 MP photo, CPU", f"{_mean(rendered['cpu_ms'], 'ours')} ms", _ratios(rendered)),
        *(
            (
                f"Upload until all seven are ready, {each['at_once']} at a time",
                f"{each['per_second']} pictures/s",
                _cpu(each),
            )
            for each in upload["runs"]
        ),
        (
            "Memory of server and children, peak while uploading",
            f"{upload['peak_mb']} MB",
            f"{upload['idle_mb']} MB idle",
        ),
        *_many(figures.get("many")),
        ("Page p99 while rendering flat out", f"{upload['page_p99_ms']} ms", ""),
        *_served(serve),
        ("Start, empty data directory", f"{start['first_s']} s", ""),
        ("Start, warm data directory", f"{start['again_s']} s", ""),
    ]
    left_out = [] if serve["thumbnail"]["to_thumbor"] else ["", serve["thumbnail"]["thumbor"]]
    lines = ["| what | measured | held against |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(
        [*lines, *left_out, "", f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"]
    )


def _served(serve: dict[str, Any]) -> list[tuple[str, str, str]]:
    thumbnail, original, busy = serve["thumbnail"], serve["original"], serve["busy"]
    rates, ratio = thumbnail["per_second"], thumbnail["to_thumbor"]
    bare = f"{thumbnail['to_bare']} × bare uvicorn ({rates['bare']:,})"
    thumbor = f"{ratio} × Thumbor {thumbnail['thumbor']}, cached ({rates['thumbor']:,})" if ratio else ""
    unchanged = f"{thumbnail['to_bare_304']} × bare uvicorn ({rates['bare_304']:,})"
    speed = original["mb_per_second"]
    return [
        ("Thumbnail, requests/s (32 connections)", f"{rates['portal']:,}", ", ".join(filter(None, (bare, thumbor)))),
        ("The same, not changed (304), requests/s", f"{rates['portal_304']:,}", unchanged),
        (
            "Thumbnail p99 while rendering flat out",
            f"{busy['rendering_ms']['p99']} ms",
            f"{busy['idle_ms']['p99']} ms when idle",
        ),
        (
            f"Original of {original['bytes'] / serving.MB:.1f} MB, MB/s (4 connections)",
            f"{speed['portal']:,}",
            f"{original['to_bare']} × bare uvicorn from memory ({speed['bare']:,})",
        ),
        ("Memory of server and children, peak while serving", f"{serve['memory_mb']} MB", ""),
    ]


def _mean(ms: dict[str, dict[str, float]], way: str) -> int:
    return round(sum(each[way] for each in ms.values()) / len(ms))


def _ratios(rendered: dict[str, Any]) -> str:
    def spread(name: str) -> str:
        ratios = sorted(rendered[name].values())
        return f"{ratios[0]}" if ratios[0] == ratios[-1] else f"{ratios[0]} to {ratios[-1]}"

    return f"{spread('ours_to_minimal')} × the barest Pillow pattern, {spread('ours_to_naive')} × naive Pillow"


def _many(run: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    if run is None:
        return []
    least, most = run["memory_mb"]
    what = f"Memory over {run['count']:,} uploads, without the first hundred"
    return [(what, f"{least} to {most} MB", f"{run['per_second']} pictures/s, grown by {run['grown_mb']} MB")]


def _cpu(run: dict[str, Any]) -> str:
    return f"{run['cpu_s']} s CPU a picture, all processes"


if __name__ == "__main__":
    main()
