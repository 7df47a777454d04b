"""Which passwords are good enough, and how they are kept: argon2id, in two threads and never on the event loop."""

from __future__ import annotations

import asyncio
import itertools
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.accounts.common import COMMON, ROWS, WORDS
from portal.errors import Busy, FormError

LEAST: Final = 12
MOST: Final = 128
# What must be left of a password when repetitions, sequences, or the person's own names are taken away.
_LEAST_SURPRISE: Final = 6
_MOST_WAITING: Final = 40
_LEET = str.maketrans("013457@$!|", "oieastasil")
_NEIGHBOURS: Final = frozenset(pair for row in ROWS for line in (row, row[::-1]) for pair in itertools.pairwise(line))

_hasher = PasswordHasher(time_cost=2, memory_cost=64 * 1024, parallelism=1)
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")  # 64 MiB each
_waiting = 0
T = TypeVar("T")


def check_password(password: str, *, email: str = "", name: str = "") -> None:
    """Raises FormError for the field `password` with what to do about it."""
    # Cut first: NFC of hostile text costs more than linear time, and shrinks none below a third of its length.
    reason = _weakness(unicodedata.normalize("NFC", password[: 4 * MOST]), email, name)
    if reason:
        raise FormError({"password": reason})


def _weakness(password: str, email: str, name: str) -> str | None:
    if len(password) < LEAST:
        return f"Use at least {LEAST} characters; a few words in a row are easy to keep in mind."
    if len(password) > MOST:
        return f"Use at most {MOST} characters."
    lowered = password.casefold()
    if _surprise(lowered) < _LEAST_SURPRISE or _period(lowered) <= len(lowered) // 2:
        return "This repeats itself or follows the keys in order; use something harder to guess."
    if is_common(lowered):
        return "This is among the first that others would try; use something harder to guess."
    if len(_without_names(lowered, email, name)) < _LEAST_SURPRISE:
        return "This is little more than your own name or address; use something harder to guess."
    return None


def _surprise(text: str) -> int:
    """How many characters neither repeat the one before nor stand beside it on a keyboard, alphabet or number row."""
    return 1 + sum(one != two and (one, two) not in _NEIGHBOURS for one, two in itertools.pairwise(text))


def _period(text: str) -> int:
    """The length of the shortest piece that, repeated, gives the text: 3 for "abcabcab"."""
    lengths = range(1, len(text) + 1)
    return next(length for length in lengths if text == (text[:length] * (len(text) // length + 1))[: len(text)])


def is_common(password: str) -> bool:
    """On the list, or made of the commonest words alone once digits, signs and l33t are undone."""
    lowered = password.casefold()
    if re.sub(r"\s", "", lowered) in COMMON:
        return True
    bare = lowered.strip("0123456789!?.,;:-_+*#&/()=$%^ ")
    readings = {re.sub(r"[^a-z]", "", text) for text in (lowered, lowered.translate(_LEET), bare.translate(_LEET))}
    return any(_is_made_of_words(text) for text in readings if text)


def _is_made_of_words(text: str) -> bool:
    ends = {0}
    for start in range(len(text)):
        if start in ends:
            ends.update(start + len(word) for word in WORDS if text.startswith(word, start))
    return len(text) in ends


def _without_names(password: str, email: str, name: str) -> str:
    own = {piece for piece in re.split(r"[\W_]+", f"{email} {name}".casefold()) if len(piece) >= 3}
    local = email.casefold().partition("@")[0]
    for piece in sorted(own | ({local} if len(local) >= 3 else set()), key=len, reverse=True):
        password = password.replace(piece, "")
    return re.sub(r"[\W\d_]", "", password)


@cache
def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Of a password that nobody has: an unknown account must cost as much time as a known one."""
    return hasher.hash("an account that does not exist")


async def hash_password(password: str) -> str:
    return await _in_thread(lambda: _hasher.hash(_bytes(password)))


async def verify_password(stored: str | None, password: str) -> bool:
    """Does the password belong to this hash? `stored` None never matches and takes as long."""

    def verify() -> bool:
        nobodys = _hash_of_nobody(_hasher)  # asked for in any case: the first time costs everybody the same
        try:
            return _hasher.verify(stored or nobodys, _bytes(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    return await _in_thread(verify)


def needs_rehash(stored: str) -> bool:
    """Was it made with other parameters than today's?"""
    return _hasher.check_needs_rehash(stored)


def _bytes(password: str) -> bytes:
    # Cut, so that nobody makes us hash megabytes; nothing longer than MOST can have been set.
    return unicodedata.normalize("NFC", password[: MOST + 1]).encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[[], T]) -> T:
    """Raises Busy when too many wait already: a flood of sign-ins must not become a queue of minutes."""
    global _waiting
    if _waiting >= _MOST_WAITING:
        raise Busy("Many people are signing in at the moment. Try again in a few seconds.", retry_after=3)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_pool, work)
    finally:
        _waiting -= 1
