"""The form of a picture's details as it shows, and what one sends with it."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from portal.audit import words
from portal.audit.actors import Actor
from portal.audit.queries import history_of
from portal.errors import Stale
from portal.gallery import queries, service
from portal.gallery.details import (
    LABELS,
    Details,
    Sent,
    changed,
    columns_of,
    details_of,
    in_quarrel,
    in_words,
    one,
    read_details,
    read_was,
    rows_of,
    sent_rows,
)
from portal.gallery.forms import read_revision
from portal.gallery.views import ImageView
from portal.storage.links import Links

MOST_TRIES: Final = 3
_FIELDS: Final = ("alt_text", "caption", "tags", "focal_x", "focal_y")


@dataclass(frozen=True, slots=True)
class DetailsForm:
    """What stands in its fields, what is wrong with them, and (by name) what somebody else has stored meanwhile.

    `rows`: names and values of attributes. `was`: the details that it was made of, as JSON. `by`: who was first.
    """

    values: Mapping[str, Any]
    rows: Sequence[tuple[str, str]]
    revision: int | None
    was: str
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    quarrels: Mapping[str, str] = field(default_factory=dict[str, str])
    by: str = ""
    is_saved: bool = False

    @property
    def first(self) -> str:
        """The field that wants somebody."""
        return next((name for name in LABELS if name in self.errors or name in self.quarrels), "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`quarrels`: what is stored of that which both have changed, by name and in words; empty when all was stored.

    `is_shared`: somebody else had changed other things meanwhile, which stay.
    """

    quarrels: Mapping[str, str]
    is_shared: bool = False


async def save_details(image_id: UUID, sent: Sent, *, actor: Actor, links: Links) -> Outcome:
    """Writes what this form changes. Raises NotFound, FormError with every wrong field, Stale where others save all the time."""
    image = await queries.get_image(image_id, links)
    was = read_was(one(sent, "was"))
    wanted = changed(read_details(sent, image.attributes), was, sent)
    revision, is_shared = _revision(sent), False
    for _ in range(MOST_TRIES):
        try:
            await service.change_image(image_id, columns_of(wanted), actor=actor, revision=revision)
            return Outcome({}, is_shared)
        except Stale:
            image = await queries.get_image(image_id, links)
            quarrels = _quarrels(wanted, was, details_of(image))
            if quarrels:
                return Outcome(quarrels)
            revision, is_shared = image.revision, True
    raise Stale("Others are changing this picture all the time. Save again.")


def _quarrels(wanted: Details, was: Details | None, theirs: Details) -> dict[str, str]:
    return {name: in_words(name, theirs[name]) for name in in_quarrel(wanted, was, theirs)}


def _revision(sent: Sent) -> int | None:
    return read_revision({"revision": one(sent, "revision")})


def form_of(image: ImageView, *, is_saved: bool = False) -> DetailsForm:
    """As it is opened, or comes back once all is stored."""
    said = details_of(image)
    x, y = said["focal_point"] or ("", "")
    values = said | {"tags": ", ".join(image.tags), "focal_x": x, "focal_y": y}
    return DetailsForm(values, rows_of(image.attributes), image.revision, json.dumps(said), is_saved=is_saved)


def form_refused(image: ImageView, sent: Sent, errors: Mapping[str, str]) -> DetailsForm:
    """With what was typed, and still of the details that it was made of: it has not seen what others stored since."""
    opened, revision = form_of(image), _revision(sent)
    return replace(
        opened,
        values={**opened.values, **_typed(sent, opened.values)},
        rows=sent_rows(sent) if "attribute" in sent else opened.rows,
        revision=opened.revision if revision is None else revision,
        was=one(sent, "was"),
        errors=errors,
    )


async def form_in_quarrel(image: ImageView, sent: Sent, quarrels: Mapping[str, str] | None = None) -> DetailsForm:
    """With what this form changes over what is stored now. Saved again, that is stored, but where somebody chooses otherwise."""
    opened, was = form_of(image), read_was(one(sent, "was"))
    wanted = changed(read_details(sent, image.attributes), was, sent)
    typed = _typed(sent, {*wanted, *(("focal_x", "focal_y") if "focal_point" in wanted else ())})
    return replace(
        opened,
        values={**opened.values, **typed},
        rows=sent_rows(sent) if "attributes" in wanted else opened.rows,
        quarrels=_quarrels(wanted, was, details_of(image)) if quarrels is None else quarrels,
        by=await _last_to_describe(image),
    )


def _typed(sent: Sent, names: Container[str]) -> dict[str, Any]:
    typed: dict[str, Any] = {name: one(sent, name) for name in _FIELDS if name in names and name in sent}
    return typed | ({"decorative": one(sent, "decorative") == "true"} if "decorative" in names else {})


async def _last_to_describe(image: ImageView) -> str:
    steps = await history_of("image", image.id, 10)
    return next((words.who(each.actor) for each in steps if each.action == "image.describe"), "Somebody")
