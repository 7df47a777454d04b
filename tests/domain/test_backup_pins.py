"""What an invoice shows for ever is looked after by a backup, whatever types its pictures are of."""

from __future__ import annotations

from dataclasses import replace

from portal.backups.layout import PINNED, ROOT, folder_of
from portal.backups.root import Member
from portal.backups.verify import verify_backup
from tests.backing_up import sha256_of
from tests.restoring import BILL, Bench, furnish


async def test_a_pinned_picture_of_another_type_is_listed_with_its_own(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    assert (await verify_backup(destination=bench.destination, backup_id=root.id)).wrong == ()


async def test_a_pinned_picture_whose_object_nobody_lists_is_named(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    name = f"{BILL.type}/{PINNED}"
    key = f"{folder_of(root.id)}/{name}"
    data = (await bench.destination.read(key)).replace(b'"sha256": "', b'"sha256": "0')
    assert b'"sha256": "0' in data
    member = Member(sha256_of(data), len(data), root.members[name].lines)
    await bench.destination.put(key, data)
    changed = replace(root, members={**root.members, name: member})
    await bench.destination.put(f"{folder_of(root.id)}/{ROOT}", changed.encoded())
    (wrong,) = (await verify_backup(destination=bench.destination, backup_id=root.id)).wrong
    assert wrong.name == key
    assert "which objects.jsonl does not list" in wrong.detail
