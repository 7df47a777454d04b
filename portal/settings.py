"""One frozen object with every setting, read once from the environment, the checkout's `.env` and `…_FILE` secrets."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from croniter import croniter
from dotenv import dotenv_values

from portal.environment import CHECKOUT, LEAST_KEY, Reader, SettingError, key_of_this_portal, make_private_directory

ENTITY_TYPES = ("categories", "inventory_items", "invoices", "customers", "companies")
_VERIFIABLE = frozenset({"jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif"})
MB: Final = 1024 * 1024
_CRON: Final = "five fields such as 0 3 * * *, or off"
_KEEP: Final = "numbers of last, daily, weekly, monthly, yearly, such as 7 daily, 4 weekly, 6 monthly"
_BUCKETS: Final = ("s3", "gs", "az")
_ACCESS: Final = ("AWS_", "GOOGLE_", "AZURE_")


@dataclass(frozen=True)
class UploadRules:
    """What is taken in. `dangerous_extensions` and `scan_patterns` come on top of those built into imaging."""

    max_bytes: int = 15 * MB
    max_pixels: int = 64_000_000
    allowed_extensions: frozenset[str] = _VERIFIABLE
    dangerous_extensions: frozenset[str] = frozenset()
    scan_patterns: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """Which backups stay: the newest so many, and the newest of each of the last so many days, weeks, months and years."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0


@dataclass(frozen=True)
class Settings:
    """Sizes in bytes, spans in the unit that the name says. `database_url` None: the embedded server.

    `backup_bucket`: the URL of a bucket (s3://bucket/prefix, gs://…, az://…) for backups; None: they lie in `backup_dir`,
    which nobody makes or reads otherwise. `bucket_access`: what its provider's own tools are told, by their names (AWS_…,
    GOOGLE_…, AZURE_…).

    `uploads` holds for what has no rules of its own in `uploads_by_type`; `clamd` is a host and
    port, or a socket's path and 0.
    """

    data_dir: Path
    database_url: str | None
    storage_dir: Path
    backup_dir: Path
    backup_bucket: str | None
    bucket_access: tuple[tuple[str, str], ...] = field(repr=False)
    cache_dir: Path
    cache_hours: int
    cache_max_bytes: int
    host: str
    port: int
    base_url: str
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    secret_keys: tuple[bytes, ...]
    admin_email: str | None
    admin_password: str | None
    uploads: UploadRules
    uploads_by_type: Mapping[str, UploadRules]
    clamd: tuple[str, int] | None
    private_types: frozenset[str]
    embed_parents: str
    cdn_purge_url: str | None
    sendfile: str
    metrics_token: str | None
    workers: int
    free_space_bytes: int
    trash_days: int
    grace_minutes: int
    deletes_per_hour: int
    timezone: ZoneInfo
    locale: Locale
    backup_cron: str
    backup_keep: Keep
    drill_cron: str
    cleanup_cron: str
    scrub_cron: str
    scrub_minutes: int
    audit_days: int
    alert_webhook: str | None
    log_format: str
    log_level: str

    @property
    def temp_dir(self) -> Path:
        """Where uploads in flight lie: on the same file system as the originals, so that storing is a rename."""
        return self.storage_dir / "temp"

    @property
    def quarantine_dir(self) -> Path:
        """Where lies what a repair took away."""
        return self.data_dir / "quarantine"

    def uploads_of(self, entity_type: str) -> UploadRules:
        return self.uploads_by_type.get(entity_type, self.uploads)

    def replace(self, **changes: Any) -> Settings:
        return dataclasses.replace(self, **changes)


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = CHECKOUT / ".env") -> Settings:
    """This process's settings. Raises SettingError with one clear line. Makes the data directory and its key once."""
    values: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        values.update({key: value for key, value in dotenv_values(env_file).items() if value is not None})
    values.update(os.environ if environ is None else environ)
    read = Reader(values)
    data_dir = read.path("DATA_DIR", CHECKOUT / "data")
    make_private_directory(data_dir)
    host, port = read.text("HOST") or "127.0.0.1", read.number("PORT", 8000, 0, 65535)
    cert, key = read.text("TLS_CERT"), read.text("TLS_KEY")
    if (cert is None) != (key is None):
        raise SettingError("PORTAL_TLS_CERT and PORTAL_TLS_KEY belong together; only one of them is set")
    base_url = _base_url(read, f"{'https' if cert else 'http'}://{_host_for_url(host)}:{port}")
    uploads = _upload_rules(read, UploadRules())
    bucket = _bucket(read, "BACKUP_URL")
    settings = Settings(
        data_dir=data_dir,
        database_url=_database_url(read),
        storage_dir=_folder(read, "STORAGE_URL", data_dir / "uploads" / "images"),
        backup_dir=data_dir / "backups" / "images"
        if bucket
        else _folder(read, "BACKUP_URL", data_dir / "backups" / "images"),
        backup_bucket=bucket,
        bucket_access=tuple(sorted((key, value) for key, value in values.items() if key.startswith(_ACCESS))),
        cache_dir=read.path("CACHE_DIR", data_dir / "cache" / "images"),
        cache_hours=read.number("CACHE_HOURS", 24, 0),
        cache_max_bytes=_megabytes(read, "CACHE_MAX_MB", 2048 * MB),
        host=host,
        port=port,
        base_url=base_url,
        allowed_hosts=read.words("ALLOWED_HOSTS", _default_hosts(base_url)),
        trusted_proxies=read.words("TRUSTED_PROXIES", ()),
        tls_cert=CHECKOUT / cert if cert else None,
        tls_key=CHECKOUT / key if key else None,
        secret_keys=_secret_keys(read, data_dir),
        admin_email=read.text("ADMIN_EMAIL"),
        admin_password=read.text("ADMIN_PASSWORD"),
        uploads=uploads,
        uploads_by_type={kind: _upload_rules(read.of_type(kind), uploads) for kind in ENTITY_TYPES},
        clamd=_clamd(read),
        private_types=_private_types(read),
        embed_parents=read.text("EMBED_PARENTS") or "*",
        cdn_purge_url=_web_url(read, "CDN_PURGE_URL"),
        sendfile=_choice(read, "SENDFILE", ("off", "x-accel", "x-sendfile")),
        metrics_token=_token(read, "METRICS_TOKEN"),
        workers=read.number("WORKERS", os.cpu_count() or 1, 1, 256),
        free_space_bytes=_megabytes(read, "FREE_SPACE_MB", 1024 * MB),
        trash_days=read.number("TRASH_DAYS", 30, 0),
        grace_minutes=read.number("GRACE_MINUTES", 60, 0),
        deletes_per_hour=read.number("DELETES_PER_HOUR", 500, 0),
        timezone=read.parsed("TIMEZONE", ZoneInfo("UTC"), ZoneInfo, "a time zone such as Europe/Oslo"),
        locale=read.parsed("LOCALE", Locale("en"), _locale, "a locale such as en, de_AT or nb"),
        backup_cron=read.parsed("BACKUP_CRON", "0 2 * * *", _cron, _CRON),
        backup_keep=read.parsed("BACKUP_KEEP", Keep(daily=7, weekly=4, monthly=6), _keep, _KEEP),
        drill_cron=read.parsed("DRILL_CRON", "30 5 * * 0", _cron, _CRON),
        cleanup_cron=read.parsed("CLEANUP_CRON", "0 3 * * *", _cron, _CRON),
        scrub_cron=read.parsed("SCRUB_CRON", "0 4 * * *", _cron, _CRON),
        scrub_minutes=read.number("SCRUB_MINUTES", 60, 1, 1440),
        audit_days=read.number("AUDIT_DAYS", 0, 0),
        alert_webhook=_web_url(read, "ALERT_WEBHOOK"),
        log_format=_choice(read, "LOG_FORMAT", ("auto", "json", "console")),
        log_level=_choice(read, "LOG_LEVEL", ("info", "debug", "warning", "error")),
    )
    _refuse_shared_folders(settings)
    return settings


