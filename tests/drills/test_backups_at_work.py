"""R8: a backup beside uploads, edits and deletes shows one moment. R11: one that is killed hinders no other."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.backups.consistency import needed_by
from tests import samples
from tests.backing_up import sha256_of
from tests.drilling import Figure, Rounds
from tests.drills.traffic import COME_BACK, all_are_ready, assert_sound, client_of, make_gallery, upload
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(1800)  # a dozen commands, each of which starts what it needs
TYPE = "inventory_items"


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    """Of its own: what else is in it is in its backups as well."""
    portal = RunningPortal(PORTAL_WORKERS="2").start()
    yield portal
    portal.remove()


@pytest.fixture
async def client(portal: RunningPortal, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(portal, token) as client:
        yield client


def backups_of(portal: RunningPortal) -> Path:
    return portal.data_dir / "backups" / "images"


class Backup:
    """What lies in its folder, read without the portal's own means of verifying."""

    def __init__(self, root: Path, backup_id: str) -> None:
        self.root, self.folder = root, root / "backups" / backup_id

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def is_whole(self) -> None:
        """Every object that a row needs lies there, as its SHA-256 says."""
        needed = {sha256 for name in ("images", "versions") for line in self.of(name) for sha256 in needed_by(line)}
        listed = {line["sha256"]: line for line in self.of("objects")}
        assert needed <= set(listed)
        assert not [line for line in listed.values() if "lost" in line]
        for sha256 in listed:
            assert sha256_of((self.root / TYPE / "objects" / sha256[:2] / sha256).read_bytes()) == sha256

    def shows_one_moment(self) -> None:
        """Rows that change together are there together: order and primary of a gallery; a picture and its line in the audit."""
        galleries: dict[str, list[dict[str, Any]]] = {}
        for image in self.of("images"):
            galleries.setdefault(image["entity"], []).append(image)
        assert set(galleries) <= {line["id"] for line in self.of("entities")}
        for images in galleries.values():
            shown = sorted(each["sort_order"] for each in images if each["trashed_at"] is None)
            assert shown == list(range(len(shown)))
            assert sum(each["is_primary"] for each in images) <= 1
        audit = self.lines("audit.jsonl")
        added, deleted = (
            {line["subject_id"] for line in audit if line["action"] == action}
            for action in ("image.add", "image.delete")
        )
        assert {line["id"] for line in self.of("images")} == added - deleted

    def of(self, name: str) -> list[dict[str, Any]]:
        return self.lines(f"{TYPE}/{name}.jsonl")


class Writers:
    """People at work in one gallery, until `over`."""

    def __init__(self, client: httpx.AsyncClient, gallery: str) -> None:
        self.client, self.gallery = client, gallery
        self.over = asyncio.Event()
        self.ids: list[str] = []
        self.done = 0

    def have_begun(self) -> bool:
        return len(self.ids) > 3

    async def work(self, seed: int) -> None:
        """What the server is too busy for, or somebody else has just deleted, is let go."""
        chance = random.Random(seed)
        while not self.over.is_set():
            answer = await self._one(chance)
            assert answer.status_code < 300 or answer.status_code in {404, 409, 412, *COME_BACK}, answer.text
            self.done += 1

    async def _one(self, chance: random.Random) -> httpx.Response:
        if len(self.ids) < 3 or chance.random() < 0.4:
            answer = await upload(self.client, self.gallery, samples.distinct(chance.randrange(10**9)))
            if answer.status_code == 201:
                self.ids.append(answer.json()["id"])
            return answer
        image_id = chance.choice(self.ids)
        turn = chance.random()
        if turn < 0.4:
            with suppress(ValueError):
                self.ids.remove(image_id)
            return await self.client.delete(f"/api/images/{image_id}")
        if turn < 0.6:
            return await self.client.put(
                f"/api/images/{image_id}/file",
                files={"file": ("other.jpg", samples.distinct(chance.randrange(10**9)), "image/jpeg")},
            )
        metadata = {"caption": str(turn)} if turn < 0.8 else {"focal_point": {"x": turn, "y": 0.5}}
        return await self.client.put(f"/api/images/{image_id}/metadata", json=metadata)


@pytest.mark.drill("R8")
async def test_a_backup_beside_uploads_edits_and_deletes_shows_one_moment_and_restores(
    portal: RunningPortal, client: httpx.AsyncClient, rounds: Rounds, figure: Figure
) -> None:
    ids: list[str] = []
    for _ in range(rounds(1, 20, "backups beside writers")):
        writers = Writers(client, await make_gallery(client))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(writers.work(random.randrange(10**9)))
            await eventually(writers.have_begun)
            began, before = time.monotonic(), writers.done
            ids.append(json.loads(await asyncio.to_thread(portal.run, "backup", "create", "--json"))["id"])
            figure(f"{(writers.done - before) / (time.monotonic() - began):.0f} changes a second beside it")
            writers.over.set()
        made = Backup(backups_of(portal), ids[-1])
        made.is_whole()
        made.shows_one_moment()
    await asyncio.to_thread(restore_elsewhere, portal, ids[-1])
    await assert_sound(portal)


def restore_elsewhere(portal: RunningPortal, backup_id: str) -> None:
    other = RunningPortal(PORTAL_WORKERS="1", PORTAL_BACKUP_URL=str(backups_of(portal)))
    try:
        other.run("backup", "verify", backup_id)
        other.run("backup", "restore", backup_id, "--yes")
        other.run("fsck")
    finally:
        other.remove()


@pytest.mark.drill("R11")
async def test_a_killed_backup_is_unfinished_and_the_next_one_whole(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds
) -> None:
    for number in range(12):
        assert (await upload(client, gallery, samples.distinct(5000 + number))).status_code == 201
    await eventually(lambda: all_are_ready(client, gallery))
    for _ in range(rounds(1, 50, "kills")):
        await asyncio.to_thread(one_kill, portal)


def one_kill(portal: RunningPortal) -> None:
    backups = backups_of(portal)
    shutil.rmtree(backups / TYPE / "objects", ignore_errors=True)
    (backups / "backups").mkdir(parents=True, exist_ok=True)
    old = {each.name for each in (backups / "backups").iterdir()}
    enough = random.randrange(120)  # files: somewhere from the very begin to beyond the end
    command = [sys.executable, "-m", "portal", "backup", "create"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=CHECKOUT, env=portal.environment, stdout=quiet, stderr=quiet) as killed:
        while killed.poll() is None and files_in(backups, old) < enough:
            time.sleep(0.002)
        killed.kill()
    begun = {each.name for each in (backups / "backups").iterdir()} - old
    listed = {each["id"]: each for each in json.loads(portal.run("backup", "list", "--json"))["backups"]}
    for backup_id in begun:
        state = "complete" if (backups / "backups" / backup_id / "backup.jsonl").exists() else "unfinished"
        assert listed[backup_id]["state"] == state
    made = json.loads(portal.run("backup", "create", "--json"))["id"]
    Backup(backups, made).is_whole()
    portal.run("backup", "verify", made)
    assert list((backups / "temp").iterdir()) == []
    assert not list(portal.data_dir.glob("backup-spool/*"))


def files_in(backups: Path, old: set[str]) -> int:
    """Objects, drafts, and what lies in new backups' folders."""
    found = [*(backups / TYPE).rglob("*"), *(backups / "temp").glob("*"), *(backups / "backups").glob("*/*")]
    return sum(each.parent.name not in old for each in found)
