"""The Jinja environment: where templates lie, and the few words they may use beyond their context."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from babel import Locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from portal.web.assets import STATIC_ROOT, static_url
from portal.web.reading import iso, reading
from portal.web.writing import ENGLISH, Writing

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NBSP = "\N{NO-BREAK SPACE}"


def environment(url_for: Callable[..., str], zone: tzinfo = UTC, locale: Locale = ENGLISH) -> Environment:
    """Undefined names are errors, everything is escaped, times are told in `zone`, money and numbers as `locale` writes them.

    Globals: `url_for(name, **params)`, `static(path)`, `csrf_field()`, `icons` (name -> what is inside its <svg>).
    Filters: `bytes`, `day`, `moment`, `when`, `date`, `money(currency)`, `number`.
    """
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writing = Writing(locale, zone)
    env.filters.update(bytes=format_bytes)
    told = {"day": format_day, "moment": format_moment, "when": format_when}
    env.filters.update({name: partial(_told, tell, zone) for name, tell in told.items()})
    env.filters.update(date=writing.date, money=writing.money, number=writing.number)
    env.globals.update(url_for=url_for, static=static_url, csrf_field=csrf_field, icons=icon_table())
    return env


def _told(tell: Callable[..., str], zone: tzinfo, when: datetime | date | None, *how: Any, **more: Any) -> str:
    """As who reads the page wants it (`web.reading`)."""
    wanted = reading.get()
    where = wanted.zone or zone
    return iso(when, where) if wanted.is_iso else tell(when, *how, zone=where, **more)


@pass_context
def csrf_field(context: Context) -> Markup:
    """The hidden field a plain form carries first; its token is `csrf_token` in the context, else the shell's.

    Not to be called from a macro: an imported macro has no context.
    """
    token = context.get("csrf_token")
    if not isinstance(token, str):  # the template engine may have put a function of that name among the globals
        shell = context.get("shell")
        token = shell.csrf_token if shell else ""
    return _hidden(token)


@lru_cache(maxsize=64)
def _hidden(token: str) -> Markup:
    """A gallery's page has hundreds of them."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)


def icon_table() -> dict[str, Markup]:
    table: dict[str, str] = json.loads((STATIC_ROOT / "vendor" / "lucide.json").read_text("utf-8"))
    return {name: Markup(inside) for name, inside in table.items()}  # noqa: S704 - vendored, checked by its hash


def format_bytes(size: int) -> str:
    """3_100_000 -> "3.1 MB": powers of 1000, as file managers and camera makers count."""
    if size < 1000:
        return f"{size}{_NBSP}bytes" if size != 1 else f"1{_NBSP}byte"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f}{_NBSP}{unit}" if value < 99.95 and unit != "kB" else f"{value:,.0f}{_NBSP}{unit}"


def format_day(when: datetime | date | None, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """ "Today 09:41", "Yesterday 17:02", "12 Nov", "12 Nov 2025" for another year; a bare date has no time.

    In `zone`, else the one `when` carries; a naive datetime is taken as UTC. None is an em dash, as in an empty table cell.
    """
    if when is None:
        return "—"
    if isinstance(when, datetime):
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        when = when.astimezone(zone) if zone else when
        today = (now or datetime.now(UTC)).astimezone(when.tzinfo).date()
        day, time = when.date(), f" {when:%H:%M}"
    else:
        today, day, time = (now or datetime.now(zone or UTC)).date(), when, ""
    near = {0: "Today", 1: "Yesterday"}.get((today - day).days)
    if near:
        return near + time
    short = f"{day.day} {_MONTHS[day.month - 1]}"
    return short if day.year == today.year else f"{short} {day.year}"


def format_when(when: datetime, inside: bool = False, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """As `format_day`, with the time of older ones too: "19 Nov 02:00". `inside`: for the middle of a sentence."""
    said = format_moment(when, now, zone) if inside else format_day(when, now, zone)
    if ":" in said:
        return said
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{said} {when.astimezone(zone) if zone else when:%H:%M}"


def format_moment(when: datetime | date | None, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """As `format_day`, for the middle of a sentence: "today 09:41"."""
    said = format_day(when, now, zone)
    return said[0].lower() + said[1:]
