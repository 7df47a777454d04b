"""The form that makes an embed key: what it shows at first, and what was sent. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final

from portal.embed.keys import Scope, check_key
from portal.entities.kinds import KINDS
from portal.errors import FormError
from portal.expiry import read_expiry
from portal.imaging.presets import READY

ENDS: Final = {"never": "Never", "30d": "In 30 days", "90d": "In 90 days", "date": "On a day"}
_FIRST_TYPE: Final = "inventory_items"


@dataclass(frozen=True, slots=True)
class KeyForm:
    """As it is shown: what somebody wrote, and what to do about it by field."""

    scope: str = "one"
    type: str = _FIRST_TYPE
    id: str = ""
    sizes: Collection[str] = READY
    sites: str = ""
    ends: str = "never"
    until: str = ""
    captions: bool = True
    errors: Mapping[str, str] = field(default_factory=dict[str, str])


def first_form(type: str, id: str) -> KeyForm:
    """Empty, or for the gallery that a link has named."""
    return KeyForm(type=type if type in KINDS else _FIRST_TYPE, id=id[:64])


def sent_form(sent: Mapping[str, Sequence[str]]) -> KeyForm:
    """What was sent, as it is shown again."""

    def last(name: str) -> str:
        return (sent.get(name) or [""])[-1].strip()

    return KeyForm(
        scope="type" if last("scope") == "type" else "one",
        type=last("type"),
        id=last("id"),
        sizes=tuple(sent.get("sizes", ())),
        sites=last("sites"),
        ends=last("ends") or "never",
        until=last("until"),
        captions=last("captions") == "true",
    )


def read_form_of(form: KeyForm, *, private_types: Collection[str], zone: tzinfo, now: datetime) -> dict[str, Any]:
    """What issue_key takes. Raises FormError that names every field that needs another look."""
    errors: dict[str, str] = {}
    try:
        expires_at = read_expiry(_end_of(form), zone, now)
    except FormError as error:
        errors, expires_at = error.errors, None
    scope = Scope(form.type, form.id if form.scope == "one" else None)
    presets = None if set(form.sizes) == set(READY) else list(form.sizes)
    parents = form.sites.split()
    try:
        check_key(scope, presets, parents, expires_at, private_types)
    except FormError as error:
        errors = {**error.errors, **errors}
    if errors:
        raise FormError(_by_field(errors, form))
    return {
        "scope": scope,
        "presets": presets,
        "parents": parents,
        "expires_at": expires_at,
        "captions": form.captions,
    }


def _end_of(form: KeyForm) -> str:
    """`date` without a day is no end that anybody chose."""
    if form.ends == "date":
        return form.until or "?"
    return "" if form.ends == "never" else form.ends


def _by_field(errors: Mapping[str, str], form: KeyForm) -> dict[str, str]:
    """In the words of the form's own fields."""
    said = dict(errors)
    if "scope" in said and form.scope == "one" and form.type in KINDS:
        one = KINDS[form.type].singular
        said["scope"] = "This cannot be an id." if form.id else f"Which {one}? Write its id, or take the whole type."
    if "presets" in said:
        said["presets"] = "Choose at least one size."
    if "expires" in said and form.ends == "date":
        said["expires"] = "Choose a day to come."
    return said
