from __future__ import annotations

import json
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


OF_A_LIBRARY = """
import logging, structlog
from portal import logs, settings
logs.configure(settings.load({"PORTAL_DATA_DIR": DATA, "PORTAL_LOG_FORMAT": "json"}, None))
with structlog.contextvars.bound_contextvars(request_id="4bf92f3577b34da6"):
    structlog.get_logger().warning("ours")
    logging.getLogger("pgqueuer").warning("theirs: %s", 3)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("it broke")
logging.getLogger("asyncio").info("nobody needs this")
"""


def test_what_libraries_log_comes_in_the_same_lines_with_the_requests_id(tmp_path: Path) -> None:
    program = OF_A_LIBRARY.replace("DATA", repr(str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours, theirs, broke = (json.loads(line) for line in done.stderr.splitlines())
    assert (ours["event"], theirs["event"], theirs["logger"]) == ("ours", "theirs: 3", "pgqueuer")
    assert {line["request_id"] for line in (ours, theirs, broke)} == {"4bf92f3577b34da6"}
    assert {line["level"] for line in (ours, theirs)} == {"warning"}
    assert "ValueError: why" in broke["exception"]
