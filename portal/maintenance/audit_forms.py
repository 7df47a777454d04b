"""Which lines of the audit somebody asks for, read from a form, a query or the API."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from portal.audit.denials import ACTION
from portal.audit.queries import Wanted
from portal.entities.kinds import KINDS
from portal.errors import FormError

FIELDS: Final = ("who", "what", "subject", "from", "to", "request", "denied")
_SUBJECT: Final = re.compile(r"([a-z_]{1,32})/(.+)")
_LONGEST: Final = 200


def read_wanted(sent: Mapping[str, str], zone: ZoneInfo) -> Wanted:
    """`from` and `to` are days in `zone`, both included, or times with their zone. Raises FormError with every wrong field."""
    errors: dict[str, str] = {}
    values = {name: sent.get(name, "").strip() for name in FIELDS}
    for name, value in values.items():
        if len(value) > _LONGEST or not value.isprintable():
            errors[name] = "This is too long or cannot be printed."
    since, until = (_moment(values[name], zone, errors, name) for name in ("from", "to"))
    if errors:
        raise FormError(errors)
    subject_type, subject_id = subject_of(values["subject"])
    return Wanted(
        who=values["who"],
        action=ACTION if values["denied"] in ("1", "true", "on") else values["what"],
        subject_type=subject_type,
        subject_id=subject_id,
        since=since,
        until=until,
        request=values["request"],
    )


def _moment(text: str, zone: ZoneInfo, errors: dict[str, str], name: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        if len(text) == 10:
            day = dt.date.fromisoformat(text) + dt.timedelta(days=name == "to")
            return dt.datetime.combine(day, dt.time(), zone)
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    errors[name] = "Use a day such as 2027-01-31, or a time with its zone."
    return None


def subject_of(text: str) -> tuple[str | None, str]:
    """`image/<id>` or `entity/<type>/<id>`; `<type>/<id>` of an entity; an id alone is one of any type."""
    match = _SUBJECT.fullmatch(text)
    if match is None:
        return ("route", text) if text.startswith("/") else (None, text)
    return ("entity", text) if match[1] in KINDS else (match[1], match[2])
