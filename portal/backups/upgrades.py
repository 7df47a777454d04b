"""Lines that an older portal wrote, brought to what this one's tables say: a step for each schema that there was.

Who changes a table that backups hold raises `root.SCHEMA` and adds the step from the number before. A column that is only new,
and whose default is right for what is old, needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from portal.backups.root import SCHEMA, Foreign

# (manifest's name, line) -> the line as the next schema has it
Step = Callable[[str, dict[str, Any]], dict[str, Any]]
STEPS: Final[Mapping[int, Step]] = {}


def upgrade_from(
    schema: int, steps: Mapping[int, Step] = STEPS, *, to: int = SCHEMA
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """All steps from this schema on, one after the other. Raises Foreign where one is missing, and for a newer schema."""
    needed = range(schema, to)
    if schema > to or any(number not in steps for number in needed):
        raise Foreign(f"This portal cannot read rows of schema {schema}: it knows how to bring {known(steps, to)} up.")

    def upgrade(manifest: str, line: dict[str, Any]) -> dict[str, Any]:
        for number in needed:
            line = steps[number](manifest, line)
        return line

    return upgrade


def known(steps: Mapping[int, Step], to: int) -> str:
    """ "schema 1", "the schemas 1, 2, 3" """
    numbers = [*sorted(steps), to]
    return f"schema {to}" if len(numbers) == 1 else f"the schemas {', '.join(map(str, numbers))}"
