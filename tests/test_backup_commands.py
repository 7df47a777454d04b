"""`portal backup` as people type it, and the same verbs by script, beside a server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from portal.backups.layout import object_of_key
from portal.environment import CHECKOUT
from tests import samples
from tests.backing_up import files_of
from tests.e2e.server import RunningPortal


@pytest.fixture
def beside(served: RunningPortal, tmp_path: Path) -> RunningPortal:
    """Commands of each test have a place of its own for their backups."""
    served.environment["PORTAL_BACKUP_URL"] = str(tmp_path / "backups")
    return served


@pytest.fixture(scope="module")
def served() -> Iterator[RunningPortal]:
    """A portal with a picture, whose server runs."""
    portal = RunningPortal(PORTAL_WORKERS="1").start()
    script(
        portal,
        f"p.put_entity('customers', 'C-1', name='Ana'); p.add_image('customers', 'C-1', {samples.jpeg()!r}, wait=True)",
    )
    yield portal
    portal.remove()


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str


_ALL_IN_ONE: Final = """
import json, sys
from click.testing import CliRunner
from portal.__main__ import main
known = {}
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, ["backup", *(known.get(word, word) for word in words)])
    known[f"<{words[0]}>"] = done.stdout.split()[0] if done.stdout else ""
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


def run(portal: RunningPortal, *commands: list[str]) -> list[Done]:
    """One after the other, in one process, which takes long to start; `<create>` is the first word that create said."""
    environment = {**portal.environment, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", _ALL_IN_ONE, json.dumps(commands)],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [Done(*json.loads(line)) for line in done.stdout.splitlines()]


def script(portal: RunningPortal, text: str) -> str:
    environment = {**portal.environment, "PYTHONPATH": str(CHECKOUT)}
    words = f"import portal.sync\nwith portal.sync.open() as p: {text}"
    done = subprocess.run(
        [sys.executable, "-c", words], cwd="/", env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_is_made_verified_taken_out_and_restored_by_commands(beside: RunningPortal, tmp_path: Path) -> None:
    tar = str(tmp_path / "backup.tar")
    done = run(
        beside,
        ["create"],
        ["list"],
        ["verify", "latest"],
        ["list", "--json"],
        ["export", "<create>", tar],
        ["export", "<create>", tar],
        ["remove", "<create>", "--yes"],
        ["import", tar],
        ["find", "latest", "c-1"],
        ["find", "<create>", "nobody", "here", "--json"],
        ["restore", "latest", "--dry-run", "--json"],
        ["restore", "latest"],
        ["prune", "--dry-run"],
    )
    assert [each.code for each in done] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 2, 0], done
    made, listed, verified, told, _, again, only, brought, hit, none, planned, unasked, pruned = done
    backup_id = made.stdout.split()[0]
    assert listed.stdout.split("\t")[:4] == [backup_id, "complete", "all", "1 pictures"]
    assert f"Sound: {backup_id}" in verified.stderr
    (seen,) = json.loads(told.stdout)["backups"]
    assert (seen["id"], seen["wrong"], seen["verified_quick"]) == (backup_id, 0, False)
    assert "is there already" in again.stderr
    assert "only complete backup" in only.stderr
    assert brought.stdout.strip() == backup_id
    assert hit.stdout.startswith("--entity customers/C-1\t")
    assert hit.stdout.endswith("\t1 pictures\tis here\n")
    assert (json.loads(none.stdout)["hits"], none.stderr) == ([], "Nothing in it has these words.\n")
    assert json.loads(planned.stdout)["images"]["create"] == 0
    assert "Say so with --yes" in unasked.stderr
    assert f"keep {backup_id}: daily, weekly, monthly, newest" in pruned.stdout


def test_what_is_wrong_stands_on_a_line_of_its_own_and_the_exit_code_says_so(beside: RunningPortal) -> None:
    [made] = run(beside, ["create", "--type", "customers"])
    backup_id = made.stdout.split()[0]
    folder = Path(beside.environment["PORTAL_BACKUP_URL"])
    key = next(key for key in sorted(files_of(folder)) if object_of_key(key))
    sound = (folder / key).read_bytes()
    (folder / key).write_bytes(sound[:-1])
    nobody = "2026-11-23T020000Z-abcdef"
    try:
        quick, whole, *nowhere = run(
            beside,
            ["verify", backup_id, "--quick"],
            ["verify", backup_id, "--json"],
            ["verify", "../.."],
            ["restore", nobody, "--yes"],
            ["remove", nobody, "--yes"],
            ["export", nobody, "/nowhere/file"],
        )
    finally:
        (folder / key).write_bytes(sound)
    assert (quick.code, quick.stdout) == (1, f"{key}: expected {len(sound)} bytes, found {len(sound) - 1}\n")
    assert (whole.code, json.loads(whole.stdout)["wrong"][0]["name"]) == (1, key)
    assert {(each.code, each.stderr) for each in nowhere} == {(1, "Error: There is no backup with this id.\n")}


def test_scripts_make_verify_and_restore_too(beside: RunningPortal) -> None:
    told = script(
        beside,
        "old = p.backups.create(); root = p.backups.create(); found = p.backups.verify(root.id);"
        " [image] = p.gallery('customers', 'C-1').items; p.delete(image.id); plan = p.backups.restore(root.id);"
        " print(found.is_sound, plan.images.create, p.backups.list()[-1].complete, old.id in p.backups.prune().removed,"
        " p.gallery('customers', 'C-1').items[0].id == image.id)",
    )
    assert told.split() == ["True", "1", "True", "True", "True"]
