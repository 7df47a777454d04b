"""What ten cameras at once need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from tests import samples
from tests.attack.test_attack import all_are_ready, upload
from tests.attack.watcher import Watch
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

PEAK_MB = 1024

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
async def test_ten_photos_of_24_megapixels_at_once_are_ready_below_1_gib(
    portal: RunningPortal, client: httpx.AsyncClient, figure: Callable[[str], None], progressive: bool
) -> None:
    photo = samples.noisy(6000, 4000, quality=88, progressive=progressive)
    photos = [photo + bytes([number]) for number in range(10)]  # each another file
    with Watch(portal) as watch:
        answers = await asyncio.gather(*(upload(client, "photo.jpg", data) for data in photos))
        assert {answer.status_code for answer in answers} == {201}, answers[0].text
        ids = [answer.json()["id"] for answer in answers]
        await eventually(lambda: all_are_ready(client, ids), seconds=200)
    figure(f"ten photos of 24 MP and {len(photo) // 2**20} MB: {watch.seen}")
    assert watch.seen.peak_mb < PEAK_MB
