"""What somebody asks of the search: words, and filters among them (`type:invoices missing:alt tag:"dark blue" is:failed`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from portal.entities.kinds import KINDS
from portal.entities.queries import plain_query, prefix_query
from portal.errors import FormError

MISSING: Final = {"image": "Without a picture", "primary": "Without a primary picture", "alt": "Without alt text"}
STATES: Final = {"failed": "Failed", "waiting": "Waiting", "ready": "Ready", "primary": "Primary"}
MOST_FILTERS: Final = 8
_TYPES: Final = {
    word: kind.name
    for kind in KINDS.values()
    for word in (kind.name, kind.singular, f"{kind.singular}s", kind.label.lower())
}
_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "type": _TYPES,
    "missing": {"picture": "image", **{name: name for name in MISSING}},
    "is": {name: name for name in STATES},
}
# in quotes a value may hold blanks; what has no end is being written
_PART: Final = re.compile(r"(?:(?P<name>type|missing|tag|is):)(?:\"(?P<quoted>[^\"]*)\"?|(?P<plain>\S*))|\S+", re.I)
_PICTURE: Final = re.compile(r"(?:\S*/images/)?([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\S*", re.I)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as it was written: `value` is a name of ours, or None for what is none (yet); `without`: the text but for it."""

    name: str
    written: str
    value: str | None
    without: str

    @property
    def label(self) -> str:
        if self.value is None:
            return f"{self.name}:{self.written}"
        if self.name == "type":
            return KINDS[self.value].label
        return MISSING[self.value] if self.name == "missing" else STATES.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Asked:
    """`text` as it was written, `words` what of it is no filter."""

    text: str
    words: str
    filters: tuple[Filter, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """None named: all."""
        return self._values("type")

    @property
    def missing(self) -> tuple[str, ...]:
        return self._values("missing")

    @property
    def tags(self) -> tuple[str, ...]:
        return self._values("tag")

    @property
    def states(self) -> tuple[str, ...]:
        return self._values("is")

    @property
    def picture(self) -> UUID | None:
        """Whose id or address was pasted."""
        found = _PICTURE.fullmatch(self.words)
        return UUID(found[1]) if found else None

    @property
    def is_empty(self) -> bool:
        return prefix_query(self.words) is None and not any(each.value for each in self.filters)

    @property
    def tells_of_pictures(self) -> bool:
        """It asks for something that only pictures have."""
        return bool(self.tags or self.states)

    @property
    def tells_of_galleries(self) -> bool:
        return bool({"image", "primary"} & set(self.missing))

    def refuse_unknown(self) -> None:
        """Raises FormError for a filter's value that there is none of."""
        for each in self.filters:
            if each.value is None:
                raise FormError({"q": _advice(each)})

    def _values(self, name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.value for each in self.filters if each.name == name and each.value))


def ask(text: str) -> Asked:
    """Never refuses: a filter whose value there is none of is passed over until `refuse_unknown` is asked."""
    text = plain_query(text)
    found = list(_PART.finditer(text))
    filters = [each for each in found if each["name"]][:MOST_FILTERS]
    words = " ".join(each[0] for each in found if not each["name"])
    return Asked(text, words, tuple(_filter(each, text) for each in filters))


def completed(text: str, ending: str) -> str:
    """The text with its last part (that which is being written) replaced."""
    found = list(_PART.finditer(text))
    before = text[: found[-1].start()] if found and not text.endswith(" ") else text
    return f"{before.strip()} {ending}".strip()


def last_part(text: str) -> tuple[str, str]:
    """The filter's name ("": none) and what of its value, or of a word, is written at the end of the text."""
    found = list(_PART.finditer(text))
    if not found or found[-1].end() < len(text):
        return "", ""
    last = found[-1]
    return ((last["name"] or "").lower(), _written(last)) if last["name"] else ("", last[0])


def values_beginning(name: str, start: str) -> list[tuple[str, str]]:
    """Values of a filter, each with its label, that begin so; tags are not known here."""
    labels: dict[str, str] = {}
    for word, value in _VALUES.get(name, {}).items():
        if word.startswith(start.lower()):
            labels.setdefault(value, Filter(name, value, value, "").label)
    return list(labels.items())


def written(name: str, value: str) -> str:
    """The filter as one writes it."""
    return f'{name}:"{value}"' if re.search(r"\s", value) else f"{name}:{value}"


def _filter(found: re.Match[str], text: str) -> Filter:
    name, value = found["name"].lower(), _written(found)
    known = (value or None) if name == "tag" else _VALUES[name].get(value.lower())
    return Filter(name, value, known, f"{text[: found.start()].strip()} {text[found.end() :].strip()}".strip())


def _written(found: re.Match[str]) -> str:
    return (found["plain"] if found["quoted"] is None else found["quoted"]).strip()


def _advice(wrong: Filter) -> str:
    if wrong.name == "tag":
        return "Write a tag behind tag: or take it away."
    names = ", ".join(dict.fromkeys(_VALUES[wrong.name].values()))
    said = f"There is no {wrong.name}:{wrong.written}." if wrong.written else f"{wrong.name}: wants a value."
    return f"{said} Use one of {names}."
