"""The page about performance: what all processes did in the last hour, for staff, in words that fit."""

from __future__ import annotations

import re

import pytest
from litestar import Litestar

from portal import database
from portal.histogram import BOUNDS, Timings, quantile
from portal.maintenance.performance import PICTURES, performance
from portal.maintenance.performance_chart import bars_of, lines_of
from portal.maintenance.performance_pages import in_words, rate_in_words
from portal.minutes import Minutes
from tests.web.whole_app import caller, whole_app


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
async def app(running: Litestar, db: None) -> Litestar:
    return running


async def one_minute_ago(*seconds: float, route: str = "GET /entities/{type}", status: int = 200) -> None:
    """A process of its own did this, as did the others before it, in the last whole minute."""
    timings = Timings()
    for each in seconds:
        timings[route].add(each, status)
    await Minutes(timings).flush()
    await database.execute("UPDATE request_minute SET minute = date_trunc('minute', now()) - interval '1 minute'")


async def test_all_processes_are_summed_and_pictures_stand_apart(app: Litestar):
    await one_minute_ago(0.02, 0.02, 0.02)
    await one_minute_ago(0.2, status=503)
    await one_minute_ago(*[0.0005] * 60, route=PICTURES)
    await one_minute_ago(0.3, 0.1, route="stage render")
    found = await performance()
    assert (found.total.requests, found.total.errors, found.pictures) == (4, 1, 60)
    assert (found.minutes[-1].requests, found.minutes[-1].pictures, len(found.minutes)) == (64, 60, 60)
    assert found.processes == 4
    assert [each.name for each in found.routes] == ["GET /entities/{type}", PICTURES]
    render = next(each for each in found.stages if each.name == "stage render")
    assert (render.requests, render.mean) == (2, pytest.approx(0.2))


async def test_staff_may_see_it_and_visitors_may_not(app: Litestar):
    await one_minute_ago(0.02, 0.7, route="GET /images/{id}")
    for role, status in (("viewer", 200), ("admin", 200), (None, 401)):
        answer = await (await caller(app, role)).get("/maintenance/performance", headers={"accept": "application/json"})
        assert answer.status_code == status
    viewer = await caller(app, "viewer")
    page = (await viewer.get("/maintenance/performance")).text
    fragment = (await viewer.get("/maintenance/performance/live")).text
    for text in (page, fragment):
        assert "GET /images/{id}" in text
        assert 'hx-trigger="every 10s"' in text
        assert " style=" not in text
    assert "<html" in page
    assert "<html" not in fragment


async def test_a_portal_without_requests_says_so_and_a_chart_has_its_title_and_table(app: Litestar):
    page = (await (await caller(app, "viewer")).get("/maintenance/performance")).text
    assert "Nothing was asked in the last hour" in page
    assert "None in the last hour." in page
    for chart in ("requests", "times"):
        assert f'<title id="{chart}-chart-title">' in page
        assert re.search(rf'aria-describedby="{chart}-chart-about"', page)
    assert page.count("<tr><td>") >= 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "—"),
        (0.0, "0"),
        (0.0042, "4.2 ms"),
        (0.0301, "30 ms"),
        (0.9996, "1 s"),
        (1.234, "1.23 s"),
        (BOUNDS[-1], "10 s or more"),
        (400.0, "7 min"),
    ],
)
def test_times_are_said_in_words_that_fit(seconds: float | None, words: str):
    assert in_words(seconds).replace("\N{NO-BREAK SPACE}", " ") == words


def test_a_share_of_times_lies_within_its_bucket():
    timings = Timings()
    for _ in range(100):
        timings["a"].add(0.03)
    half = quantile(timings["a"].buckets, 0.5)
    assert half is not None
    assert 0.025 < half < 0.05
    assert quantile([0] * 14, 0.5) is None
    timings["b"].add(60.0)
    assert quantile(timings["b"].buckets, 0.99) == BOUNDS[-1]


def test_a_line_is_interrupted_where_a_minute_has_no_value_and_nothing_leaves_the_chart():
    times = [f"10:{minute:02}" for minute in range(5)]
    chart = lines_of([[0.1, 0.2, None, 0.4, None]], times, rate_in_words)
    assert chart.lines[0].count("M") == 2
    stacked = bars_of([[1, 2, 0, 4, 70], [1, 0, 0, 1, 5]], times, rate_in_words)
    assert len(stacked.bars) == 7
    assert all(bar.y >= 0 and bar.y + bar.height <= stacked.bottom + 0.2 for bar in stacked.bars)
    assert all(bar.x + bar.width <= stacked.width for bar in stacked.bars)
    assert [mark.text for mark in stacked.grid] == ["0", "30", "60", "90"]
