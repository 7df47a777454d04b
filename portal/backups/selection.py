"""What of a backup is restored: all of it, some types, one entity with its pictures, or one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal.backups import layout
from portal.backups.incoming import OWNER, Line
from portal.backups.root import Root
from portal.entities.kinds import EntityRef
from portal.errors import NotFound


@dataclass(frozen=True, slots=True)
class Selection:
    """At most one of these is set; none: all that the backup holds."""

    entity_types: tuple[str, ...] | None = None
    entity: EntityRef | None = None
    image_id: UUID | None = None

    @property
    def is_all(self) -> bool:
        return self == Selection()

    def types_of(self, root: Root) -> tuple[str, ...]:
        """Whose manifests are read. Raises NotFound for what the backup does not hold."""
        wanted = root.entity_types
        if self.entity is not None:
            wanted = (self.entity.type,)
        elif self.entity_types is not None:
            wanted = self.entity_types
        if missing := [each for each in wanted if each not in root.entity_types]:
            raise NotFound(f"This backup holds no {', '.join(missing)}.")
        return tuple(wanted)

    def takes(self, manifest: str, line: Line, owner: str | None) -> bool:
        """`owner`: the id of the selected picture's entity, once it was found."""
        if self.image_id is not None:
            return self._takes_for_image(manifest, line, owner)
        if self.entity is None or manifest == layout.VERSIONS:  # those of other pictures go when all are there
            return True
        named = {layout.ENTITIES: "id", layout.EMBED_KEYS: "scope_id", **OWNER}[manifest]
        return line.get(named) == self.entity.id

    def _takes_for_image(self, manifest: str, line: Line, owner: str | None) -> bool:
        """The picture, its versions, and its entity, which it needs."""
        if manifest in (layout.IMAGES, layout.VERSIONS):
            return line["id" if manifest == layout.IMAGES else "image"] == str(self.image_id)
        if manifest == layout.ENTITIES:
            return line["id"] == owner
        return manifest == layout.LINES and line["invoice"] == owner

    def said(self) -> dict[str, Any]:
        """For the audit."""
        if self.image_id is not None:
            return {"image": str(self.image_id)}
        if self.entity is not None:
            return {"entity": str(self.entity)}
        return {} if self.entity_types is None else {"entity_types": list(self.entity_types)}