def _refuse_shared_folders(settings: Settings) -> None:
    """What one of them forgets as old or as nobody's would be another one's pictures. Raises SettingError."""
    folders = {
        "PORTAL_STORAGE_URL": settings.storage_dir,
        "PORTAL_CACHE_DIR": settings.cache_dir,
        "the quarantine": settings.quarantine_dir,
        **({} if settings.backup_bucket else {"PORTAL_BACKUP_URL": settings.backup_dir}),
    }
    for (name, folder), (other_name, other) in itertools.permutations(folders.items(), 2):
        if folder.resolve().is_relative_to(other.resolve()):
            raise SettingError(f"{name} ({folder}) lies in the folder of {other_name}; each needs one of its own")


def _choice(read: Reader, name: str, choices: tuple[str, ...]) -> str:
    value = (read.text(name) or choices[0]).lower()
    if value not in choices:
        raise SettingError(f"PORTAL_{name} is {value!r}; expected one of {', '.join(choices)}")
    return value


def _megabytes(read: Reader, name: str, default: int) -> int:
    """Megabytes of 1024 · 1024 bytes, in bytes."""
    least = 0 if name == "FREE_SPACE_MB" else 1
    return read.number(name, default // MB, least, 10**6) * MB


def _web_url(read: Reader, name: str) -> str | None:
    """What is wrong is said without the address: its path may be a secret."""
    value = read.text(name)
    try:
        parts = urlsplit(value or "")
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:  # of its port
        is_good = False
    if value is not None and not is_good:
        raise SettingError(
            f"{read.full(name)} is no address of the web; expected something like https://cdn.example.com/purge"
        )
    return value


def _token(read: Reader, name: str) -> str | None:
    token = read.text(name)
    if token is not None and len(token) < LEAST_KEY:
        raise SettingError(f"PORTAL_{name} has fewer than {LEAST_KEY} characters")
    return token


def _locale(value: str) -> Locale:
    try:
        return Locale.parse(value.replace("-", "_"))
    except UnknownLocaleError as error:
        raise ValueError(value) from error


def _host_for_url(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _base_url(read: Reader, default: str) -> str:
    def parse(value: str) -> str:
        parts = urlsplit(value.rstrip("/"))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(value)
        return value.rstrip("/")

    return read.parsed("BASE_URL", default, parse, "something like https://pictures.example.com")


def _default_hosts(base_url: str) -> tuple[str, ...]:
    host = urlsplit(base_url).hostname or "localhost"
    return tuple(dict.fromkeys((host, "localhost", "127.0.0.1", "::1")))


def _database_url(read: Reader) -> str | None:
    url = read.text("DATABASE_URL")
    try:
        is_good = url is None or urlsplit(url).scheme in {"postgres", "postgresql"}
    except ValueError as error:
        raise SettingError("PORTAL_DATABASE_URL cannot be read; expected postgresql://…") from error
    if not is_good:  # without its rest, which may hold a password
        raise SettingError(f"PORTAL_DATABASE_URL begins with {(url or '').split(':')[0]!r}; expected postgresql://…")
    return url


def _folder(read: Reader, name: str, default: Path) -> Path:
    url = read.text(name)
    if url is None:
        return default
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        raise SettingError(f"{read.full(name)} begins with {scheme}://; this version stores in a local folder only")
    return (CHECKOUT / Path(rest if separator else url).expanduser()).resolve()


def _bucket(read: Reader, name: str) -> str | None:
    """None where the setting names a folder, or nothing."""
    url = read.text(name) or ""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _BUCKETS:
        return None
    if not rest.split("/")[0] or "@" in rest or "?" in rest:  # not repeated: it may hold a secret
        raise SettingError(
            f"{read.full(name)} begins with {scheme}:// and names no bucket; expected {scheme}://bucket/prefix"
        )
    return url.rstrip("/")


def _keep(value: str) -> Keep:
    found: dict[str, int] = {}
    for part in value.split(","):
        number, kind = part.split()
        if kind in found or kind not in Keep.__slots__ or not number.isdecimal() or not 0 <= int(number) <= 9999:
            raise ValueError(value)
        found[kind] = int(number)
    if not any(found.values()):
        raise ValueError(value)  # the next prune would remove every backup
    return Keep(**found)


def _cron(value: str) -> str:
    """`off`, or five fields."""
    if value.lower() == "off":
        return "off"
    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError(value)
    return value


def _upload_rules(read: Reader, default: UploadRules) -> UploadRules:
    """A list of allowed extensions replaces the default's; dangerous ones and patterns are added to it."""
    return UploadRules(
        max_bytes=_megabytes(read, "MAX_UPLOAD_MB", default.max_bytes),
        max_pixels=read.number("MAX_PIXELS", default.max_pixels, 1, 2**31),
        allowed_extensions=_allowed_extensions(read, default.allowed_extensions),
        dangerous_extensions=default.dangerous_extensions | _extensions(read, "DANGEROUS_EXTENSIONS", frozenset()),
        scan_patterns=(*default.scan_patterns, *(word.encode() for word in read.words("SCAN_PATTERNS", ()))),
    )


def _extensions(read: Reader, name: str, default: frozenset[str]) -> frozenset[str]:
    return frozenset(word.lower().lstrip(".") for word in read.words(name, tuple(default)))


def _allowed_extensions(read: Reader, default: frozenset[str]) -> frozenset[str]:
    words = _extensions(read, "ALLOWED_EXTENSIONS", default)
    unknown = sorted(words - _VERIFIABLE)
    if unknown or not words:
        raise SettingError(
            f"{read.full('ALLOWED_EXTENSIONS')} names {', '.join(unknown) or 'nothing'}; "
            f"the portal can verify {', '.join(sorted(_VERIFIABLE))}"
        )
    return words


def _clamd(read: Reader) -> tuple[str, int] | None:
    def parse(value: str) -> tuple[str, int]:
        if value.startswith("unix:"):
            return str(CHECKOUT / Path(value.removeprefix("unix:").removeprefix("//")).expanduser()), 0
        parts = urlsplit(value if "://" in value else f"tcp://{value}")
        if parts.scheme != "tcp" or not parts.hostname or not parts.port or parts.path.strip("/") or parts.username:
            raise ValueError(value)
        return parts.hostname, parts.port

    return read.parsed("CLAMD", None, parse, "host:port, tcp://host:port or unix:/path")


def _private_types(read: Reader) -> frozenset[str]:
    words = read.words("PRIVATE_TYPES", ("invoices", "customers"))
    unknown = sorted(set(words) - set(ENTITY_TYPES))
    if unknown:
        raise SettingError(f"PORTAL_PRIVATE_TYPES names {', '.join(unknown)}; expected {', '.join(ENTITY_TYPES)}")
    return frozenset(words)


def _secret_keys(read: Reader, data_dir: Path) -> tuple[bytes, ...]:
    keys = tuple(word.encode() for word in read.words("SECRET_KEYS", ()))
    if any(len(key) < LEAST_KEY for key in keys):
        raise SettingError(f"PORTAL_SECRET_KEYS holds a key of fewer than {LEAST_KEY} characters")
    return keys or (key_of_this_portal(data_dir / "secret.key"),)
