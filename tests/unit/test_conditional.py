from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.media.conditional import Representation, Slice, choose, http_date

WHEN = datetime(2026, 3, 5, 10, 20, 30, 999_999, tzinfo=UTC)
DATE, EARLIER, LATER = (
    "Thu, 05 Mar 2026 10:20:30 GMT",
    "Thu, 05 Mar 2026 10:20:29 GMT",
    "Thu, 05 Mar 2026 10:20:31 GMT",
)
WHAT = Representation(b'"abc-card"', WHEN, 1000)
WHOLE, KNOWN, FAILED, BEYOND = Slice(200, 0, 1000), Slice(304, 0, 0), Slice(412, 0, 0), Slice(416, 0, 0)


def asking(method: str = "GET", **headers: str | list[str]) -> Slice:
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return choose(method, pairs, WHAT)


def test_a_plain_request_gets_everything():
    assert asking() == asking(accept="image/*") == asking("HEAD") == WHOLE


def test_a_date_is_spelled_in_gmt_by_whole_seconds():
    assert http_date(WHEN) == DATE.encode()


@pytest.mark.parametrize(
    "tags",
    [
        '"abc-card"',
        'W/"abc-card"',
        '"x", "abc-card"',
        '"x","abc-card","y"',
        ' "x" ,W/"abc-card"',
        "*",
        " * ",
        '"a,b", "abc-card"',
    ],
)
def test_a_known_tag_is_not_sent_again(tags: str):
    assert asking(if_none_match=tags) == asking("HEAD", if_none_match=tags) == KNOWN


@pytest.mark.parametrize(
    "tags", ['"abc"', "abc-card", '"ABC-CARD"', "", '"', '"x", "y"', '"*"', '"abc-card', "W/", 'é"ÿ']
)
def test_another_or_broken_tag_gets_everything(tags: str):
    assert asking(if_none_match=tags) == WHOLE


def test_tags_may_be_spread_over_several_lines():
    assert asking(if_none_match=['"x"', '"abc-card"']) == KNOWN


def test_a_tag_outweighs_the_date():
    assert asking(if_none_match='"x"', if_modified_since=LATER) == WHOLE
    assert asking(if_none_match='"abc-card"', if_modified_since=EARLIER) == KNOWN


@pytest.mark.parametrize("date", [DATE, LATER, "Thursday, 05-Mar-26 10:20:30 GMT", "Thu Mar  5 10:20:30 2026"])
def test_unchanged_since_a_date_is_not_sent_again(date: str):
    assert asking(if_modified_since=date) == KNOWN


@pytest.mark.parametrize(
    "date",
    [
        EARLIER,
        "",
        "yesterday",
        "0",
        "Thu, 99 Mar 2026 10:20:30 GMT",
        "Thu, 05 Mar 99999999999 10:20:30 GMT",
        "\xe9",
        "1 2 3 4 5 6 7",
        "Thu, 05 Mar 2026 10:20:30 +9999999",
    ],
)
def test_changed_since_a_date_or_no_date_at_all_gets_everything(date: str):
    assert asking(if_modified_since=date) == WHOLE


def test_preconditions_that_fail_stop_the_request():
    assert asking(if_match='"x"') == asking(if_match='W/"abc-card"') == asking(if_unmodified_since=EARLIER) == FAILED
    assert asking(if_match='"x", "abc-card"') == asking(if_match="*") == asking(if_unmodified_since=DATE) == WHOLE
    assert asking(if_match='"abc-card"', if_unmodified_since=EARLIER) == WHOLE


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-499", 0, 500),
        ("bytes=500-", 500, 1000),
        ("bytes=999-", 999, 1000),
        ("bytes=-1", 999, 1000),
        ("bytes=-5000", 0, 1000),
        ("bytes=0-99999999999999999999999999", 0, 1000),
        ("BYTES=10-19", 10, 20),
        ("bytes= 10-19 ", 10, 20),
        ("bytes=0000000000000000-1", 0, 2),
    ],
)
def test_one_range_is_sent_alone(wanted: str, start: int, stop: int):
    assert asking(range=wanted) == Slice(206, start, stop)


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_a_range_beyond_the_end_cannot_be_had(wanted: str):
    assert asking(range=wanted) == BEYOND


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=1-2-3",
        "items=0-1",
        "bytes=0-1,5-6",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=١-٢".encode().decode("latin-1"),
    ],
)
def test_what_is_no_single_range_is_answered_whole(wanted: str):
    assert asking(range=wanted) == WHOLE


def test_several_range_lines_are_answered_whole():
    assert asking(range=["bytes=0-1", "bytes=2-3"]) == WHOLE


def test_head_knows_no_ranges():
    assert asking("HEAD", range="bytes=0-1") == WHOLE


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        ('"abc-card"', 206),
        ('"old"', 200),
        ('W/"abc-card"', 200),
        (DATE, 200),
        (LATER, 200),
        (EARLIER, 200),
        ("rubbish", 200),
    ],
)
def test_a_download_goes_on_only_where_the_bytes_are_still_the_same(if_range: str, status: int):
    assert asking(range="bytes=500-", if_range=if_range).status == status


def test_a_known_tag_outweighs_the_range():
    assert asking(range="bytes=0-1", if_none_match='"abc-card"') == KNOWN


def test_every_range_of_a_short_picture_is_a_part_of_it():
    data = bytes(range(10))
    what = Representation(b'"a"', WHEN, len(data))
    for first in range(12):
        for last in range(first, 12):
            answer = choose("GET", [(b"range", f"bytes={first}-{last}".encode())], what)
            assert data[answer.start : answer.stop] == data[first : last + 1]
            assert answer.status == (206 if first < 10 else 416)


def test_an_empty_body_has_no_ranges():
    assert choose("GET", [(b"range", b"bytes=0-")], Representation(b'"a"', WHEN, 0)).status == 416
    assert choose("GET", [(b"range", b"bytes=-1")], Representation(b'"a"', WHEN, 0)).status == 416


LONG = 60_000  # bytes; a request's whole head is no longer
HOSTILE = {
    "tags without end": '"' + "a" * LONG,
    "quotes alone": '"' * LONG,
    "weak alone": "W/" * (LONG // 2),
    "many tags": '"x", ' * (LONG // 5),
    "commas": "," * LONG,
    "stars": "*" * LONG,
    "digits": "9" * LONG,
    "ranges": "bytes=" + "0-," * (LONG // 3),
    "spaces in a range": "bytes=" + " " * LONG + "x",
    "dates": "Thu, 05 Mar 2026 " * (LONG // 17),
    "colons": ":" * LONG,
    "no letters": "\x01\xff" * (LONG // 2),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_long_and_hostile_header_gets_everything_or_fails_its_condition(value: str):
    for name in ("if_none_match", "if_modified_since", "if_unmodified_since", "range"):
        assert asking(**{name: value}) == WHOLE, name
    assert asking(range="bytes=0-9", if_range=value) == WHOLE
    assert asking(if_match=value) == FAILED
    assert asking(if_none_match=[value, '"abc-card"']) in (WHOLE, KNOWN)  # one that was never closed swallows the next


def test_the_very_last_of_very_many_tags_is_found():
    assert asking(if_none_match='"x", ' * 10_000 + 'W/"abc-card"') == KNOWN
    assert asking(if_match='"x",' * 10_000 + '"abc-card"') == WHOLE
