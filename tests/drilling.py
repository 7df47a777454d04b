"""The experiments of reliability, in two lengths by one code: short in every run, with `--long` as many rounds as are
promised and a table of what held. `--share 0.1` runs a tenth of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Rounds = Callable[..., int]
Figure = Callable[[str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("drills", "experiments of reliability")
    group.addoption("--long", action="store_true", help="as many rounds as are promised (make torture)")
    group.addoption("--share", type=float, default=1.0, metavar="PART", help="with --long: this part of the rounds")


@pytest.fixture
def is_long(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("--long")


@pytest.fixture
def rounds(pytestconfig: pytest.Config, record_property: Callable[[str, object], None]) -> Rounds:
    """`rounds(short, long, "of what")`: how many to run."""

    def choose(short: int, long: int, what: str = "rounds") -> int:
        share = pytestconfig.getoption("--share")
        count = max(short, round(long * share)) if pytestconfig.getoption("--long") else short
        record_property("rounds", f"{count} {what}")
        return count

    return choose


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Something measured on the way, for the table; never asserted."""
    return lambda text: record_property("figure", text)


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.user_properties += [("experiment", mark.args[0]) for mark in item.iter_markers("drill")]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--long"):
        return
    reports = [
        (outcome, each)
        for outcome in ("passed", "failed", "error", "skipped")
        for each in terminalreporter.stats.get(outcome, [])
    ]
    rows = sorted(_row(outcome, each) for outcome, each in reports if dict(each.user_properties).get("experiment"))
    terminalreporter.section("reliability")
    for number, id, held, how_often, seconds in rows:
        terminalreporter.write_line(f"R{number:<3} {id}")
        terminalreporter.write_line(f"     {held}; {how_often}{seconds:.0f} s")


def _row(outcome: str, report: Any) -> tuple[int, str, str, str, float]:
    told = dict(report.user_properties)
    sentence = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    held = {"passed": "held", "skipped": f"SKIPPED ({_reason(report)})"}.get(outcome, "BROKEN")
    extra = "".join(f"{told[name]}; " for name in ("rounds", "figure") if name in told)
    return int(told["experiment"].removeprefix("R")), sentence, held, extra, report.duration


def _reason(report: Any) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
