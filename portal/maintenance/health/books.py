"""Who was told what, and what is still to be told: a book as plain JSON, and what becomes of it. No clock, no database here.

{"looked_at": time,
 "states": {check: {"title", "heard": well | critical, "now": well | critical, "looks": how often in a row}},
 "letters": [{"id", "check", "status", …, "tries", "next_at", "trouble"}],   oldest first
 "last": {"at", "title", "status"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from portal.maintenance.health.check import Check

Book = dict[str, Any]
Status = Literal["critical", "ok"]

LOOKS: Final = 2  # in a row: what was so for a moment is told to nobody
MOST_LETTERS: Final = 50
FIRST_PAUSE: Final = 5.0  # seconds until a letter is sent again; doubled with each try
LONGEST_PAUSE: Final = 600.0


def noted(book: Mapping[str, Any], checks: Sequence[Check], at: datetime, apart: timedelta) -> Book:
    """The book after a look. One less than `apart` after the last is not counted: it proves nothing more."""
    last = book.get("looked_at")
    if last is not None and timedelta(0) <= at - datetime.fromisoformat(last) < apart:
        return dict(book)
    states: dict[str, Any] = dict(book.get("states", {}))
    letters: list[Any] = list(book.get("letters", []))
    seen = {check.name: check for check in checks}
    for name in [*seen, *(name for name in states if name not in seen)]:
        check = seen.get(name)
        if check is not None and check.severity == "unknown":
            continue
        now = "critical" if check is not None and check.severity == "critical" else "well"
        state = states.get(name) or {"title": name, "heard": "well", "now": "well", "looks": 0}
        looks = state["looks"] + 1 if state["now"] == now else 1
        state = {**state, "now": now, "looks": min(looks, LOOKS), "title": check.title if check else state["title"]}
        if now != state["heard"] and looks >= LOOKS:
            state["heard"] = now
            letters.append(_letter(name, state, check, at))
        states[name] = state
    kept = {name: state for name, state in states.items() if "critical" in (state["heard"], state["now"])}
    return {**book, "looked_at": at.isoformat(), "states": kept, "letters": letters[-MOST_LETTERS:]}


def _letter(name: str, state: Mapping[str, Any], check: Check | None, at: datetime) -> dict[str, Any]:
    status: Status = "critical" if state["now"] == "critical" else "ok"
    remedy = check.recommendation if check is not None and status == "critical" else None
    return {
        "id": str(uuid4()),
        "check": name,
        "status": status,
        "title": state["title"],
        "detail": check.detail if check is not None else "It is not checked any more.",
        "recommendation": remedy.words if remedy else None,
        "since": (check.since if check is not None else at).isoformat(),
        "at": at.isoformat(),
        "tries": 0,
        "next_at": at.isoformat(),
        "trouble": None,
    }


def is_settled(book: Mapping[str, Any]) -> bool:
    """False while the next look decides whether somebody is told."""
    return all(state["heard"] == state["now"] for state in book.get("states", {}).values())


def due_letter(book: Mapping[str, Any], at: datetime) -> dict[str, Any] | None:
    """The oldest, when its time has come: they are told in their order."""
    letters = book.get("letters", [])
    if not letters:
        return None
    due = datetime.fromisoformat(letters[0]["next_at"])
    is_far = due - at > timedelta(seconds=2 * LONGEST_PAUSE)  # a clock was set back
    return letters[0] if due <= at or is_far else None


def told(book: Mapping[str, Any], letter_id: str, at: datetime) -> Book:
    """The receiver has taken this letter."""
    letter = next((each for each in book.get("letters", []) if each["id"] == letter_id), None)
    if letter is None:
        return dict(book)
    rest = [each for each in book["letters"] if each["id"] != letter_id]
    last = {"at": at.isoformat(), "title": letter["title"], "status": letter["status"]}
    return {**book, "letters": rest, "last": last}


def refused(book: Mapping[str, Any], letter_id: str, trouble: str, at: datetime) -> Book:
    """It has not; the letter waits longer each time."""
    letters = []
    for letter in book.get("letters", []):
        if letter["id"] == letter_id:
            pause = min(FIRST_PAUSE * 2 ** min(letter["tries"], 10), LONGEST_PAUSE)
            next_at = (at + timedelta(seconds=pause)).isoformat()
            letter = {**letter, "tries": letter["tries"] + 1, "next_at": next_at, "trouble": trouble[:200]}
        letters.append(letter)
    return {**book, "letters": letters}
