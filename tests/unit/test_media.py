from __future__ import annotations

import tracemalloc

import pytest

from portal.accounts.pace import ADDRESSES, BURST, PER_SECOND, Pace
from portal.media.answers import attachment
from portal.media.hot import HotBytes
from portal.media.wish import MOUNT, NOBODY, wish_of


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
    hot.put("large", bytes(41))
    assert hot.get("large") is None


def test_what_many_read_at_once_is_in_memory_once():
    hot, first = HotBytes(limit=400), bytes(100)
    assert hot.put("film", first) is first
    assert hot.put("film", bytes(bytearray(100))) is first


def test_an_etag_goes_with_its_picture():
    hot = HotBytes(limit=160)
    hot.put("a", bytes(10), b'"a"')
    assert hot.etag_of("a") == b'"a"'
    for number in range(16):
        hot.put(str(number), bytes(10))
    assert hot.get("a") is None
    assert not hot._etags


def test_what_is_remembered_of_urls_is_small_however_long_they_are():
    tracemalloc.start()
    try:
        for number in range(500):
            path = f"{MOUNT}/{number:060000}"
            assert wish_of(path, b"fallback=invoices").image_id == NOBODY
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


def test_an_address_has_a_burst_and_then_its_pace():
    now = 0.0
    pace = Pace(lambda: now)
    assert [pace.allows("192.0.2.1") for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert pace.allows("192.0.2.2")
    now += 3 / PER_SECOND
    assert [pace.allows("192.0.2.1") for _ in range(4)] == [True] * 3 + [False]
    now += 1_000_000
    assert [pace.allows("192.0.2.1") for _ in range(BURST + 1)] == [True] * BURST + [False]


def test_a_network_of_ipv6_is_one_asker_and_only_so_many_are_remembered():
    pace = Pace(lambda: 0.0)
    assert [pace.allows(f"2001:db8::{number:x}") for number in range(BURST + 1)] == [True] * BURST + [False]
    for number in range(ADDRESSES):
        pace.allows(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(pace._buckets) == ADDRESSES
