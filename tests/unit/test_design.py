"""The design as numbers: contrast of the tokens in both themes, and templates that compile and name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.web.assets import STATIC_ROOT
from portal.web.templating import TEMPLATES, environment, icon_table

CSS = STATIC_ROOT / "css"
TEMPLATE_NAMES = sorted(f.relative_to(TEMPLATES).as_posix() for f in TEMPLATES.rglob("*.html"))
TOKENS = (CSS / "tokens.css").read_text("utf-8")

PAPERS = ["paper", "surface", "raised", "hover", "row-hover", "sunken", "current", "chip"]
WASHES = ["accent", "ok", "warn", "bad"]
TEXT = [
    *((ink, paper) for ink in ("ink", "ink-2", "ink-3") for paper in PAPERS if (ink, paper) != ("ink-3", "current")),
    *((tone, paper) for tone in WASHES for paper in ("paper", "surface", "raised", "hover", f"{tone}-wash")),
    *((ink, f"{tone}-wash") for ink in ("ink", "ink-2") for tone in WASHES),
    ("on-ink", "ink"),
    ("on-ink", "ink-hover"),
    ("on-fill", "bad-fill"),
    ("on-fill", "bad-hover"),
    ("on-float", "float"),
    ("on-float-accent", "float"),
    ("on-float-bad", "float"),
]
EDGES = [
    *(("line-control", paper) for paper in ("paper", "surface", "raised")),
    *(("accent-fill", paper) for paper in ("paper", "surface", "raised", "hover", "sunken")),
    *((f"{tone}-fill", "surface") for tone in WASHES),
    ("accent-fill", "track"),
]


def colour(token: str, theme: str) -> tuple[float, float, float]:
    """Red, green, blue in 0..1."""
    value = re.search(rf"--{token}: (?:light-dark\((#\w+), (#\w+)\)|(#\w+));", TOKENS)
    assert value, f"--{token} is no plain colour"
    both = value[3]
    text = (both or value[1 if theme == "light" else 2]).removeprefix("#")
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """WCAG 2.2, 1.4.3: (lighter + 0.05) / (darker + 0.05) of the relative luminances."""

    def luminance(rgb: tuple[float, float, float]) -> float:
        linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_21() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), TEXT)
def test_text_can_be_read(ink: str, paper: str, theme: str) -> None:
    assert contrast(colour(ink, theme), colour(paper, theme)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("edge", "paper"), EDGES)
def test_edges_and_marks_can_be_seen(edge: str, paper: str, theme: str) -> None:
    assert contrast(colour(edge, theme), colour(paper, theme)) >= 3


def test_every_token_that_is_used_is_defined() -> None:
    sheets = {f.stem: f.read_text("utf-8") for f in CSS.glob("*.css")}
    alone = (
        sheets["embed"] + sheets["card"]
    )  # embeds and cards have tokens of their own, sheets of paper their measures
    sources = {"embed": [alone], "card": [alone], "sheet-print": [sheets["paper-a4"], sheets["paper-a5"]]}
    for name, text in sheets.items():
        for source in sources.get(name, [text + TOKENS]):
            assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= set(re.findall(r"(--[\w-]+):", source)), name


def test_only_the_tokens_write_colours() -> None:
    """White on a picture and shades over one are the exception."""
    allowed = {"#fff"}
    for name in ("layout", "shell", "controls", "forms", "pictures", "tables", "charts", "overview", "gate"):
        text = re.sub(r"/\*.*?\*/", "", (CSS / f"{name}.css").read_text("utf-8"), flags=re.S)
        assert set(re.findall(r"(?<=[\s(])#[0-9a-f]{3,8}\b", text)) <= allowed, name


def test_stylesheets_stay_short() -> None:
    assert {f.name for f in CSS.glob("*.css") if f.read_text("utf-8").count("\n") > 400} == set()


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_template_compiles(name: str) -> None:
    environment(lambda route, **params: f"/{route}").get_template(name)


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_named_icon_exists(name: str) -> None:
    text = (TEMPLATES / name).read_text("utf-8")
    named = set(re.findall(r"""\bicon\(\s*["']([\w-]+)["']""", text))
    for inside in re.findall(r"\bicon\(([^)]*\bif\b[^)]*)\)", text):  # icon("sun" if … else "moon")
        named |= set(re.findall(r"""(?:^|else\s)\s*["']([\w-]+)["']""", inside))
    assert named <= set(icon_table())


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_static_file_a_template_names_exists(name: str) -> None:
    text = (TEMPLATES / name).read_text("utf-8")
    for path in re.findall(r"""\bstatic\(["']([^"'{}]+)["']\)""", text):
        assert (STATIC_ROOT / path).is_file(), path


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_no_template_needs_inline_style_or_script(name: str) -> None:
    """The policy forbids them, so a page that has one is broken without a word."""
    text = (TEMPLATES / name).read_text("utf-8")
    assert not re.search(r"""<style|\sstyle=|\son[a-z]+=["']|\shx-on|javascript:|<script(?![^>]*\ssrc=)""", text)


def test_each_module_is_short_and_leaves_no_globals() -> None:
    for module in sorted((STATIC_ROOT / "js").glob("*.js")):
        text = module.read_text("utf-8")
        assert text.count("\n") <= 150, module.name
        assert not re.search(r"\b(?:window|globalThis|self)\.\w+\s*=[^=]", text), module.name
        assert not re.search(r"\beval\(|new Function\(", text), module.name


def test_modules_import_only_what_is_there() -> None:
    for module in (STATIC_ROOT / "js").glob("*.js"):
        for path in re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']+)["']""", module.read_text("utf-8")):
            assert (module.parent / Path(path)).resolve().is_file(), f"{module.name}: {path}"
