from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
import zxingcpp
from PIL import Image

from portal.imaging.codes import qr_png, qr_svg

TEXT = "https://example.test/cards/invoices/2026-001?größe=1"


def test_a_qr_picture_can_be_read_back():
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(qr_png(TEXT))).convert("L"))
    assert found.text == TEXT


@pytest.mark.parametrize("size", [64, 200, 1024])
def test_a_qr_picture_has_the_size_that_is_asked_for_and_keeps_its_quiet_zone(size: int):
    picture = Image.open(io.BytesIO(qr_png("https://example.test/cards/k/x", size))).convert("L")
    assert picture.size == (size, size)
    (found,) = zxingcpp.read_barcodes(picture)
    assert found.text == "https://example.test/cards/k/x"
    black = picture.point(lambda value: 255 - value).getbbox()
    assert black is not None
    module = (black[2] - black[0]) / 33  # a code of version 4: 33 modules
    assert min(black[0], black[1], size - black[2], size - black[3]) >= 3.9 * module


def test_a_qr_picture_is_larger_than_asked_where_the_code_needs_it():
    picture = Image.open(io.BytesIO(qr_png("x" * 600, 64))).convert("L")
    assert picture.width > 64
    assert zxingcpp.read_barcodes(picture.resize((picture.width * 3, picture.width * 3), Image.Resampling.NEAREST))


def test_a_qr_drawing_scales_and_carries_no_style():
    text = qr_svg(TEXT)
    root = ET.fromstring(text)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert "style" not in text
    assert "<?xml" not in text


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "ünïcode 😀"])
def test_no_text_gets_into_the_markup(text: str):
    assert text not in qr_svg(text)
