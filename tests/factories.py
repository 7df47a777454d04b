"""Rows and pictures for tests, made through the portal's own verbs."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.entities.kinds import EntityRef
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import Rules
from portal.gallery.renditions import render_all
from portal.gallery.service import add_image
from portal.gallery.versions import replace_file
from portal.imaging.pool import RenderPool
from portal.storage.store import Store
from tests import samples

EDITOR = Actor("user:ed@example.com", "editor")
_numbers = itertools.count(1)


async def make_entity(type: str = "inventory_items", id: str | None = None, name: str = "Fjord mug") -> EntityRef:
    ref = EntityRef(type, id or f"MUG-{next(_numbers)}")
    await database.execute("INSERT INTO entity (type, id, name) VALUES ($1, $2, $3)", ref.type, ref.id, name)
    return ref


@dataclass(frozen=True)
class Studio:
    """A store and a pool to add pictures with."""

    store: Store
    pool: RenderPool

    async def add(
        self,
        ref: EntityRef,
        data: bytes | None = None,
        *,
        filename: str = "picture.jpg",
        fields: PictureFields = PictureFields(),  # noqa: B008 - frozen
        ready: bool = True,
        actor: Actor = SYSTEM,
    ) -> UUID:
        """A picture in this gallery; every one differs unless `data` is given."""
        data = data or samples.jpeg(64 + next(_numbers), 48)
        path = self.store.root / "temp" / f"{uuid4()}.part"
        write(path, data)
        received = ReceivedPicture(path, filename, len(data), hashlib.sha256(data).hexdigest())
        image_id = await add_image(ref, received, fields, rules=Rules(), store=self.store, pool=self.pool, actor=actor)
        if ready:
            await render_all(image_id, store=self.store, pool=self.pool)
        return image_id

    async def replace(
        self,
        image_id: UUID,
        data: bytes | None = None,
        *,
        filename: str = "other.jpg",
        ready: bool = True,
        actor: Actor = SYSTEM,
        **options: Any,
    ) -> bool:
        """Another file for this picture."""
        data = data or samples.jpeg(64 + next(_numbers), 48)
        path = self.store.root / "temp" / f"{uuid4()}.part"
        write(path, data)
        received = ReceivedPicture(path, filename, len(data), hashlib.sha256(data).hexdigest())
        parts: dict[str, Any] = {"rules": Rules(), "store": self.store, "pool": self.pool, "actor": actor}
        parts |= {"deletes_per_hour": 500} | options
        try:
            changed = await replace_file(image_id, received, **parts)
        finally:
            path.unlink(missing_ok=True)  # as the upload that it stands for does
        if ready:
            await render_all(image_id, store=self.store, pool=self.pool)
        return changed


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
