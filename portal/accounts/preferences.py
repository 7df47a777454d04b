"""What people choose for themselves. Only what is not as usual is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import FormError
from portal.web.reading import Reading, zone_names, zone_of

DATES: Final = {"words": "Today 09:41, 12 Nov", "iso": "2026-11-23 09:41"}
_OURS: Final = ["shortcuts", "dates", "zone"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """`zone` "": the portal's; `dates`: words or iso."""

    shortcuts: bool = True
    dates: str = "words"
    zone: str = ""

    @property
    def reading(self) -> Reading:
        return Reading(zone_of(self.zone), self.dates == "iso")


def read_preferences(sent: Mapping[str, str]) -> Preferences:
    """Of a form. Raises FormError."""
    errors: dict[str, str] = {}
    dates, zone = sent.get("dates", "words"), sent.get("zone", "").strip()
    if dates not in DATES:
        errors["dates"] = f"Use one of {', '.join(DATES)}."
    if zone and zone not in zone_names():
        errors["zone"] = "Use the name of a zone, as Europe/Stockholm, or nothing."
    if errors:
        raise FormError(errors)
    return Preferences(sent.get("shortcuts") == "on", dates, zone)


async def preferences_of(account: UUID) -> Preferences:
    return _read(await database.fetch_value("SELECT preferences FROM account WHERE id = $1", account))


async def prefer(account: UUID, chosen: Preferences, actor: Actor) -> None:
    async with database.transaction():
        stored = await database.fetch_value("SELECT preferences FROM account WHERE id = $1 FOR UPDATE", account)
        before = _read(stored)
        if before == chosen:
            return
        kept = {name: value for name, value in json.loads(stored or "{}").items() if name not in _OURS}
        await database.execute(
            "UPDATE account SET preferences = $2::jsonb WHERE id = $1", account, json.dumps(kept | _unusual(chosen))
        )
        await record(actor, "user.prefer", "user", str(account), before=_plain(before), after=_plain(chosen))


def _plain(preferences: Preferences) -> dict[str, Any]:
    return {name: getattr(preferences, name) for name in _OURS}


def _unusual(preferences: Preferences) -> dict[str, Any]:
    usual = _plain(Preferences())
    return {name: value for name, value in _plain(preferences).items() if value != usual[name]}


def _read(stored: str | None) -> Preferences:
    values = json.loads(stored or "{}")
    return Preferences(**{name: values[name] for name in _OURS if name in values})
