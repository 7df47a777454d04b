"""Is what the settings name there, private and valid?"""

from __future__ import annotations

import ipaddress
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from portal.imaging.scan import is_there
from portal.maintenance.health.check import Found, Here, Remedy
from portal.maintenance.health.thresholds import CERTIFICATE
from portal.maintenance.health.words import moment

SECRET: Final = "secret.key"  # noqa: S105 - a file's name


async def check_scanner(here: Here) -> Found | None:
    if here.settings.clamd is None:
        return None
    if await is_there(here.settings.clamd):
        return Found("ok", "clamd answers: every upload is scanned.")
    words = "Start clamd, or unset PORTAL_CLAMD and restart the portal."
    return Found("critical", "clamd does not answer: nothing is taken in until it does.", remedy=Remedy(words))


async def check_certificate(here: Here) -> Found | None:
    path = here.settings.tls_cert
    if path is None:
        return None
    try:
        ends = await here.threads.call("certificate", lambda: _valid_until(path))
    except (OSError, ValueError):
        return Found(
            "warning", "The file of PORTAL_TLS_CERT cannot be read.", remedy=Remedy("Put the certificate back.")
        )
    days = (ends - here.now()).total_seconds() / 86_400
    severity = CERTIFICATE.judge(days)
    words = "Renew the certificate, then restart the portal: it reads the file at its start."
    detail = f"It {'ran' if days < 0 else 'runs'} out on {moment(ends)}."
    return Found(severity, detail, int(days), "days", None if severity == "ok" else Remedy(words))


def _valid_until(path: Path) -> datetime:
    """Of the first certificate in the file. Raises OSError, ValueError."""
    decode: Any = getattr(ssl, "_ssl")._test_decode_cert  # noqa: B009 - private in types; the standard library reads one no other way
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(decode(str(path))["notAfter"]), UTC)


async def check_secrets(here: Here) -> Found:
    """Who reads them can sign as the portal does."""
    paths = [here.settings.data_dir / SECRET, *([here.settings.tls_key] if here.settings.tls_key else [])]
    open_ones = await here.threads.call("secrets", lambda: [path.name for path in paths if _is_open(path)])
    if not open_ones:
        return Found("ok", "Only the portal's user reads the files with secrets.")
    words = f"Make it private: chmod 600 {' '.join(open_ones)}. Then put a new key first (PORTAL_SECRET_KEYS)."
    return Found("critical", f"Others on this machine can read {', '.join(open_ones)}.", remedy=Remedy(words))


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except FileNotFoundError:  # keys may come from the settings alone
        return False


async def check_address(here: Here) -> Found:
    """What people type, links in e-mails and codes on paper begin with it."""
    parts = urlsplit(here.settings.base_url)
    if parts.scheme == "https":
        return Found("ok", "The portal's address begins with https.")
    if _is_here(parts.hostname or ""):
        return Found("ok", "The portal is for this machine alone: its address is local.")
    return Found(
        "warning",
        "The portal's address is http: nobody can sign in from elsewhere, and codes and links show it.",
        remedy=Remedy("Set PORTAL_BASE_URL to the https address; behind a proxy PORTAL_TRUSTED_PROXIES too."),
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
