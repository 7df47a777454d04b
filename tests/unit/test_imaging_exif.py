"""What is kept of a camera's own words: a few harmless facts, whatever the file says; never where or by whom."""

from __future__ import annotations

import io
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from portal.imaging.exif import read_exif, read_orientation, safe_subset
from portal.imaging.presets import PRESETS
from portal.imaging.render import render
from portal.imaging.verify import Limits, verify
from tests import samples

TAKEN, DIGITIZED, OFFSET, EXPOSURE, APERTURE, ISO, FOCAL, LENS = (
    *(0x9003, 0x9004, 0x9011, 0x829A, 0x829D, 0x8827, 0x920A, 0xA434),
)
MAKE, MODEL = 0x010F, 0x0110
KEPT = {"taken_at", "camera", "lens", "exposure", "aperture", "iso", "focal_length"}


def facts(data: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return safe_subset(read_exif(picture))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_where_it_was_taken_is_in_no_rendition_and_in_no_fact(tmp_path: Path, format: str) -> None:
    data = samples.with_location_in(format)
    assert b"SECRET-PLACE" in data
    path = samples.write(tmp_path, "upload", data)
    verified = verify(path, "picture", Limits())
    assert verified.exif == {"camera": "Pixel 9"}
    assert "SECRET" not in repr(verified)
    for rendered in render(path, list(PRESETS)):
        picture = Image.open(io.BytesIO(rendered.data))
        assert dict(picture.getexif()) == {}
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(picture.info)
        assert b"SECRET" not in rendered.data
        assert b"GPS" not in rendered.data


@pytest.mark.parametrize(
    ("tags", "details", "expected"),
    [
        ({MAKE: "NIKON CORPORATION", MODEL: "NIKON D90"}, {}, {"camera": "NIKON D90"}),
        ({MAKE: "SONY", MODEL: "ILCE-7M4"}, {}, {"camera": "SONY ILCE-7M4"}),
        ({MODEL: "Große Kamera".encode()}, {}, {"camera": "Große Kamera"}),
        ({MODEL: "Große Kamera".encode("latin-1")}, {}, {"camera": "Große Kamera"}),
        ({MAKE: "samsung"}, {}, {"camera": "samsung"}),
        ({}, {DIGITIZED: "2026:05:17 14:30:00"}, {"taken_at": "2026-05-17T14:30:00"}),
        ({}, {TAKEN: "2026:05:17 14:30:00", OFFSET: "-09:30"}, {"taken_at": "2026-05-17T14:30:00-09:30"}),
        ({}, {TAKEN: "2026:05:17 14:30:00", OFFSET: "Z<b>"}, {"taken_at": "2026-05-17T14:30:00"}),
        ({}, {EXPOSURE: IFDRational(1, 4000)}, {"exposure": "1/4000 s"}),
        ({}, {EXPOSURE: IFDRational(5, 2)}, {"exposure": "2.5 s"}),
        ({}, {APERTURE: IFDRational(18, 10)}, {"aperture": 1.8}),
        ({}, {ISO: 12800}, {"iso": 12800}),
        ({}, {FOCAL: IFDRational(425, 100)}, {"focal_length": 4.2}),
    ],
)
def test_a_cameras_words_are_told_as_people_write_them(
    tags: dict[int, Any], details: dict[int, Any], expected: dict[str, Any]
) -> None:
    assert facts(samples.with_exif(tags, details)) == expected


@pytest.mark.parametrize(
    "details",
    [
        *({TAKEN: said} for said in ("0000:00:00 00:00:00", "2026:02:31 10:00:00", "2026:13:01 25:61:61", "soon", "")),
        *({EXPOSURE: IFDRational(*said)} for said in ((1, 0), (0, 0), (0, 1), (1, 2**32 - 1), (2**32 - 1, 1))),
        {APERTURE: IFDRational(0, 0)},
        {FOCAL: IFDRational(1, 0)},
        {LENS: ""},
        {LENS: "\u202e\u200b \x07".encode()},
    ],
)
def test_what_makes_no_sense_is_left_out(details: dict[int, Any]) -> None:
    assert facts(samples.with_exif({}, details)) == {}


def test_a_text_is_shown_as_text_without_signs_that_nobody_sees() -> None:
    said = "\u202eevil\x1b[31m <svg onload=alert(1)> {{7*7}}" + "x" * 500
    (camera,) = facts(samples.with_exif({MODEL: said.encode()})).values()
    assert camera.startswith("evil [31m <svg onload=alert(1)> {{7*7}}x")
    assert len(camera) == 100


def test_tags_of_another_kind_than_they_should_be_do_no_harm() -> None:
    wrong = {MAKE: 7, MODEL: b"\xff\xfe\0\0", 0x0132: "x"}
    strange = {TAKEN: 20260517, EXPOSURE: "fast", APERTURE: (1.8, 2.0), ISO: (100, 200), FOCAL: b"\0", LENS: 50}
    found = facts(samples.with_exif(wrong, strange))
    assert set(found) <= KEPT
    assert found["iso"] == 100


def test_broken_tables_give_few_facts_and_no_error() -> None:
    """Bytes flipped and cut anywhere: loops, counts beyond the file, types that do not exist."""
    whole = Image.open(io.BytesIO(samples.with_location())).info["exif"]
    dice = random.Random(7)
    for _ in range(400):
        broken = bytearray(whole[: dice.choice((len(whole), dice.randrange(6, len(whole))))])
        for _ in range(dice.randrange(1, 12)):
            broken[dice.randrange(6, len(broken)) if len(broken) > 6 else 0] = dice.randrange(256)
        picture = Image.new("L", (1, 1))
        picture.info["exif"] = bytes(broken)
        exif = read_exif(picture)
        assert 1 <= read_orientation(exif) <= 8
        for name, value in safe_subset(exif).items():
            assert name in KEPT
            assert len(value) <= 100 if isinstance(value, str) else math.isfinite(value)
            json.dumps(value, allow_nan=False).encode()


def test_a_table_that_points_everywhere_at_once_costs_little(tmp_path: Path) -> None:
    """Each of its entries claims the whole of the file as its value."""
    count = 3000
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\x07\x00" + (60_000).to_bytes(4, "little") + (8).to_bytes(4, "little")
        for tag in range(0xC000, 0xC000 + count)
    )
    table = b"II*\0\x08\0\0\0" + count.to_bytes(2, "little") + entries + bytes(64_000 - 12 * count)
    verified = verify(samples.write(tmp_path, "upload", samples.jpeg(exif=b"Exif\0\0" + table)), "picture", Limits())
    assert (verified.width, verified.exif) == (640, {})
