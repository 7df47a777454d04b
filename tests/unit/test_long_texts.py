"""Texts of very many combining marks, whose normal form costs seconds: refused by their length, not after the sums."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from portal.accounts.passwords import check_password
from portal.accounts.tokens import clean_name
from portal.errors import FormError
from portal.gallery.forms import read_metadata, read_picture_fields

MARKS = "a" + "\u0301" * 30_000 + "\u0316" * 30_000  # ten seconds of sorting


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_metadata({"caption": MARKS}),
        lambda: read_metadata({"tags": [MARKS]}),
        lambda: read_picture_fields({"alt_text": MARKS}),
        lambda: check_password(MARKS),
        lambda: clean_name(MARKS),
    ],
)
def test_a_text_of_marks_is_refused_at_once(read: Callable[[], Any]) -> None:
    began = time.process_time()
    with pytest.raises(FormError):
        read()
    assert time.process_time() - began < 1


def test_a_text_that_fits_once_it_is_composed_is_taken() -> None:
    assert read_metadata({"alt_text": "e\u0301" * 500}) == {"alt_text": "\u00e9" * 500}
