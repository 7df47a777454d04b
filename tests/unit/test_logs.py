from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import structlog
from portal import logs, settings
logs.configure(settings.load({"PORTAL_DATA_DIR": DATA}, None))
for _ in range(3):
    structlog.get_logger().warning("x" * 10_000)
print("went on")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_on_a_full_disk_fails_nothing_that_is_logged(tmp_path: Path) -> None:
    program = PROGRAM.replace("DATA", repr(str(tmp_path)))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, text=True)
    assert done.stdout == "went on\n"
