from __future__ import annotations

import pytest

from portal.accounts.common import COMMON
from portal.accounts.passwords import check_password, is_common
from portal.errors import FormError


@pytest.mark.parametrize(
    "password",
    [
        "nine otters juggle",
        "correct horse battery paperclip",
        "Tr0ub4dor&3xylophone",
        "blåbærsyltetøy på brødskiva",
        "我喜欢在下雨的早晨喝热茶看书",
        "f3Kq9!vLx2Zp",
        "summer in a rusty caravan",
        "password managers rule ok",
        "a" * 20 + "zebra Quilt 77 moss",
        "x7" * 3 + "Kq9!vLx2Zp" * 12,
    ],
)
def test_good_passwords_are_taken(password: str) -> None:
    check_password(password, email="ana.berg@example.com", name="Ana Berg")


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "at least"),
        ("elevenchars", "at least"),
        ("e\u0301" * 11, "at least"),
        ("nine otters " * 12, "at most"),
        ("aaaaaaaaaaaa", "repeats"),
        ("abababababab", "repeats"),
        ("Kq9!vLKq9!vL", "repeats"),
        ("123456789012", "repeats"),
        ("qwertyuiop12", "repeats"),
        ("Abcdefghijklm", "repeats"),
        ("1qaz2wsx3edc", "repeats"),
        ("password1234", "first"),
        ("P@ssw0rd!2026", "first"),
        ("Welcome2026!!", "first"),
        ("iloveyou12345", "first"),
        ("letmein-letmein-2", "first"),
        ("adminpassword", "first"),
        ("Summer 2026 !!", "first"),
        ("correct horse battery staple", "first"),
        ("ana.berg@example.com", "own name"),
        ("anaberg19791979", "own name"),
        ("Berg-Ana-2024!", "own name"),
    ],
)
def test_what_others_would_try_first_is_refused(password: str, word: str) -> None:
    with pytest.raises(FormError) as caught:
        check_password(password, email="ana.berg@example.com", name="Ana Berg")
    assert word in caught.value.errors["password"]


def test_the_list_holds_only_what_the_length_would_let_pass() -> None:
    assert len(COMMON) >= 200
    assert all(len(password) >= 12 for password in COMMON)
    assert all(is_common(password.upper()) for password in COMMON)
