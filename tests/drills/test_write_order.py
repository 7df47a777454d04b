"""R3: the order in which the kernel was asked: the file is synced, then renamed, its folder synced, the row committed, and
only then is anybody answered. Watched by strace from outside."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import samples
from tests.drills.traffic import all_are_ready, assert_sound, connect, files_of, upload
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R3")
CALLS = "fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,write,writev,sendto,sendmsg"
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")


@dataclass(frozen=True)
class Call:
    """`began` and `ended` are lines of the record."""

    text: str
    began: int
    ended: int


class Record:
    """What strace wrote so far, calls that were cut in two joined again."""

    def __init__(self, path: Path) -> None:
        self.calls: list[Call] = []
        open_calls: dict[str, tuple[str, int]] = {}
        for number, line in enumerate(path.read_text(errors="replace").splitlines()):
            if found := _UNFINISHED.match(line):
                open_calls[found[1]] = (found[2], number)
            elif (found := _RESUMED.match(line)) and found[1] in open_calls:
                text, began = open_calls.pop(found[1])
                self.calls.append(Call(text + found[2], began, number))
            else:
                self.calls.append(Call(line, number, number))

    def first(self, pattern: str, after: int = -1) -> Call:
        found = self.find(pattern, after)
        assert found, f"no call like {pattern} after line {after}"
        return found

    def statement(self, sql: str) -> str:
        """A pattern for its running: by its text, or by the name that the driver gave it when it ran before."""
        prepared = re.compile(rf"(__asyncpg_stmt_\w+__)\\0{sql}")
        names = {found[1] for each in self.calls if (found := prepared.search(each.text))}
        return "|".join([sql, *(rf'"B.*{name}' for name in names)])

    def find(self, pattern: str, after: int = -1) -> Call | None:
        return next((each for each in self.calls if each.began > after and re.search(pattern, each.text)), None)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strace") / "calls"


@pytest.fixture(scope="module")
def portal(record: Path) -> Iterator[RunningPortal]:
    """Under strace, which steps aside as a grandchild, so that signals reach the portal."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(
        ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], capture_output=True
    ).returncode:
        pytest.skip("strace may not trace here")
    portal = RunningPortal(PORTAL_WORKERS="1")
    options = [
        "-D",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "300",
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(record),
    ]
    portal.command = ["strace", *options, *portal.command]
    portal.start()
    yield portal
    portal.remove()


async def test_an_upload_is_synced_renamed_and_committed_before_it_is_answered(
    client: httpx.AsyncClient, gallery: str, record: Path
) -> None:
    answer = await upload(client, gallery, samples.distinct(1))
    assert answer.status_code == 201
    image_id = answer.json()["id"]
    moved, created = rf'rename\w*\(.*/temp/\w+\.part.*{image_id}-v1\.jpg"', r"HTTP/1\.1 201"
    await eventually(lambda: _happened(Record(record), moved, created))
    calls = Record(record)
    renamed = calls.first(moved)
    part = re.search(r"/temp/(\w+\.part)", renamed.text)
    assert part
    synced = calls.first(rf"f\w*sync\(\d+<[^>]*{part[1]}>\) += 0")
    folder = calls.first(r"fsync\(\d+<[^>]*/inventory_items/\w\w>\) += 0", renamed.ended)
    row = calls.first(calls.statement(r'INSERT INTO [\\"]*image'), renamed.ended)
    committed = calls.first(r"COMMIT", row.ended)
    answered = calls.first(created, renamed.began)
    assert synced.ended < renamed.began
    assert renamed.ended < folder.began
    assert folder.ended < committed.began
    assert committed.ended < answered.began


async def test_a_delete_is_committed_before_it_is_answered_and_its_bytes_go_after_that(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, record: Path
) -> None:
    image_id = (await upload(client, gallery, samples.distinct(2))).json()["id"]
    await eventually(lambda: all_are_ready(client, gallery))
    assert (await client.delete(f"/api/images/{image_id}")).status_code == 204
    await eventually(lambda: not files_of(portal, {image_id}))
    unlinked = rf'unlink\w*\(.*{image_id}-v1\.jpg"'
    forgetting, deleting = "DELETE FROM object_purge", "DELETE FROM image WHERE"
    await eventually(lambda: _happened(Record(record), unlinked, forgetting))
    calls = Record(record)
    stored = calls.first(rf'rename\w*\(.*{image_id}-v1\.jpg"')
    deleted = calls.first(calls.statement(deleting), stored.ended)
    committed = calls.first(r"COMMIT", deleted.ended)
    answered = calls.first(r"HTTP/1\.1 204", deleted.ended)
    gone = calls.first(unlinked)
    folder = calls.first(r"fsync\(\d+<[^>]*/inventory_items/\w\w>\) += 0", gone.ended)
    forgotten = calls.first(calls.statement(forgetting), gone.ended)
    assert committed.ended < answered.began
    assert committed.ended < gone.began
    assert folder.ended < forgotten.began
    await assert_sound(portal)


def _happened(calls: Record, first: str, then: str) -> bool:
    found = calls.find(first)
    return found is not None and calls.find(calls.statement(then), found.began) is not None


async def test_the_database_itself_answers_a_commit_only_when_it_is_on_the_disk(portal: RunningPortal) -> None:
    connection = await connect(portal)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval(f"SHOW {setting}") == "on", setting
    finally:
        await connection.close()
