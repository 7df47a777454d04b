"""What is wrong in a backup: each member by its key, as many as a person reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Wrong:
    """`name`: the member's key in the destination; `detail`: what was expected there, and what was found."""

    name: str
    detail: str


@dataclass(slots=True)
class Faults:
    """The first ones, and how many there are."""

    first: list[Wrong] = field(default_factory=list)
    count: int = 0

    def add(self, name: str, detail: str) -> None:
        self.count += 1
        if len(self.first) < MOST:
            self.first.append(Wrong(name, detail))

    @property
    def more(self) -> int:
        return self.count - len(self.first)
