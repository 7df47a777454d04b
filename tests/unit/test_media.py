from __future__ import annotations

import pytest

from portal.media.hot import HotBytes
from portal.media.pages import attachment


@pytest.mark.parametrize(
    "name", ['a"b.jpg', "a\\b.jpg", "a;b.jpg", "a%41b.jpg", "a\r\nx: y.jpg", "\ud800.jpg", "日本.jpg"]
)
def test_no_filename_breaks_out_of_its_header(name: str):
    header = attachment(name)
    plain = header.partition('filename="')[2].partition('"')[0]
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert not set(plain) & set('"\\%\r\n')


def test_hot_bytes_keep_what_was_used_last_and_stay_within_their_limit():
    hot = HotBytes(limit=160)
    for number in range(20):
        hot.put(str(number), bytes([number]) * 10)
        hot.get("0")
    assert hot.get("0") is not None
    assert hot.get("1") is None
    assert sum(hot.get(str(number)) is not None for number in range(20)) == 16
    hot.put("large", bytes(11))
    assert hot.get("large") is None
