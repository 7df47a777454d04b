"""The whole collection of hostile pictures through the tool that came with it, where it lies beside the checkout."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attack.conftest import GALLERY
from tests.attack.test_attack import PEAK_MB, is_unmoved
from tests.attack.watcher import Watch
from tests.e2e.server import CHECKOUT, RunningPortal

SHARED = CHECKOUT.parent / "shared"
TOOL = SHARED / "tools" / "attack_uploads.py"
FALSE_REJECTS = 0.005  # of the good ones
AT_ONCE = 4  # each mostly waits: the tool asks five times a second whether a picture is ready


@pytest.fixture
def report(portal: RunningPortal, token: str, client: object, tmp_path: Path) -> Path:
    assert portal.process is not None
    path = tmp_path / "report.json"
    fields = {"entity_type": "inventory_items", "entity_id": GALLERY, "allow_duplicate": "true"}
    command = [sys.executable, str(TOOL), "--base-url", portal.url, "--bearer", token, "--out", str(path)]
    command += ["--concurrency", str(AT_ONCE)]
    command += [word for name, value in fields.items() for word in ("--field", f"{name}={value}")]
    command += [
        "--upload",
        "/api/images/upload",
        "--split",
        "all",
        "--sizes",
        "icon,small,medium,large,gallery,optimized",
    ]
    command += [
        "--rendition",
        "/api/images/serve/{id}?size={size}",
        "--original",
        "/api/images/serve/{id}?size=original",
    ]
    command += ["--state", "/api/images/{id}", "--state-path", "status", "--state-failed", "failed"]
    command += ["--heartbeat", "/health/live", "--heartbeat-max-ms", "1e9"]  # the watch's own is finer
    command += ["--pid", str(portal.process.pid), "--rss-mb", str(PEAK_MB), "--tmpdir", str(portal.storage / "temp")]
    command += ["--text-field", "caption", "--text-field", "alt_text", "--id-field", "entity_id"]
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, timeout=1200, check=False)
    return path


def verdicts() -> list[str]:
    csv.field_size_limit(10**9)
    with (SHARED / "corpus" / "manifest.tsv").open(encoding="utf-8", newline="") as manifest:
        return [row["verdict"] for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE)]


@pytest.mark.shared
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not TOOL.exists(), reason="the collection of hostile pictures is not beside the checkout")
def test_of_all_hostile_pictures_none_gets_in_and_of_the_good_ones_hardly_any_is_refused(
    portal: RunningPortal, request: pytest.FixtureRequest, figure: Callable[[str], None]
) -> None:
    with Watch(portal) as watch:
        path: Path = request.getfixturevalue("report")
    said = json.loads(path.read_text())
    stats = said["stats"]
    good = verdicts().count("accept")
    refused = stats.get("false_reject", 0)
    figure(
        f"{said['uploads']} files in {said['seconds']:.0f} s: {stats.get('FAIL', 0)} FAIL, {refused} of {good} good ones"
        f" refused; {watch.seen}"
    )
    assert [each for each in said["findings"] if each["level"] == "FAIL"] == []
    assert refused <= FALSE_REJECTS * good
    assert watch.seen.peak_mb < PEAK_MB
    assert is_unmoved(watch.seen), watch.seen
