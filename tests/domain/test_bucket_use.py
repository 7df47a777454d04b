"""What reads or watches backups, where they lie in a bucket: repair, health, and a backup from its making to its end."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import pytest

from portal import database
from portal.backups.create import create_backup
from portal.backups.destination import Destination, destination_of
from portal.backups.listing import list_backups
from portal.backups.objects import put_object
from portal.backups.retention import prune_backups
from portal.backups.root import Root
from portal.backups.verify import verify_backup
from portal.errors import Unavailable
from portal.maintenance.health.check import Here
from portal.maintenance.health.looking import look
from portal.maintenance.repair_views import findings_panel
from portal.settings import ENTITY_TYPES, Keep, Settings
from portal.storage import bucket as bucket_module
from portal.storage.links import Links
from tests.factories import Studio, make_entity
from tests.ports import free_port
from tests.repairing import Workshop, original
from tests.restoring import ADMIN, MUG, Bench, furnish
from tests.waiting import eventually
from tests.weed import BUCKET, Weed, running_weed


@pytest.fixture
def config(config: Settings, weed: Weed, bucket_url: str) -> Settings:
    return config.replace(backup_bucket=bucket_url, bucket_access=tuple(weed.access.items()))


@pytest.fixture
async def bucket(config: Settings) -> Destination:
    found = destination_of(config)
    await found.open_root()
    return found


@pytest.fixture
def away(config: Settings) -> Settings:
    """Its bucket is out of reach."""
    access = {**dict(config.bucket_access), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    return config.replace(bucket_access=tuple(access.items()))


async def test_an_original_is_healed_from_a_bucket(studio: Studio, config: Settings, bucket: Destination) -> None:
    image_id = await studio.add(await make_entity())
    workshop = Workshop(studio, config)
    data = (workshop.root / original(image_id)).read_bytes()
    await put_object(bucket, "categories", data)
    workshop.flip(original(image_id))
    (line,) = (await workshop.check_and_repair()).outcomes
    assert (line.repair, line.outcome) == ("heal", "repaired")
    assert (workshop.root / original(image_id)).read_bytes() == data
    assert await workshop.breaches() == []


async def test_nothing_is_given_up_and_no_page_waits_while_a_bucket_is_out_of_reach(
    studio: Studio, away: Settings
) -> None:
    ref = await make_entity()
    images = [await studio.add(ref) for _ in range(3)]
    workshop = Workshop(studio, away)
    for image_id in images:
        (workshop.root / original(image_id)).unlink()
    await workshop.check()
    report = await workshop.repair()
    assert [(line.repair, line.outcome) for line in report.outcomes] == [("trash", "refused")] * 3
    assert "is out of reach, which may hold its bytes" in report.outcomes[0].detail
    assert await database.fetch_value("SELECT count(*) FROM image WHERE trashed_at IS NULL") == 3


async def test_health_asks_whether_the_bucket_is_there(studio: Studio, config: Settings, away: Settings) -> None:
    await studio.add(await make_entity())
    found = {each.name: each for each in await look(Here(config, studio.store), seconds=30)}
    assert found["one_disk"].severity == "ok"
    assert config.backup_bucket
    assert config.backup_bucket in found["one_disk"].detail
    assert "backups" not in found["space"].detail
    found = {each.name: each for each in await look(Here(away, studio.store), seconds=30)}
    assert found["one_disk"].severity == "warning"
    assert "does not answer" in found["one_disk"].detail
    assert not config.backup_dir.exists()


@pytest.fixture
async def bench(studio: Studio, config: Settings, bucket: Destination) -> Bench:
    return Bench(studio, config, bucket)


async def verified(bucket: Destination, root: Root) -> tuple[object, ...]:
    return (await verify_backup(destination=bucket, backup_id=root.id)).wrong


async def prune(bucket: Destination, keep: Keep) -> None:
    await prune_backups(destination=bucket, keep=keep, zone=ZoneInfo("UTC"), actor=ADMIN, dry_run=False)


async def test_a_backup_in_a_bucket_is_made_verified_restored_and_pruned(bench: Bench, bucket: Destination) -> None:
    await furnish(bench.studio)
    before = await bench.state()
    first, second = await bench.back_up(), await bench.back_up()
    assert first.copied_objects == first.objects > 0
    assert (second.copied_objects, second.copied_bytes) == (0, 0)
    assert await verified(bucket, second) == ()
    await bench.wipe()
    await bench.restore(second)
    assert await bench.state() == before
    await prune(bucket, Keep(last=1))
    assert [each.id for each in await list_backups(bucket)] == [second.id]
    assert await verified(bucket, second) == ()
    assert not bench.config.backup_dir.exists()


async def test_what_rots_in_a_bucket_is_named_by_its_key(bench: Bench, bucket: Destination) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    keys = sorted([entry.key async for chunk in bucket.listed(MUG.type) for entry in chunk])
    flipped, gone = keys[0], keys[-1]
    data = bytearray(await bucket.read(flipped))
    data[0] ^= 1
    await bucket.put(flipped, bytes(data))
    await bucket.delete([gone])
    found = await verify_backup(destination=bucket, backup_id=root.id)
    assert {each.name for each in found.wrong} == {flipped, gone}


async def test_a_backup_whose_bucket_goes_away_meanwhile_says_so_and_the_next_one_is_whole(
    studio: Studio, config: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "PAUSE", 0.1)
    await furnish(studio)
    with running_weed(tmp_path_factory.mktemp("killed")) as own:
        config = config.replace(backup_bucket=f"s3://{BUCKET}/killed", bucket_access=tuple(own.access.items()))
        bench = Bench(studio, config, destination_of(config))
        copied = 0

        async def stop_at_the_third(done: int, total: int | None) -> None:
            nonlocal copied
            copied += 1
            if copied == 3:
                own.stop()

        with pytest.raises(Unavailable, match=r"does not answer|answers with error"):
            await create_backup(settings=config, store=studio.store, actor=ADMIN, report=stop_at_the_third)
        own.start()
        await eventually(lambda: answers(bench.destination))
        (left,) = await list_backups(bench.destination)
        assert left.state == "unfinished"
        root = await bench.back_up()
        assert await verified(bench.destination, root) == ()
        await prune(bench.destination, Keep(last=5))
        assert [each.state for each in await list_backups(bench.destination)] == ["complete"]


async def answers(bucket: Destination) -> bool:
    return not await bucket.is_away()


async def test_a_page_of_findings_does_not_wait_for_a_bucket_that_says_nothing(
    studio: Studio, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await make_entity()
    for _ in range(3):
        (studio.store.root / original(await studio.add(ref))).unlink()
    await Workshop(studio, config).check()
    asked = 0

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    monkeypatch.setattr(bucket_module, "SOON", 0.3)
    monkeypatch.setattr(bucket_module, "PAUSE", 60)
    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        access = {
            **dict(config.bucket_access),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        }
        silent = config.replace(bucket_access=tuple(access.items()))
        panel = await findings_panel(settings=silent, links=Links((b"k" * 32,), frozenset()))
    assert panel.total == 3
    assert asked <= len(ENTITY_TYPES), "it was asked for the first of them alone"
