"""No page is left out of the walk over all of them."""

from __future__ import annotations

import re

from portal.web.templating import TEMPLATES
from tests.e2e.every_page import ELSEWHERE, PAGES


def test_every_page_is_looked_at() -> None:
    there = {
        path.relative_to(TEMPLATES).as_posix()
        for path in TEMPLATES.rglob("[!_]*.html")
        if re.search(r"{% extends |<html", path.read_text("utf-8"))
    }
    frames = {"base.html", "embed/paper.html"}
    assert there - frames == {spot.template for spot in PAGES.values()} | set(ELSEWHERE)


def test_what_stands_on_every_page_has_its_ids_alone() -> None:
    """Else what replaces a page's part replaces the help, or the toasts, and the part stays."""
    frame = {"base.html", *re.findall(r'{% include "([^"]+)"', (TEMPLATES / "base.html").read_text("utf-8"))}
    taken = set().union(*map(ids_in, frame))
    assert {"keys", "toasts", "main"} <= taken
    # of the frame, or of a part of it: the overview has a box of its own for the quick search
    instead = {"accounts/_gate.html", "overview/_quick.html", "overview/show.html", "web/standstill.html"}
    documents = {"embed/gallery.html", "embed/paper.html"}  # stand in no frame of ours
    others = (
        {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")} - frame - instead - documents
    )
    assert not {name: both for name in others if (both := ids_in(name) & taken)}


def ids_in(name: str) -> set[str]:
    return set(re.findall(r'\bid="([\w-]+)"', (TEMPLATES / name).read_text("utf-8")))
