"""The house's own rules: sizes, words, templates, routes, settings and migrations. Import fences are in pyproject.toml."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from piccolo.apps.migrations.commands.new import AutoMigrationManager

from portal.accounts import guards
from portal.app import create_app
from portal.environment import CHECKOUT
from portal.piccolo_app import APP_CONFIG
from portal.settings import ENTITY_TYPES, Settings
from portal.web.templating import TEMPLATES, environment

MODULES = sorted((CHECKOUT / "portal").rglob("*.py"))
WORDLESS = {".png", ".jpg", ".webp", ".woff2", ".lock", ".ico", ".gif"}
# built in two parts, so that this file does not hold what it looks for
UNFINISHED = "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "coming" + " soon", "lorem" + " ipsum"))
ONE_MACHINE = r"(?<![\w.~-])/(?:ro" + r"ot|home/[a-z]+|wo" + r"rk)/[A-Za-z.]"
BY_TYPE = ("MAX_UPLOAD_MB", "MAX_PIXELS", "ALLOWED_EXTENSIONS", "DANGEROUS_EXTENSIONS", "SCAN_PATTERNS")
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common_utils"}


def _name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _statements(function: ast.AST) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1


def _texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project (of git's list, where there is git) with its content; vendored ones left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: no list of the project's own files")
    for name in filter(None, listed.stdout.split("\0")):
        path = CHECKOUT / name
        if path.suffix not in WORDLESS and not name.startswith("static/vendor/") and path.is_file():
            yield name, path.read_text("utf-8")


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_short_and_so_are_its_functions(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 400
    long = {f.name: _statements(f) for f in _functions(path) if _statements(f) > 40}
    assert long == {}


def test_nine_of_ten_functions_are_under_30_lines() -> None:
    lines = sorted((f.end_lineno or 0) - f.lineno + 1 for path in MODULES for f in _functions(path))
    assert lines[len(lines) // 2] <= 10
    assert lines[len(lines) * 9 // 10] < 30


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [_name(path) for path in MODULES if path.stem in VAGUE or path.parent.name in VAGUE] == []


def test_nothing_is_left_unfinished_or_bound_to_one_machine() -> None:
    wrong = re.compile(rf"\b(?:{UNFINISHED})\b|{ONE_MACHINE}|--(?:extra-)?index-url")
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if wrong.search(line)
    ]
    assert found == []


def test_every_silenced_check_says_why() -> None:
    silenced = re.compile(
        r"#\s*(?:noqa|type: ignore|pyright: ignore|pragma: no cover)[:\w, ]*(?:\[[\w, -]+\])?(?P<why>.*)$"
    )
    found = [
        f"{_name(path)}:{number}: {line.strip()[-80:]}"
        for path in MODULES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (match := silenced.search(line)) and not re.search(r"[-#]\s*\w", match["why"])
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(f.relative_to(TEMPLATES).as_posix() for f in TEMPLATES.rglob("*.html")))
def test_every_template_compiles(name: str) -> None:
    environment(lambda name, **parameters: "/").get_template(name)


@pytest.fixture
def app(config: Settings) -> Litestar:
    return create_app(config)


def _handlers(app: Litestar) -> Iterator[tuple[str, BaseRouteHandler]]:
    """Each route that we wrote, with its path: not Litestar's answers to OPTIONS, not its page of the API's description."""
    for route in app.routes:
        handlers = route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]
        for handler in handlers:
            methods: set[str] = getattr(handler, "http_methods", set())
            if methods != {"OPTIONS"} and not re.match(r"/docs(/|$)", route.path):
                yield f"{' '.join(sorted(methods))} {route.path}", handler


def test_every_route_says_who_may_call_it(app: Litestar) -> None:
    levels = {"public", "scoped", "viewer", "editor", "admin"}
    without = [path for path, handler in _handlers(app) if handler.opt.get("permission") not in levels]
    assert without == []


def test_every_route_is_guarded_as_it_says(app: Litestar) -> None:
    guarding = {name: getattr(guards, name) for name in ("viewer", "editor", "admin")}
    unguarded = [
        path
        for path, handler in _handlers(app)
        if (guard := guarding.get(handler.opt.get("permission", ""))) and guard not in (handler.guards or ())
    ]
    assert unguarded == []


def _settings_of_code() -> set[str]:
    """What portal/settings.py reads: `read.text("HOST")`, `_megabytes(read, "FREE_SPACE_MB", …)`, and one for each type."""
    calls = [
        node
        for node in ast.walk(ast.parse((CHECKOUT / "portal" / "settings.py").read_text("utf-8")))
        if isinstance(node, ast.Call)
        and any(isinstance(part, ast.Name) and part.id == "read" for part in ast.walk(node))
    ]
    words = {
        argument.value
        for call in calls
        for argument in call.args[:2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    names = {f"PORTAL_{word}" for word in words if re.fullmatch(r"[A-Z][A-Z_]+", word)}
    return names | {f"PORTAL_{name}_{kind.upper()}" for name in BY_TYPE for kind in ENTITY_TYPES}


def _settings_named_in(text: str) -> set[str]:
    """Each PORTAL_… that leads a table's row or an assignment, `_<TYPE>` standing for every entity type."""
    names = set(re.findall(r"^(?:\||#?)\s*`?(PORTAL_[A-Z_]+(?:<TYPE>)?)`?\s*(?:\||=)", text, re.MULTILINE))
    for name in [name for name in names if name.endswith("<TYPE>")]:
        names.remove(name)
        names |= {name.replace("<TYPE>", kind.upper()) for kind in ENTITY_TYPES}
    return names


@pytest.mark.parametrize("name", ["README.md", ".env.example"])
def test_every_setting_is_described_and_no_other(name: str) -> None:
    assert _settings_named_in((CHECKOUT / name).read_text("utf-8")) == _settings_of_code()


def test_the_settings_are_found_in_the_code_at_all() -> None:
    assert {"PORTAL_DATA_DIR", "PORTAL_DATABASE_URL", "PORTAL_LOG_LEVEL", "PORTAL_FREE_SPACE_MB"} <= _settings_of_code()


async def test_the_migrations_make_the_tables_as_they_are_declared() -> None:
    statements = await AutoMigrationManager(auto_input="y").get_alter_statements(APP_CONFIG)
    assert [line for each in statements for line in each.statements] == []
