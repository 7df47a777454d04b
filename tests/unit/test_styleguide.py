"""The style guide shows what there is: each macro, and the states that DESIGN asks of fields, cards and notices."""

from __future__ import annotations

import re

import pytest

from portal.web.rendering import COUNTS, Reader, Shell
from portal.web.templating import TEMPLATES, environment

WITHIN_OTHERS = {"img", "pic", "steps", "renews"}  # parts of others, and attributes alone


@pytest.fixture(scope="module")
def guide() -> str:
    shell = Shell(Reader("Ana", "ana@example.com", "admin"), dict.fromkeys(COUNTS, 0), "token", True, True)
    around = {"shell": shell, "site_name": "Portal", "theme": "auto", "path": "/styleguide", "csrf_token": "token"}
    template = environment(lambda name, **parameters: f"/{name}").get_template("web/styleguide.html")
    return template.render(**around, toasts=[])


def test_it_uses_every_macro() -> None:
    source = (TEMPLATES / "web/styleguide.html").read_text("utf-8")
    macros = set(re.findall(r"{% macro (\w+)\(", (TEMPLATES / "ui.html").read_text("utf-8")))
    assert macros
    missing = {name for name in macros - WITHIN_OTHERS if not re.search(rf"{{[{{%][^}}]*\b{name}\(", source)}
    assert missing == set()


@pytest.mark.parametrize(
    "sign",
    [
        'class="button primary"',
        'class="button danger"',
        'aria-busy="true"',
        "disabled",
        'aria-invalid="true"',
        "image-card pending",
        "image-card failed",
        "image-card lead",
        "dragged",
        "drop-before",
        "notice ok",
        "notice work",
        "notice warn",
        "notice bad",
        'class="bulk-bar"',
        'class="toast"',
        'class="menu"',
        'class="dialog"',
        'class="keys"',
        'class="crumbs"',
        'class="empty"',
    ],
)
def test_it_shows_this_state(guide: str, sign: str) -> None:
    main = guide[guide.index('<div class="guide">') :]
    assert sign in main
