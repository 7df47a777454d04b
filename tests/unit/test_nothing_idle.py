"""Nothing is kept that nobody uses: macros that a template imports, classes and elements that a style sheet names."""

from __future__ import annotations

import re

from portal.environment import CHECKOUT
from portal.web.templating import TEMPLATES

SHEETS = sorted((CHECKOUT / "static" / "css").glob("*.css"))
IMPORTS = re.compile(r'{% from "[^"]+" import (?P<names>[^%]+?)(?: with context)? %}|{#.*?#}', re.DOTALL)
FOREIGN = ("pswp", "sortable-")  # of vendored scripts, which set them


def _idle_imports(template: str) -> set[str]:
    named = [name.split(" as ")[-1].strip() for each in IMPORTS.findall(template) for name in each.split(",") if name]
    return set(named) - set(re.findall(r"\w+", IMPORTS.sub("", template)))


def test_a_template_imports_no_macro_that_it_does_not_use() -> None:
    found = {path.name: _idle_imports(path.read_text("utf-8")) for path in TEMPLATES.rglob("*.html")}
    assert {name: idle for name, idle in found.items() if idle} == {}


def _spoken() -> tuple[set[str], tuple[str, ...]]:
    """Each word of pages, scripts and modules, and each beginning that a value completes (`line-{{ … }}`)."""
    folders = ((TEMPLATES, "*.html"), (CHECKOUT / "static" / "js", "*.js"), (CHECKOUT / "portal", "*.py"))
    text = "\n".join(path.read_text("utf-8") for folder, name in folders for path in folder.rglob(name))
    return set(re.findall(r"[A-Za-z][\w-]*", text)), tuple(
        set(re.findall(r"\b([A-Za-z][\w-]*-)(?:\$?{|[\"'] ?~)", text))
    )


def _named_in(sheet: str) -> set[str]:
    """Classes, ids and custom elements of its selectors."""
    rules = re.sub(r"/\*.*?\*/|url\([^)]*\)|@[^{;]*", "", sheet, flags=re.DOTALL)
    selectors = " ".join(re.findall(r"([^{};]+){", rules))
    return set(re.findall(r"(?:[.#]|(?<![\w.#:\[\"-])(?=[a-z]+-))([A-Za-z][\w-]*)", selectors))


def test_a_style_sheet_names_nothing_that_no_page_has() -> None:
    words, beginnings = _spoken()
    found = {path.name: _named_in(path.read_text("utf-8")) - words for path in SHEETS}
    idle = {f"{sheet}: {name}" for sheet, names in found.items() for name in names}
    assert {each for each in idle if not each.split(": ")[1].startswith((*FOREIGN, *beginnings))} == set()
