"""Checks never cry wolf: eight writers at once, full check and fsck in loops without any grace, and not one finding."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import pytest

from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import COME_BACK, assert_sound, images_of, make_gallery, sweep, upload
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = [pytest.mark.drill("R12"), pytest.mark.timeout(900)]
WRITERS = 8
REFUSED = {404, 409, 412, *COME_BACK}  # another writer was first


class Writer:
    """Does to the pictures of one gallery, which another writer shares, all that people do to pictures."""

    def __init__(self, client: httpx.AsyncClient, gallery: str, seed: int) -> None:
        self.client, self.gallery, self.random = client, gallery, random.Random(seed)
        self.answers: Counter[str] = Counter()

    async def work_until(self, end: float) -> None:
        while time.monotonic() < end or self.answers["upload 201"] < 2:
            images = await images_of(self.client, self.gallery)
            act = self.random.choice(self._acts() if images else [self._upload])
            answer = await act(self.random.choice(images)["id"] if images else "")
            assert answer.status_code < 300 or answer.status_code in REFUSED, answer.text
            self.answers[f"{act.__name__.strip('_')} {answer.status_code}"] += 1

    def _acts(self) -> list[Callable[[str], Awaitable[httpx.Response]]]:
        some = [self._upload, self._upload, self._upload, self._replace, self._replace, self._edit, self._edit]
        some += [self._focus, self._trash_and_back, self._trash, self._delete, self._delete, self._old_version]
        return [*some, self._rerender, self._pin, self._unpin]

    async def _upload(self, _: str) -> httpx.Response:
        number = self.random.randrange(40)  # often a duplicate: its bytes are taken away again
        return await upload(self.client, self.gallery, samples.distinct(number, *self.random.choice(SIZES)))

    async def _replace(self, image_id: str) -> httpx.Response:
        file = ("other.jpg", samples.distinct(self.random.randrange(10_000)), "image/jpeg")
        return await self.client.put(f"/api/images/{image_id}/file", files={"file": file})

    async def _edit(self, image_id: str) -> httpx.Response:
        return await self._change(image_id, {"edits": {"rotate": self.random.choice([0, 90, 180, 270])}})

    async def _focus(self, image_id: str) -> httpx.Response:
        return await self._change(image_id, {"focal_point": {"x": self.random.random(), "y": 0.5}})

    async def _change(self, image_id: str, fields: dict[str, object]) -> httpx.Response:
        return await self.client.put(f"/api/images/{image_id}/metadata", json=fields)

    async def _trash(self, image_id: str) -> httpx.Response:
        return await self.client.post(f"/api/images/{image_id}/trash")

    async def _trash_and_back(self, image_id: str) -> httpx.Response:
        await self._trash(image_id)
        return await self.client.post(f"/api/images/{image_id}/restore")

    async def _delete(self, image_id: str) -> httpx.Response:
        return await self.client.delete(f"/api/images/{image_id}")

    async def _old_version(self, image_id: str) -> httpx.Response:
        return await self.client.post(f"/api/images/{image_id}/versions/1/restore")

    async def _rerender(self, image_id: str) -> httpx.Response:
        return await self.client.post("/api/images/rerender", json={"which": "selected", "ids": [image_id]})

    async def _pin(self, _: str) -> httpx.Response:
        return await self.client.post(f"/api/entities/invoices/{self.gallery}/pin")

    async def _unpin(self, _: str) -> httpx.Response:
        return await self.client.delete(f"/api/entities/invoices/{self.gallery}/pin")


SIZES = [(64, 48), (90, 60), (1400, 900)]  # the last takes a while to render


async def check_until(client: httpx.AsyncClient, end: float) -> int:
    """Full checks, one after the other; how many pictures they looked at."""
    looked = 0
    while time.monotonic() < end or not looked:
        answer = await client.post("/api/images/check", json={"kind": "full"})
        assert answer.status_code == 202, answer.text
        location = answer.headers["location"]
        await eventually(partial(is_finished, client, location), seconds=300)
        job = (await client.get(location)).json()
        assert job["state"] == "succeeded", job
        assert job["result"]["findings"] == 0, (await client.get("/api/images/findings")).text
        looked += job["result"]["pictures"]
    return looked


async def is_finished(client: httpx.AsyncClient, job: str) -> bool:
    return (await client.get(job)).json()["finished_at"] is not None


async def fsck_until(portal: RunningPortal, end: float) -> None:
    """From a process of its own, and with every rendition decoded."""
    while time.monotonic() < end:
        done = await asyncio.to_thread(portal.complete, "fsck", "--json")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


async def test_a_check_that_runs_while_eight_write_finds_nothing(
    portal: RunningPortal, client: httpx.AsyncClient, rounds: Rounds, figure: Figure
) -> None:
    await sweep(portal)  # of what other experiments left
    galleries = [await make_gallery(client) for _ in range(WRITERS // 2)]
    for name in galleries:
        lines = [{"item": name, "description": "Sold", "quantity": 1}]
        await client.put(f"/api/entities/invoices/{name}", json={"name": "Invoice", "lines": lines})
    writers = [Writer(client, galleries[number // 2], number) for number in range(WRITERS)]
    end = time.monotonic() + rounds(30, 300, "seconds")
    checking = asyncio.create_task(check_until(client, end))
    await asyncio.gather(checking, fsck_until(portal, end), *(writer.work_until(end) for writer in writers))
    answers = sum((writer.answers for writer in writers), Counter[str]())
    assert answers["upload 201"] > WRITERS, answers
    assert checking.result() > 0
    figure(f"{sum(answers.values())} changes, {checking.result()} pictures looked at: {dict(sorted(answers.items()))}")
    found = (await client.get("/api/images/findings")).json()
    assert found["findings"] == []  # also none that has ended by now
    await assert_sound(portal)  # what waits for its renditions is sound as well
    for gallery in galleries:
        for kind in ("invoices", "inventory_items"):
            await client.delete(f"/api/entities/{kind}/{gallery}")
