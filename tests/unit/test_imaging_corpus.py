"""Verdicts on real odd and hostile pictures, where the collection lies beside the checkout.

Every 50th file by default; all of them with PORTAL_TEST_CORPUS=all.
"""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from portal.errors import FileRefused
from portal.imaging.presets import READY
from portal.imaging.render import render
from portal.imaging.verify import Limits, verify

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
STEP = 1 if os.environ.get("PORTAL_TEST_CORPUS") == "all" else 50


def rows() -> list[dict[str, str]]:
    csv.field_size_limit(10**9)
    with (CORPUS / "manifest.tsv").open(encoding="utf-8", newline="") as manifest:
        found = list(csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row for row in found if not row["file"].startswith("virtual:")][::STEP]


def filename(row: dict[str, str]) -> str:
    return (
        json.loads(row["upload_name"]) if row["upload_name"] else re.sub(r"[^\x20-\x7e]", "_", Path(row["path"]).name)
    )


@pytest.mark.shared
@pytest.mark.timeout(600)
@pytest.mark.skipif(not CORPUS.exists(), reason="the collection of hostile pictures is not beside the checkout")
def test_hostile_pictures_are_refused_and_good_ones_render():
    false_accepts: list[str] = []
    false_rejects: list[str] = []
    good = 0
    for row in rows():
        path = CORPUS / row["file"]
        good += row["verdict"] == "accept"
        try:
            verify(path, filename(row), Limits())
        except FileRefused as refusal:
            if row["verdict"] == "accept":
                false_rejects.append(f"{row['file']}: {refusal}")
            continue
        if row["verdict"] == "reject":
            false_accepts.append(row["file"])
        assert len(render(path, READY)) == len(READY)
    assert false_accepts == []
    assert len(false_rejects) <= max(1, 0.005 * good), false_rejects
