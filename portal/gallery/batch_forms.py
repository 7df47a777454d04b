"""What is asked of many pictures at once, from JSON or from the gallery's bar, made into one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, get_args
from uuid import UUID

from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import FormError, NoSuchEntity
from portal.gallery.forms import clean_tags, read_flag, read_metadata

Action = Literal["tag", "untag", "move", "copy", "trash", "restore", "delete", "rerender", "describe"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
ON_PAGES: Final[tuple[Action, ...]] = ("tag", "untag", "move", "copy", "trash", "rerender", "describe")
MOST_IDS: Final = 1000
TEXT_OF: Final = "alt_text."  # and an id: the name of a field
_SAID: Final = ("alt_text", "decorative", "caption")
# What may stand beside `ids` and `action`.
FIELDS: Final[Mapping[Action, frozenset[str]]] = {
    "tag": frozenset({"tags"}),
    "untag": frozenset({"tags"}),
    "move": frozenset({"entity_type", "entity_id", "allow_duplicate"}),
    "copy": frozenset({"entity_type", "entity_id", "allow_duplicate"}),
    "trash": frozenset(),
    "restore": frozenset(),
    "delete": frozenset({"force"}),
    "rerender": frozenset(),
    "describe": frozenset({*_SAID, "texts", "only_missing"}),
}
ALL_FIELDS: Final = frozenset({"ids", "action"}).union(*FIELDS.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """`changes`: columns of a describe for all, `texts` the alt texts of some, which win. `target`: of a move or copy."""

    action: Action
    tags: tuple[str, ...] = ()
    target: EntityRef | None = None
    allow_duplicate: bool = False
    force: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    texts: Mapping[UUID, str | None] = field(default_factory=dict[UUID, str | None])
    only_missing: bool = False


class _Reading:
    """Collects what is wrong, field by field."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def take(self, name: str, read: Callable[[], Any], default: Any = None) -> Any:
        try:
            return read()
        except FormError as error:
            self.errors |= {name if key in {"", name} else key: said for key, said in error.errors.items()}
        except (ValueError, NoSuchEntity) as error:
            self.errors[name] = str(error)
        return default


def read_batch(sent: Mapping[str, Any]) -> tuple[list[UUID], Asked]:
    """The API's body: each id once, in the order sent. Raises FormError naming every wrong field."""
    action = sent.get("action")
    if action not in ACTIONS:
        raise FormError({"action": f"Use one of {', '.join(ACTIONS)}."})
    reading = _Reading()
    ids = reading.take("ids", lambda: read_ids(sent.get("ids")), [])
    for name in sent.keys() - {"ids", "action"} - FIELDS[action]:
        reading.errors[name] = f"This is no part of {action}."
    asked = Asked(
        action,
        tags=reading.take("tags", lambda: _tags(sent.get("tags")), ()) if action in {"tag", "untag"} else (),
        target=reading.take("entity_id", lambda: _target(sent)) if action in {"move", "copy"} else None,
        allow_duplicate=reading.take("allow_duplicate", lambda: _flag(sent.get("allow_duplicate"))),
        force=reading.take("force", lambda: _flag(sent.get("force"))),
        changes=reading.take("alt_text", lambda: read_metadata({n: sent[n] for n in _SAID if n in sent}), {}),
        texts=reading.take("texts", lambda: _texts(sent.get("texts")), {}),
        only_missing=reading.take("only_missing", lambda: _flag(sent.get("only_missing"))),
    )
    if action == "describe" and not reading.errors and not asked.changes and not asked.texts:
        reading.errors["alt_text"] = "Say what to write: alt_text, decorative, caption or texts."
    if reading.errors:
        raise FormError(reading.errors)
    return ids, asked


