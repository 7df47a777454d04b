"""Who does something: a person, a script's token or the portal itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["viewer", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "editor", "admin")


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` stands in the audit: `user:ana@example.com`, `token:nightly import`, `system`."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Does this actor's role include `role`? viewer ⊂ editor ⊂ admin."""
        return ROLES.index(self.role) >= ROLES.index(role)


SYSTEM: Final = Actor("system", "admin")
