"""The watch over all other tests sees what it is there for."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Visits
from tests.e2e.server import RunningPortal

WRONGS = {
    "console error": ("console.error('oh no')", "console: oh no"),
    "script error": ("setTimeout(() => { throw new Error('broken') })", "script: .*broken"),
    "refused request": ("fetch('/no/such/page')", "404: GET .*/no/such/page"),
    "request to another host": ("new Image().src = 'https://elsewhere.example/x.png'", "outside: https://elsewhere"),
    "style that the policy forbids": ("document.body.setAttribute('style', 'color: red')", "policy: style-src"),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_goes_wrong_is_seen(portal: RunningPortal, visit: Visits, wrong: str):
    script, seen = WRONGS[wrong]
    page = visit()
    page.goto(f"{portal.url}/login")
    watch = visit.watch_of(page)
    watch.expect(seen)
    watch.may("elsewhere", "policy", "style")
    page.evaluate(f"() => {{ {script} }}")
