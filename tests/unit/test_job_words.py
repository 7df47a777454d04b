"""What came of a job is told in words, never as the names of its fields."""

from __future__ import annotations

from typing import Any

import pytest

from portal.maintenance.job_words import pause_in_words, result_in_words


@pytest.mark.parametrize(
    ("kind", "result", "said"),
    [
        ("rerender", {"pictures": 1204, "failed": 3}, "1,204 pictures · 3 failed"),
        ("check", {"pictures": 1, "bytes": 99, "findings": 0, "new": 0, "gone": 0}, "1 picture read · 0 findings"),
        ("scrub", {"pictures": 24, "findings": 2, "new": 1}, "24 pictures read · 2 findings · 1 of them new"),
        ("cleanup", {"dry_run": True, "bytes": 78_224, "temp_files": 0}, "78 kB could go"),
        ("cleanup", {"dry_run": False, "bytes": 2_600_000}, "2.6 MB freed"),
        ("repair", {"dry_run": True, "planned": 4, "repaired": 0, "refused": 1}, "4 would be repaired · 1 cannot be"),
        ("repair", {"planned": 0, "repaired": 0}, "Nothing to do"),
        ("note_day", {"days_noted": 2, "skipped": 0}, "days noted 2"),
        ("recheck", {"looked_at": 1, "gone": 1}, "1 finding looked at · 1 no longer true"),
    ],
)
def test_a_result_is_said_in_words(kind: str, result: dict[str, Any], said: str) -> None:
    assert result_in_words(kind, result) == said


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1 s"), (40.4, "40 s"), (300, "5 minutes"), (10_800, "3 hours")])
def test_a_pause_is_told_in_the_unit_that_people_would_use(seconds: float, said: str) -> None:
    assert pause_in_words(seconds) == said
