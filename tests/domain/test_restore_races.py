"""A restore into a portal in which somebody gives a picture another file at this very moment: no name stands for both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.backups import restore
from portal.backups.layout import IMAGES, VERSIONS, folder_of, object_key
from portal.backups.root import Root
from portal.gallery.disposal import delete_image
from portal.maintenance.quarantine import hold, open_quarantine, take_away, undo
from portal.storage.keys import original_key
from tests import samples
from tests.factories import make_entity
from tests.restoring import ADMIN, MUG, Bench

Deed = Callable[[], Awaitable[Any]]


@pytest.fixture
async def image(bench: Bench) -> UUID:
    await make_entity(id="MUG")
    return await bench.studio.add(MUG)


async def behind(bench: Bench, image: UUID) -> Root:
    """A backup in which the picture has versions that it has not come to here: it is of a later day than what was restored."""
    first = await bench.back_up()
    for _ in range(3):
        await bench.studio.replace(image)
    await bench.render_rest()
    later = await bench.back_up()
    await delete_image(image, actor=ADMIN, deletes_per_hour=500)
    await bench.render_rest()
    await bench.restore(first)
    assert await version_of(image) == 1
    return later


async def before_it(bench: Bench, image: UUID) -> Root:
    """A backup in which the picture is what it was before its last file."""
    root = await bench.back_up()
    await bench.studio.replace(image)
    await bench.render_rest()
    return root


async def version_of(image: UUID) -> int:
    return await database.fetch_value("SELECT version FROM image WHERE id = $1", image)


def meanwhile(monkeypatch: pytest.MonkeyPatch, *, before: Deed | None = None, after: Deed | None = None) -> None:
    """Somebody else's deed, once: after the restore has decided, or after it has brought its bytes."""
    real, waiting = restore.bring, [True]

    async def bring(*parts: Any, **options: Any) -> bool:
        is_first = bool(waiting and waiting.pop())
        if before is not None and is_first:
            await before()
        is_whole = await real(*parts, **options)
        if after is not None and is_first:
            await after()
        return is_whole

    monkeypatch.setattr(restore, "bring", bring)


async def shown(bench: Bench, image: UUID, version: int) -> str:
    """The SHA-256 of what lies where the version's row says."""
    row = await database.fetch_row(
        """SELECT extension FROM image WHERE id = $1 AND version = $2
           UNION ALL SELECT extension FROM image_version WHERE image = $1 AND version = $2""",
        image,
        version,
    )
    assert row is not None
    data = await bench.store.read(original_key(MUG.type, image, version, row["extension"]))
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("situation", "moment", "kind"),
    [
        (behind, "before", "jpeg"),
        (behind, "before", "png"),
        (behind, "after", "jpeg"),
        (behind, "after", "png"),
        (before_it, "before", "jpeg"),
        (before_it, "after", "png"),
    ],
)
async def test_a_file_that_comes_meanwhile_stays_what_it_is(
    bench: Bench, image: UUID, situation: Any, moment: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await situation(bench, image)
    data = samples.jpeg(200, 100) if kind == "jpeg" else samples.png(200, 100)

    async def replace() -> None:
        await bench.studio.replace(image, data, filename=f"theirs.{kind}")

    meanwhile(monkeypatch, **{moment: replace})
    done = await bench.ask(root, dry_run=False, on_conflict="replace")
    assert done.images.replace == 1
    theirs = hashlib.sha256(data).hexdigest()
    kept = await database.fetch_value(
        "SELECT version FROM image_version WHERE image = $1 AND sha256 = $2", image, theirs
    )
    assert await shown(bench, image, kept) == theirs
    await bench.render_rest()
    assert await bench.breaches() == []
    again = await bench.ask(root, dry_run=False, on_conflict="replace")
    assert (again.images.create, again.images.replace, again.objects) == (0, 0, 0)


async def test_what_a_killed_restore_left_under_an_old_number_is_brought_again(bench: Bench, image: UUID) -> None:
    root = await behind(bench, image)
    row = await database.fetch_row("SELECT key FROM object_purge")
    assert row is None
    planned = await bench.ask(root, dry_run=True, on_conflict="replace")
    for number, wanted in await wanted_versions(bench, root):
        key = original_key(MUG.type, image, number, "jpg")
        await bench.store.put(key, wanted)
        await database.execute("INSERT INTO object_purge (key) VALUES ($1)", key)
    done = await bench.restore(root, on_conflict="replace")
    assert done.versions == planned.versions
    assert await version_of(image) == 5


async def wanted_versions(bench: Bench, root: Root) -> list[tuple[int, bytes]]:
    return [
        (each["version"], await bench.destination.read(object_key(MUG.type, each["sha256"])))
        for each in await rows_of(bench, root, VERSIONS)
        if each["version"] > 1
    ]


async def rows_of(bench: Bench, root: Root, manifest: str) -> list[dict[str, Any]]:
    data = await bench.destination.read(f"{folder_of(root.id)}/{MUG.type}/{manifest}")
    return [json.loads(line) for line in data.splitlines()]


async def test_a_number_whose_bytes_wait_for_their_removal_is_given_to_nobody(bench: Bench, image: UUID) -> None:
    """A purge that was killed has removed them already, and would remove what comes under their name."""
    await database.execute("INSERT INTO object_purge (key) VALUES ($1)", original_key(MUG.type, image, 2, "jpg"))
    await bench.studio.replace(image)
    assert await version_of(image) == 3
    await bench.render_rest()
    assert await bench.breaches() == []


async def test_a_stray_that_a_restore_gives_an_owner_is_not_taken_away(bench: Bench, image: UUID) -> None:
    """A repair that was stopped between holding its bytes and taking them away."""
    root = await bench.back_up()
    await delete_image(image, actor=ADMIN, deletes_per_hour=500)
    await bench.render_rest()
    (version,) = [each for each in await rows_of(bench, root, IMAGES) if each["id"] == str(image)]
    key, other = original_key(MUG.type, image, 1, "jpg"), original_key(MUG.type, image, 7, "jpg")
    quarantine = await open_quarantine(bench.config.quarantine_dir)
    held = []
    for each in (key, other):
        await bench.store.put(each, await bench.destination.read(object_key(MUG.type, version["sha256"])))
        async with database.transaction():
            held.append(await hold(each, "no row", store=bench.store, quarantine=quarantine, actor=ADMIN))
    await bench.ask(root, dry_run=False)
    await take_away(held[0], key, store=bench.store)
    await take_away(held[1], other, store=bench.store)
    assert await bench.store.size(other) is None
    assert await bench.breaches() == []
    await undo(held[0].id, store=bench.store, quarantine_dir=bench.config.quarantine_dir, actor=ADMIN)
    assert await bench.breaches() == []
