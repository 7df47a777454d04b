"""What tests of versions ask of a picture, and of the whole portal."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID

from portal.audit.actors import SYSTEM
from portal.errors import (
    Running,
)
from portal.gallery.forms import read_metadata
from portal.gallery.queries import get_image
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.gallery.tasks import purge_objects
from portal.gallery.versions import VersionView, restore_version, versions_of
from portal.gallery.views import ImageView
from portal.integrity.fsck import Finding, fsck
from portal.maintenance.cleanup import clean_up
from portal.settings import Settings
from portal.storage.keys import original_key
from portal.storage.links import Links
from tests.factories import EDITOR, Studio

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))
TURNED = {"edits": {"rotate": 90}, "focal_point": {"x": 0.25, "y": 0.75}}


async def image_of(image_id: UUID) -> ImageView:
    return await get_image(image_id, LINKS)


async def versions(image_id: UUID) -> list[VersionView]:
    return (await versions_of(image_id, links=LINKS)).items


async def change(image_id: UUID, **fields: Any) -> None:
    await change_image(image_id, read_metadata(fields), actor=EDITOR)


async def restore(image_id: UUID, version: int, *, deletes_per_hour: int = 500, floor: int = 0, **options: Any) -> bool:
    return await restore_version(image_id, version, deletes_per_hour=deletes_per_hour, floor=floor, **options)


async def render(studio: Studio, image_id: UUID) -> None:
    await render_all(image_id, store=studio.store, pool=studio.pool)


def objects(studio: Studio) -> set[str]:
    return {entry.key for entry in studio.store.walk()}


def original(image_id: UUID, version: int, extension: str = "jpg") -> str:
    return original_key("inventory_items", image_id, version, extension)


async def assert_sound(studio: Studio, config: Settings) -> None:
    """Nothing is missing, damaged or left over, and a sweep without grace takes nothing away."""
    await purge_objects({}, store=studio.store)
    found: list[Finding] = [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]
    assert not found, [(each.kind, each.key, each.detail) for each in found]
    before = objects(studio)
    await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
    assert objects(studio) == before


async def sweep(studio: Studio, config: Settings) -> None:
    with contextlib.suppress(Running):
        await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
