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


def test_the_scale_is_pixels_for_each_module():
    sides = [Image.open(io.BytesIO(qr_png("a", scale))).width for scale in (1, 8)]
    assert sides[1] == 8 * sides[0]


def test_a_qr_drawing_scales_and_carries_no_style():
    text = qr_svg(TEXT)
    root = ET.fromstring(text)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert "style" not in text
    assert "<?xml" not in text


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "ünïcode 😀"])
def test_no_text_gets_into_the_markup(text: str):
    assert text not in qr_svg(text)
