from __future__ import annotations

import pytest

from portal.web.assets import MEDIA_TYPES, PREFIX, STATIC_ROOT, find_asset, static_url


def test_a_url_leads_back_to_its_file_and_may_be_cached_for_ever() -> None:
    asset = find_asset(static_url("css/tokens.css").removeprefix(f"{PREFIX}/"))
    assert asset is not None
    assert asset.file == STATIC_ROOT / "css" / "tokens.css"
    assert asset.media_type == "text/css"
    assert asset.immutable


def test_a_relative_url_in_a_stylesheet_keeps_the_version() -> None:
    folder = static_url("css/tokens.css").rsplit("/", 2)[0]
    assert f"{folder}/fonts/inter-latin-opsz.woff2" == static_url("fonts/inter-latin-opsz.woff2")


@pytest.mark.parametrize("path", ["css/tokens.css", "0123456789ab/css/tokens.css"])
def test_without_the_current_version_the_file_is_found_but_not_for_ever(path: str) -> None:
    asset = find_asset(path)
    assert asset is not None
    assert not asset.immutable


@pytest.mark.parametrize(
    "path", ["", "css", "css/none.css", "../pyproject.toml", "x/../../pyproject.toml", "/etc/passwd"]
)
def test_nothing_else_is_found(path: str) -> None:
    assert find_asset(path) is None


def test_a_url_for_a_missing_file_is_an_error_at_once() -> None:
    with pytest.raises(LookupError, match=r"css/none\.css"):
        static_url("css/none.css")


def test_every_static_file_has_a_media_type() -> None:
    unknown = {f.name for f in STATIC_ROOT.rglob("*") if f.is_file() and f.suffix not in MEDIA_TYPES}
    assert unknown == set()
