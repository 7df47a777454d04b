"""The portal's verbs as blocking calls, for scripts and notebooks.

    import portal.sync

    with portal.sync.open() as p:
        p.put_entity("inventory_items", "MUG-1", name="Fjord mug")
        image = p.add_image("inventory_items", "MUG-1", "mug.jpg", alt_text="A blue mug", wait=True)
        print(image.renditions["card"].url)

It works beside a running server and without one (then it takes the queue's jobs itself while it waits). What the portal
refuses is raised as one of `portal.errors`; what is given back are the objects of the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import io
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from portal import logs
from portal import settings as portal_settings
from portal.audit.actors import Actor
from portal.backups import folders
from portal.backups.folders import FolderExport, FolderImport
from portal.embed import keys as embed_keys
from portal.embed.handout import NewEmbed, hand_out
from portal.embed.keys import EmbedView, Scope
from portal.entities.forms import parse_entity
from portal.entities.imports import ImportReport, import_rows
from portal.entities.kinds import parse_ref
from portal.entities.service import put_entity
from portal.errors import NotFound
from portal.gallery import disposal, pins, queries, service, versions
from portal.gallery.batch import Outcome
from portal.gallery.batch_forms import read_batch
from portal.gallery.batch_work import Bench, run_batch
from portal.gallery.forms import PictureFields, ReceivedPicture, read_metadata
from portal.gallery.intake import receive, refuse_when_disk_is_full, rules_of
from portal.gallery.versions import VersionView
from portal.gallery.views import EntityView, ImageView
from portal.integrity.fsck import Finding, fsck
from portal.jobs.queue import AWAITED, BULK
from portal.jobs.worker import Worker
from portal.maintenance.cleanup import CleanupReport, clean_up
from portal.overview.photo import PhotoMatch, find_by_photo, widest_type
from portal.paging import Page
from portal.parts import Parts
from portal.settings import ENTITY_TYPES, Settings
from portal.sync_backups import Backups

T = TypeVar("T")


@contextlib.contextmanager
def open(settings: Settings | None = None) -> Iterator[Portal]:
    """The portal of this checkout's settings. Raises SettingError or Unavailable when it cannot be had."""
    logs.configure_for_scripts()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="portal-sync", daemon=True)
    thread.start()

    def call(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        parts = Parts.of(settings or portal_settings.load())
        opened = parts.opened(with_children=False)
        call(opened.__aenter__())
        try:
            yield Portal(parts, call)
        finally:
            call(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Portal:
    """Every method blocks until it is done. Made by `open()`. `backups`: create, list, verify, restore, prune."""

    def __init__(self, parts: Parts, call: Any) -> None:
        self._parts = parts
        self._call = call
        self._actor = Actor(f"script:{getpass.getuser()}", "admin")
        self.backups = Backups(parts, call, self._actor)

    def put_entity(self, type: str, id: str, **fields: Any) -> EntityView:
        """Create or replace; `name` is needed, the rest as in the API. Raises FormError."""
        ref = parse_ref(type, id)
        self._call(put_entity(ref, parse_entity(ref, fields), self._actor))
        return self.entity(type, id)

    def entity(self, type: str, id: str) -> EntityView:
        """Raises NoSuchEntity."""
        return self._call(queries.get_entity(parse_ref(type, id), self._parts.links))

    def delete_entity(self, type: str, id: str, *, force: bool = False) -> None:
        """With its images and their files. Raises NoSuchEntity; Pinned, unless by `force`."""
        self._call(disposal.delete_entity(parse_ref(type, id), actor=self._actor, deletes_per_hour=0, force=force))

    def import_entities(self, data: bytes, kind: str = "csv", *, strict: bool = False) -> ImportReport:
        """`kind` is csv or jsonl. Raises FormError for a file that cannot be read at all."""
        return self._call(import_rows(data, "csv" if kind == "csv" else "jsonl", self._actor, strict=strict))

    def export_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        types: Sequence[str] = ENTITY_TYPES,
        entity: tuple[str, str] | None = None,
    ) -> FolderExport:
        """Originals, with what is said of them, into a new folder; `entity` is one gallery's type and id.

        Raises Conflict for a folder that is not empty, NoSuchEntity, DiskFull, Unavailable.
        """
        ref = parse_ref(*entity) if entity else None
        scope: dict[str, Any] = {"entity_types": types, "entity": ref, "actor": self._actor}
        return self._call(folders.export_folder(store=self._parts.store, folder=Path(folder), **scope))

    def import_folder(self, folder: str | os.PathLike[str], *, dry_run: bool = False) -> FolderImport:
        """Pictures out of a folder, each verified; may be run again. Raises Conflict, FormError, Running, DiskFull,
        Unavailable."""
        parts = self._parts
        return self._call(
            folders.import_folder(
                settings=parts.settings,
                store=parts.store,
                pool=parts.pool,
                folder=Path(folder),
                dry_run=dry_run,
                actor=self._actor,
            )
        )

    def add_image(
        self,
        type: str,
        id: str,
        file: str | os.PathLike[str] | bytes,
        *,
        filename: str | None = None,
        alt_text: str | None = None,
        caption: str | None = None,
        tags: Sequence[str] = (),
        is_primary: bool = False,
        allow_duplicate: bool = False,
        wait: bool = False,
    ) -> ImageView:
        """Verify and store a picture (a path or its bytes); with `wait`, until its renditions are ready or failed.

        Raises FileRefused, NoSuchEntity, Duplicate, DiskFull, Unavailable.
        """
        fields = PictureFields(alt_text, caption, tuple(tags), is_primary, allow_duplicate)
        image_id = self._call(self._add(type, id, file, _name(file, filename), fields, AWAITED if wait else BULK))
        if wait:
            self.wait_until_ready(image_id)
        return self.image(image_id)

    async def _add(
        self, type: str, id: str, file: str | os.PathLike[str] | bytes, name: str, fields: PictureFields, priority: int
    ) -> UUID:
        parts, ref = self._parts, parse_ref(type, id)
        async with self._received(type, file, name) as received:
            return await service.add_image(
                ref,
                received,
                fields,
                rules=rules_of(parts.settings, ref.type),
                store=parts.store,
                pool=parts.pool,
                actor=self._actor,
                priority=priority,
            )

    @contextlib.asynccontextmanager
    async def _received(
        self, type: str, file: str | os.PathLike[str] | bytes, name: str
    ) -> AsyncIterator[ReceivedPicture]:
        """The file where uploads lie, for as long as it is asked about."""
        settings = self._parts.settings
        await refuse_when_disk_is_full(self._parts.store, settings.free_space_bytes)
        path = settings.temp_dir / f"{uuid4()}.part"
        try:
            yield await asyncio.to_thread(_receive, file, name, path, settings.uploads_of(type).max_bytes)
        finally:
            path.unlink(missing_ok=True)

    def replace_file(
        self,
        image_id: UUID | str,
        file: str | os.PathLike[str] | bytes,
        *,
        filename: str | None = None,
        allow_duplicate: bool = False,
        revision: int | None = None,
        wait: bool = False,
    ) -> ImageView:
        """Give an image another file; what it had is kept as a version. Harmless with the bytes that it has.

        Raises as `add_image` does; NotFound, Stale, and Conflict for what is in the trash.
        """
        self._call(self._replace(self.image(image_id), file, _name(file, filename), allow_duplicate, revision))
        if wait:
            self.wait_until_ready(image_id)
        return self.image(image_id)

    async def _replace(
        self,
        image: ImageView,
        file: str | os.PathLike[str] | bytes,
        name: str,
        allow_duplicate: bool,
        revision: int | None,
    ) -> None:
        parts, type = self._parts, image.entity.type
        async with self._received(type, file, name) as received:
            await versions.replace_file(
                UUID(image.id),
                received,
                rules=rules_of(parts.settings, type),
                store=parts.store,
                pool=parts.pool,
                actor=self._actor,
                deletes_per_hour=0,
                allow_duplicate=allow_duplicate,
                revision=revision,
            )

    def versions(self, image_id: UUID | str) -> list[VersionView]:
        """Newest first, the current one included. Raises NotFound."""
        return self._call(versions.versions_of(_uuid(image_id), links=self._parts.links)).items

    def restore_version(self, image_id: UUID | str, version: int) -> ImageView:
        """An old version's bytes, edits and focal point, as a new one. Raises NotFound, Conflict, Gone, DiskFull."""
        found, parts = _uuid(image_id), self._parts
        self._call(
            versions.restore_version(
                found,
                version,
                store=parts.store,
                actor=self._actor,
                deletes_per_hour=0,
                floor=parts.settings.free_space_bytes,
            )
        )
        return self.image(found)

    def image(self, image_id: UUID | str) -> ImageView:
        """Raises NotFound."""
        return self._call(queries.get_image(_uuid(image_id), self._parts.links))

    def find_by_photo(self, file: str | os.PathLike[str] | bytes, *, filename: str | None = None) -> list[PhotoMatch]:
        """The images that have this picture or nearly, the likest first. Raises FileRefused, DiskFull, Unavailable."""
        return self._call(self._find(file, _name(file, filename)))

    async def _find(self, file: str | os.PathLike[str] | bytes, name: str) -> list[PhotoMatch]:
        parts = self._parts
        async with self._received(widest_type(parts.settings), file, name) as photo:
            return await find_by_photo(photo, settings=parts.settings, pool=parts.pool, links=parts.links)

    def gallery(self, type: str, id: str, *, cursor: str | None = None, limit: int = 200) -> Page[ImageView]:
        """Raises NoSuchEntity."""
        ref = parse_ref(type, id)
        return self._call(queries.gallery_of(ref, links=self._parts.links, cursor=cursor, limit=limit))

    def change_image(self, image_id: UUID | str, *, revision: int | None = None, **fields: Any) -> ImageView:
        """The fields of PUT …/metadata. Raises FormError, NotFound, Stale, Conflict."""
        self._call(service.change_image(_uuid(image_id), read_metadata(fields), actor=self._actor, revision=revision))
        return self.image(image_id)

    def reorder(self, type: str, id: str, ids: Sequence[UUID | str]) -> Page[ImageView]:
        """`ids` are all of the gallery's. Raises NoSuchEntity, Conflict."""
        order = [_uuid(each) for each in ids]
        self._call(service.reorder_gallery(parse_ref(type, id), order, actor=self._actor))
        return self.gallery(type, id)

    def trash(self, image_id: UUID | str) -> ImageView:
        self._call(disposal.trash_image(_uuid(image_id), actor=self._actor, deletes_per_hour=0))
        return self.image(image_id)

    def restore(self, image_id: UUID | str) -> ImageView:
        self._call(disposal.restore_image(_uuid(image_id), actor=self._actor))
        return self.image(image_id)

    def delete(self, image_id: UUID | str, *, force: bool = False) -> None:
        """For good. Raises NotFound; Pinned, unless by `force`."""
        self._call(disposal.delete_image(_uuid(image_id), actor=self._actor, deletes_per_hour=0, force=force))

    def batch(self, action: str, ids: Sequence[UUID | str], **fields: Any) -> list[Outcome]:
        """Many pictures: `action` and the fields of POST /api/images/batch, an outcome for each. Raises FormError,
        NoSuchEntity."""
        sent = {"ids": [str(each) for each in ids], "action": action, **fields}
        bench = Bench(self._parts.settings, self._parts.store, self._actor)
        return self._call(run_batch(*read_batch(sent), bench))

    def pin_invoice(self, id: str) -> bool:
        """To the pictures that it shows now; False when it is pinned already. Raises NoSuchEntity, Conflict."""
        return self._call(pins.pin_invoice(parse_ref("invoices", id), actor=self._actor))

    def unpin_invoice(self, id: str) -> None:
        """Raises NoSuchEntity, NotFound when it is not pinned."""
        self._call(pins.unpin_invoice(parse_ref("invoices", id), actor=self._actor, deletes_per_hour=0))

    def issue_key(
        self,
        type: str,
        id: str | None = None,
        *,
        presets: Sequence[str] | None = None,
        parents: Sequence[str] = (),
        expires_at: datetime | None = None,
        captions: bool = True,
    ) -> NewEmbed:
        """An embed key for one gallery, or without `id` for the whole type; said this once. Raises FormError, NoSuchEntity."""
        settings = self._parts.settings
        key_id, key = self._call(
            embed_keys.issue_key(
                Scope(type, id),
                presets=presets,
                parents=parents,
                expires_at=expires_at,
                captions=captions,
                private_types=settings.private_types,
                actor=self._actor,
            )
        )
        return hand_out(self._call(embed_keys.get_key(key_id)), key, settings.base_url)

    def keys(self, *, cursor: str | None = None, limit: int = 200) -> Page[EmbedView]:
        """Embed keys, newest first, without the revoked ones."""
        return self._call(embed_keys.list_keys(cursor=cursor, limit=limit))

    def revoke_key(self, key_id: UUID | str) -> None:
        """At once, in every process. Raises NotFound."""
        self._call(embed_keys.revoke_key(_uuid(key_id), self._actor))

    def wait_until_ready(self, *image_ids: UUID | str) -> None:
        """Work the queue until each of these images is ready (with what is wanted of it now), failed or gone."""
        self._call(self._wait([_uuid(each) for each in image_ids]))

    async def _wait(self, image_ids: list[UUID]) -> None:
        worker: Worker = self._parts.worker()
        worker.start()
        try:
            while not await queries.are_settled(image_ids):  # noqa: ASYNC110 - another process may do the work
                await asyncio.sleep(0.05)
        finally:
            await worker.stop()

    def cleanup(self, *, dry_run: bool = True) -> CleanupReport:
        """Raises Running while another one is at it."""
        parts = self._parts
        return self._call(clean_up(settings=parts.settings, store=parts.store, actor=self._actor, dry_run=dry_run))

    def fsck(self) -> list[Finding]:
        """Every broken promise about rows and bytes; empty when all is sound."""
        return self._call(self._fsck())

    async def _fsck(self) -> list[Finding]:
        parts = self._parts
        grace = timedelta(minutes=parts.settings.grace_minutes)
        return [finding async for finding in fsck(store=parts.store, pool=parts.pool, grace=grace)]


def _uuid(image_id: UUID | str) -> UUID:
    if isinstance(image_id, UUID):
        return image_id
    try:
        return UUID(image_id)
    except ValueError as error:
        raise NotFound("There is no picture with this id.") from error


def _name(file: str | os.PathLike[str] | bytes, filename: str | None) -> str:
    return filename or ("picture.jpg" if isinstance(file, bytes) else Path(file).name)


def _receive(file: str | os.PathLike[str] | bytes, name: str, path: Path, most: int) -> ReceivedPicture:
    with io.BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb") as source:
        return receive(source, name, path, most)
