"""Settings: each wrong value is named in one line; files, `.env`, paths and the key made once."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from portal import settings
from portal.environment import CHECKOUT, SettingError
from portal.settings import Settings, UploadRules


def load(tmp_path: Path, **values: str) -> Settings:
    named = {f"PORTAL_{name}": value for name, value in values.items()}
    return settings.load({"PORTAL_DATA_DIR": str(tmp_path / "data"), **named}, None)


WRONG = {
    "PORT": ["eighty", "-1", "65536", "80.5", "８０x"],
    "BASE_URL": ["pictures.example.com", "ftp://example.com", "https://", "https://example.com/?a=1", "http://[::1"],
    "DATABASE_URL": ["mysql://localhost/portal", "localhost/portal", "postgresql://[::1/portal"],
    "STORAGE_URL": ["s3://bucket/prefix", "gs://bucket"],
    "MAX_UPLOAD_MB": ["0", "-5", "many", "15MB"],
    "MAX_UPLOAD_MB_INVOICES": ["0", "x"],
    "MAX_PIXELS_INVENTORY_ITEMS": ["0", "x"],
    "ALLOWED_EXTENSIONS_INVOICES": ["exe", "-"],
    "CLAMD": ["localhost", "localhost:x", "localhost:99999", "http://localhost:3310", "tcp://", "tcp://a:1/b"],
    "MAX_PIXELS": ["0", "64e6"],
    "ALLOWED_EXTENSIONS": ["jpg,exe", "svg", "-"],
    "PRIVATE_TYPES": ["invoice", "invoices,people"],
    "WORKERS": ["0", "257", "two"],
    "CACHE_MAX_MB": ["0", "2G"],
    "FREE_SPACE_MB": ["-1", "1G"],
    "TRASH_DAYS": ["-1", "never"],
    "GRACE_MINUTES": ["-1", "1h"],
    "DELETES_PER_HOUR": ["-1", "no"],
    "TIMEZONE": ["Oslo", "Mars/Base", "../../etc/passwd", "/etc/localtime"],
    "LOG_FORMAT": ["xml"],
    "LOG_LEVEL": ["loud"],
    "SECRET_KEYS": ["short", f"{'x' * 32},short"],
    "TLS_CERT": ["cert.pem"],
    "TLS_KEY": ["key.pem"],
    "SECRET_KEYS_FILE": ["does-not-exist"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_gives_one_line_that_names_the_setting(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingError) as error:
        load(tmp_path, **{name: value})
    line = str(error.value)
    assert f"PORTAL_{name}" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["ALERT_WEBHOOK", "CDN_PURGE_URL"])
@pytest.mark.parametrize(
    "start", ["", "ftp://", "https://hooks.example:99999", "http://hooks.example:x", "https://[::1"]
)
def test_a_wrong_address_is_named_without_what_may_be_its_secret(tmp_path: Path, name: str, start: str) -> None:
    with pytest.raises(SettingError, match=f"PORTAL_{name} is no address") as caught:
        load(tmp_path, **{name: f"{start}/services/T0/hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "folders",
    [
        {"STORAGE_URL": "data/quarantine"},
        {"STORAGE_URL": "data"},
        {"CACHE_DIR": "data/uploads/images"},
        {"CACHE_DIR": "data/uploads/images/temp"},
        {"BACKUP_URL": "data/uploads/images"},
        {"BACKUP_URL": "data/quarantine/backups"},
        {"STORAGE_URL": "one", "BACKUP_URL": "one"},
    ],
    ids=str,
)
def test_what_is_kept_never_lies_where_something_else_is_swept(tmp_path: Path, folders: dict[str, str]) -> None:
    """The quarantine forgets what is old there, the cache what is too much."""
    with pytest.raises(SettingError, match="each needs one of its own"):
        load(tmp_path, **{name: str(tmp_path / folder) for name, folder in folders.items()})


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="file/data"):
        settings.load({"PORTAL_DATA_DIR": str(tmp_path / "file" / "data")}, None)


@pytest.mark.parametrize(
    ("name", "value", "attribute", "meant"),
    [
        ("PORT", "0", "port", 0),
        ("PORT", " 8080 ", "port", 8080),
        ("MAX_UPLOAD_MB", "1", "uploads", UploadRules(max_bytes=1024 * 1024)),
        ("CACHE_MAX_MB", "1", "cache_max_bytes", 1024 * 1024),
        ("FREE_SPACE_MB", "0", "free_space_bytes", 0),
        ("GRACE_MINUTES", "0", "grace_minutes", 0),
        ("BASE_URL", "https://pictures.example.com/", "base_url", "https://pictures.example.com"),
        ("ALLOWED_EXTENSIONS", ".JPG, png", "uploads", UploadRules(allowed_extensions=frozenset({"jpg", "png"}))),
        ("PRIVATE_TYPES", "-", "private_types", frozenset()),
        ("PRIVATE_TYPES", "", "private_types", frozenset()),
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("SCAN_PATTERNS", "<?php,evil", "uploads", UploadRules(scan_patterns=(b"<?php", b"evil"))),
        ("DANGEROUS_EXTENSIONS", ".EXE,run", "uploads", UploadRules(dangerous_extensions=frozenset({"exe", "run"}))),
        ("CLAMD", "scanner:3310", "clamd", ("scanner", 3310)),
        ("CLAMD", "tcp://[::1]:3310", "clamd", ("::1", 3310)),
        ("CLAMD", "unix:/run/clamd.ctl", "clamd", ("/run/clamd.ctl", 0)),
        ("CLAMD", "unix:///run/clamd.ctl", "clamd", ("/run/clamd.ctl", 0)),
        ("SECRET_KEYS", f"{'a' * 32},{'b' * 40}", "secret_keys", (b"a" * 32, b"b" * 40)),
    ],
)
def test_a_right_value_is_read(tmp_path: Path, name: str, value: str, attribute: str, meant: object) -> None:
    assert getattr(load(tmp_path, **{name: value}), attribute) == meant


def test_one_type_may_have_its_own_limit(tmp_path: Path) -> None:
    found = load(tmp_path, MAX_UPLOAD_MB="2", MAX_UPLOAD_MB_INVOICES="5", MAX_PIXELS_INVOICES="1000")
    invoices = found.uploads_of("invoices")
    assert (invoices.max_bytes, invoices.max_pixels) == (5 * 1024 * 1024, 1000)
    assert found.uploads_of("customers") == found.uploads == UploadRules(max_bytes=2 * 1024 * 1024)


def test_a_types_own_extensions_replace_while_dangerous_ones_and_patterns_add(tmp_path: Path) -> None:
    every = {"ALLOWED_EXTENSIONS": "jpg,png", "DANGEROUS_EXTENSIONS": "run", "SCAN_PATTERNS": "evil"}
    own = {"ALLOWED_EXTENSIONS": "gif", "DANGEROUS_EXTENSIONS": "bin", "SCAN_PATTERNS": "worse"}
    found = load(tmp_path, **every, **{f"{name}_COMPANIES": value for name, value in own.items()})
    companies = found.uploads_of("companies")
    assert companies.allowed_extensions == {"gif"}
    assert companies.dangerous_extensions == {"run", "bin"}
    assert companies.scan_patterns == (b"evil", b"worse")
    assert found.uploads_of("invoices") == found.uploads


def test_without_settings_the_portal_is_local(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert (found.host, found.port, found.base_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert found.database_url is None
    assert found.uploads.max_bytes == 15 * 1024 * 1024
    assert found.storage_dir == tmp_path / "data" / "uploads" / "images"


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{'k' * 40}\n")
    assert load(tmp_path, SECRET_KEYS_FILE=str(tmp_path / "secret")).secret_keys == (b"k" * 40,)


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"PORTAL_PORT=1111\nPORTAL_WORKERS=3\nPORTAL_DATA_DIR={tmp_path / 'data'}\n")
    found = settings.load({"PORTAL_PORT": "2222"}, file)
    assert (found.port, found.workers) == (2222, 3)


def test_relative_paths_count_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(tmp_path, STORAGE_URL="elsewhere/pictures", TLS_CERT="certs/c.pem", TLS_KEY="certs/k.pem")
    assert found.storage_dir == CHECKOUT / "elsewhere" / "pictures"
    assert (found.tls_cert, found.tls_key) == (CHECKOUT / "certs" / "c.pem", CHECKOUT / "certs" / "k.pem")
    relative = os.path.relpath(tmp_path / "data", CHECKOUT)
    assert settings.load({"PORTAL_DATA_DIR": relative}, None).data_dir == tmp_path / "data"


def test_the_secret_file_counts_from_the_checkout_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("k" * 40)
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(tmp_path / "secret", CHECKOUT)
    assert load(tmp_path, SECRET_KEYS_FILE=relative).secret_keys == (b"k" * 40,)


def test_the_key_is_made_once_and_privately(tmp_path: Path) -> None:
    first = load(tmp_path).secret_keys
    assert load(tmp_path).secret_keys == first
    assert len(first[0]) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600


def test_all_who_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    for number in range(5):
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _, n=number: load(tmp_path / str(n)).secret_keys, range(8)))
        assert len(set(found)) == 1
        assert [path.name for path in (tmp_path / str(number) / "data").iterdir()] == ["secret.key"]


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "data" / "secret.key").chmod(0o644)
    with pytest.raises(SettingError, match="chmod 600"):
        load(tmp_path)


def test_an_empty_key_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret.key").touch(mode=0o600)
    with pytest.raises(SettingError, match=r"secret\.key"):
        load(tmp_path)