def read_batch_form(sent: Mapping[str, Sequence[str]]) -> tuple[list[UUID] | None, Asked]:
    """The bar's fields, as `batch_pages` lists them; no ids for all of the gallery. Raises FormError."""
    form = {name: values[-1] for name, values in sent.items()}
    reading, action = _Reading(), form.get("action", "")
    if action not in ON_PAGES:
        raise FormError({"action": "Choose what to do with the pictures."})
    of_all = reading.take("all", lambda: read_flag(form.get("all", "")), False)
    ids = None if of_all else reading.take("ids", lambda: chosen_ids(sent), [])
    asked = Asked(
        action,
        tags=reading.take("tags", lambda: _some_tags(form), ()) if action in {"tag", "untag"} else (),
        target=reading.take("to", lambda: _chosen_target(form)) if action in {"move", "copy"} else None,
        allow_duplicate=reading.take("allow_duplicate", lambda: read_flag(form.get("allow_duplicate", ""))),
        changes=reading.take("alt_text", lambda: _said_to_all(form), {}) if action == "describe" else {},
        texts=_texts_of_form(reading, form) if action == "describe" else {},
        only_missing=reading.take("only_missing", lambda: read_flag(form.get("only_missing", ""))),
    )
    if action == "describe" and not reading.errors and not asked.changes and not asked.texts:
        reading.errors["alt_text"] = "Write an alt text, or say that these pictures need none."
    if reading.errors:
        raise FormError(reading.errors)
    return ids, asked


def chosen_ids(sent: Mapping[str, Sequence[str]]) -> list[UUID]:
    """Of a form: `ids` repeated, or parted by commas. Raises FormError."""
    parts = [part.strip() for value in sent.get("ids", ()) for part in value.split(",") if part.strip()]
    if not parts:
        raise FormError({"ids": "Choose some pictures first."})
    return read_ids(parts)


def read_ids(sent: Any) -> list[UUID]:
    """Raises FormError."""
    if not isinstance(sent, list) or not sent or not all(isinstance(each, str) for each in sent):
        raise FormError({"ids": "Send a list of image ids."})
    if len(sent) > MOST_IDS:
        raise FormError({"ids": f"Send at most {MOST_IDS} ids at once."})
    try:
        return list(dict.fromkeys(UUID(each) for each in sent))
    except ValueError as error:
        raise FormError({"ids": "One of these is no image id."}) from error


def _tags(sent: Any) -> tuple[str, ...]:
    tags = tuple(read_metadata({"tags": sent})["tags"])
    if not tags:
        raise ValueError("Send at least one tag.")
    return tags


def _some_tags(form: Mapping[str, str]) -> tuple[str, ...]:
    tags = clean_tags(form.get("tags", ""))
    if not tags:
        raise ValueError("Type at least one tag.")
    return tags


def _target(sent: Mapping[str, Any]) -> EntityRef:
    said = [sent.get(name) for name in ("entity_type", "entity_id")]
    if not all(isinstance(each, str) and each for each in said):
        raise ValueError("Say where to: entity_type and entity_id.")
    return parse_ref(*said)  # type: ignore[arg-type] - checked above


def _chosen_target(form: Mapping[str, str]) -> EntityRef:
    type, _, id = form.get("to", "").strip().partition("/")
    if not type or not id:
        raise ValueError("Choose where to.")
    return parse_ref(type, id)


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ValueError("Use true or false.")


def _texts(sent: Any) -> dict[UUID, str | None]:
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise FormError({"texts": "Send an object: an alt text for each id."})
    ids = read_ids(list(sent)) if sent else []
    return {each: read_metadata({"alt_text": text})["alt_text"] for each, text in zip(ids, sent.values(), strict=True)}


def _said_to_all(form: Mapping[str, str]) -> dict[str, Any]:
    """What is empty says nothing."""
    said: dict[str, Any] = {"alt_text": form["alt_text"]} if form.get("alt_text", "").strip() else {}
    if read_flag(form.get("decorative", "")):
        said["decorative"] = True
    return read_metadata(said)


def _texts_of_form(reading: _Reading, form: Mapping[str, str]) -> dict[UUID, str | None]:
    found: dict[UUID, str | None] = {}
    for name, text in form.items():
        if name.startswith(TEXT_OF):
            found |= reading.take(name, partial(_text_of_one, name, text), {})
    return found


def _text_of_one(name: str, text: str) -> dict[UUID, str | None]:
    try:
        said = read_metadata({"alt_text": text})
    except FormError as error:
        raise ValueError(error.message) from error
    return {UUID(name.removeprefix(TEXT_OF)): said["alt_text"]}
