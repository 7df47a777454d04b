from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
MANIFEST: list[dict[str, str]] = json.loads((STATIC / "vendor" / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_each_vendored_file_is_the_one_the_manifest_names(entry: dict[str, str]) -> None:
    content = (STATIC / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert entry["version"] in entry["source"]
    assert entry["licence"]
    assert (STATIC / entry["licence_text"]).read_text("utf-8").strip()


def test_no_file_of_others_lies_there_unnamed() -> None:
    vendored = {f for f in (STATIC / "vendor").rglob("*") if f.is_file() and f.parent.name != "licences"}
    vendored |= set((STATIC / "fonts").iterdir())
    named = {entry["file"] for entry in MANIFEST} | {"vendor/manifest.json"}
    assert {f.relative_to(STATIC).as_posix() for f in vendored} == named


def test_every_licence_text_belongs_to_a_file() -> None:
    texts = {f"vendor/licences/{f.name}" for f in (STATIC / "vendor" / "licences").iterdir()}
    assert texts == {entry["licence_text"] for entry in MANIFEST}
