"""Who is told what: only what held for two looks, once for each change, in order, and again where it was not taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portal.maintenance.health.books import (
    LONGEST_PAUSE,
    MOST_LETTERS,
    Book,
    due_letter,
    is_settled,
    noted,
    refused,
    told,
)
from portal.maintenance.health.check import Check, Severity

START = datetime(2026, 5, 17, 9, 41, tzinfo=UTC)
APART = timedelta(seconds=5)


def looks(book: Book, severities: str, name: str = "storage", begin: int = 0) -> Book:
    """The book after looks ten seconds apart: c(ritical), w(arning), o(k), u(nknown), or - where the check was not made."""
    meaning: dict[str, Severity] = {"c": "critical", "w": "warning", "o": "ok", "u": "unknown"}
    for number, letter in enumerate(severities, begin):
        at = START + timedelta(seconds=10 * number)
        found = [Check(name, "Storage", meaning[letter], None, "", "Said.", at)] if letter in meaning else []
        book = noted(book, found, at, APART)
    return book


def letters(severities: str) -> list[str]:
    return [letter["status"] for letter in looks({}, severities).get("letters", [])]


def test_what_is_critical_for_two_looks_is_told_once_and_once_that_it_is_well_again():
    assert letters("occcccc") == ["critical"]
    assert letters("ccccoooo") == ["critical", "ok"]
    assert letters("ccoocc") == ["critical", "ok", "critical"]


def test_what_comes_and_goes_is_told_to_nobody():
    assert letters("ococococ") == []
    assert letters("ccocococ") == ["critical"]


def test_a_warning_is_well_enough_and_what_is_not_known_changes_nothing():
    assert letters("ccww") == ["critical", "ok"]
    assert letters("cuc") == ["critical"]
    assert letters("ccuuuu") == ["critical"]


def test_a_check_that_is_not_made_any_more_is_well_again():
    assert letters("cc--") == ["critical", "ok"]


def test_two_looks_at_the_same_moment_are_one():
    book: Book = {}
    for seconds in (0, 1, 4):
        at = START + timedelta(seconds=seconds)
        book = noted(book, [Check("storage", "Storage", "critical", None, "", "", at)], at, APART)
    assert book["letters"] == []
    assert not is_settled(book)


def test_a_clock_that_was_set_back_stops_nothing():
    book = looks({}, "c", begin=1000)
    assert [letter["status"] for letter in looks(book, "c")["letters"]] == ["critical"]
    waiting = refused(book := looks({}, "cc", begin=1000), book["letters"][0]["id"], "away", START + timedelta(days=1))
    assert due_letter(waiting, START) is not None


def test_letters_go_out_in_their_order_and_wait_longer_with_each_refusal():
    book = looks({}, "ccoo")
    now = START + timedelta(minutes=1)
    pauses = []
    for _ in range(12):
        first = due_letter(book, now)
        assert first is not None
        assert first["status"] == "critical"
        book = refused(book, first["id"], "it answered 500", now)
        assert due_letter(book, now) is None
        until = datetime.fromisoformat(book["letters"][0]["next_at"])
        pauses.append((until - now).total_seconds())
        now = until
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == LONGEST_PAUSE
    first = due_letter(book, now)
    assert first is not None
    book = told(book, first["id"], now)
    assert book["last"] == {"at": now.isoformat(), "title": "Storage", "status": "critical"}
    second = due_letter(book, now)
    assert second is not None
    assert second["status"] == "ok"
    assert told(book, first["id"], now) == book  # struck out already


def test_a_receiver_that_is_away_for_ever_fills_nothing():
    book = looks({}, "ccoo" * MOST_LETTERS)
    assert len(book["letters"]) == MOST_LETTERS
    assert looks({}, "ooww") == {"looked_at": (START + timedelta(seconds=30)).isoformat(), "states": {}, "letters": []}
