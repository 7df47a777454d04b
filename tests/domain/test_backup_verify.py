"""Verification names exactly what is wrong in a backup, whatever was done to it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal.backups import layout, object_lists
from portal.backups import lines as line_rules
from portal.backups.destination import Folder
from portal.backups.layout import OBJECT_LIST, ROOT, folder_of, object_key
from portal.backups.listing import get_backup, list_backups
from portal.backups.marks import distrusted
from portal.backups.root import Foreign, Member, Root
from portal.backups.verify import Verification, verify_backup
from portal.errors import NotFound, Unavailable
from portal.settings import Settings
from portal.storage.store import MARKER
from tests.backing_up import TYPE, files_of, forge, opened, sha256_of, some_bytes
from tests.backup_vault import Vault, vault
from tests.drilling import Rounds
from tests.factories import make_entity

__all__ = ["vault"]
pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
async def place(config: Settings) -> Folder:
    return await opened(config.backup_dir)


async def verified(place: Folder, root: Root, *, quick: bool = False) -> Verification:
    return await verify_backup(destination=place, backup_id=root.id, quick=quick)


def names(found: Verification) -> list[str]:
    return sorted(each.name for each in found.wrong)


def folder(place: Folder) -> Path:
    return place.store.root


@pytest.mark.parametrize("quick", [False, True])
async def test_a_sound_backup_is_sound_and_every_byte_was_read(place: Folder, quick: bool) -> None:
    root = forge(folder(place), {TYPE: some_bytes(1), "customers": some_bytes(2, 3)})
    found = await verified(place, root, quick=quick)
    assert (found.wrong, found.more, found.is_sound) == ((), 0, True)
    assert (found.objects, found.files) == (root.objects, len(root.members) + 1)
    read = sum(each.bytes for each in root.members.values()) + (0 if quick else root.bytes)
    assert found.bytes == read
    (listed,) = await list_backups(place)
    assert (listed.verified_quick, listed.wrong) == (quick, 0)


Harm = Callable[[Path, dict[str, bytes], str, random.Random], list[str]]


def flip(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    data = bytearray(files[key])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (at / key).write_bytes(data)
    return [key]


def cut(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    (at / key).write_bytes(files[key][: chance.randrange(len(files[key]))])
    return [key]


def remove(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    (at / key).unlink()
    return [key]


def swap(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    """With another file of another text, but never with the root: it is what names the others."""
    other = chance.choice(sorted(name for name in files if files[name] != files[key] and not name.endswith(ROOT)))
    (at / key).write_bytes(files[other])
    (at / other).write_bytes(files[key])
    return sorted([key] if key.endswith(ROOT) else [key, other])


def add(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    added = f"{key.rpartition('/')[0]}/{chance.choice(['extra.jsonl', 'backup.jsonl~', 'name#1', '.hidden'])}"
    (at / added).write_bytes(chance.randbytes(20))
    return [added]


def link(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    """The very bytes, behind a symlink."""
    elsewhere = at.parent / "elsewhere"
    elsewhere.write_bytes(files[key])
    (at / key).unlink()
    (at / key).symlink_to(elsewhere)
    return [key]


def pipe(at: Path, files: dict[str, bytes], key: str, chance: random.Random) -> list[str]:
    (at / key).unlink()
    os.mkfifo(at / key)
    return [key]


@pytest.mark.drill("R9")
@pytest.mark.parametrize("harm", [flip, cut, remove, swap, add, link, pipe], ids=lambda harm: harm.__name__)
async def test_whatever_is_done_to_a_backup_is_named_by_its_member(place: Folder, harm: Harm, rounds: Rounds) -> None:
    at = folder(place)
    root = forge(at, {TYPE: some_bytes(1), "customers": some_bytes(2, 3)})
    files = files_of(at)
    keys = sorted(key for key in files if files[key] and key != MARKER)
    for seed in range(rounds(10, 1000, "harms")):
        chance = random.Random(f"{harm.__name__} {seed}")
        expected = harm(at, files, chance.choice(keys), chance)
        found = await verified(place, root)
        assert names(found) == expected, (harm.__name__, seed)
        undo(at, files, expected)


def undo(at: Path, files: dict[str, bytes], harmed: list[str]) -> None:
    for key in harmed:
        (at / key).unlink(missing_ok=True)
    now = files_of(at)
    for key in {key for key in files if now.get(key) != files[key]}:
        (at / key).write_bytes(files[key])


@pytest.mark.parametrize("at_once", [object_lists.FEW, 0])
async def test_quickly_presence_size_and_manifests_are_looked_at(
    place: Folder, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_lists, "FEW", at_once)
    at, pieces = folder(place), some_bytes(1)
    root = forge(at, pieces)
    keys = [object_key(TYPE, sha256_of(each)) for each in pieces]
    (at / keys[0]).unlink()
    (at / keys[1]).write_bytes(pieces[1] + b"more")
    flipped = bytes([pieces[2][0] ^ 1]) + pieces[2][1:]
    (at / keys[2]).write_bytes(flipped)
    (at / f"{TYPE}/objects/notes.txt").write_text("who put me here?")
    found = await verified(place, root, quick=True)
    assert names(found) == sorted([keys[0], keys[1], f"{TYPE}/objects/notes.txt"])
    details = {each.name: each.detail for each in found.wrong}
    assert details[keys[0]] == f"expected {len(pieces[0])} bytes, found no file"
    assert details[keys[1]] == f"expected {len(pieces[1])} bytes, found {len(pieces[1]) + 4}"
    assert keys[2] in names(await verified(place, root))
    assert (await get_backup(place, root.id)).wrong == 4
    for key, data in zip(keys, pieces, strict=True):
        (at / key).write_bytes(data)
    (at / f"{TYPE}/objects/notes.txt").unlink()
    assert (await verified(place, root, quick=True)).is_sound
    assert (await get_backup(place, root.id)).wrong == 4  # a quick look takes nothing back
    assert (await verified(place, root)).is_sound
    assert (await get_backup(place, root.id)).wrong == 0


async def test_a_marker_that_says_something_else_is_named(place: Folder) -> None:
    root = forge(folder(place), some_bytes(1))
    (folder(place) / MARKER).write_text("")  # as beside an archive that was unpacked
    assert names(await verified(place, root)) == []
    (folder(place) / MARKER).write_text("x")
    assert names(await verified(place, root)) == [MARKER]
    (folder(place) / MARKER).unlink()
    with pytest.raises(Unavailable):
        await verified(place, root)


async def test_ids_from_outside_lead_nowhere_else(place: Folder) -> None:
    forge(folder(place), some_bytes(1))
    for backup_id in ("", "..", "../backups", "2026-11-23T020000Z-abcdef", "2026-13-45T020000Z-abcdef", "a\0b"):
        with pytest.raises(NotFound):
            await verify_backup(destination=place, backup_id=backup_id)


async def test_foreign_roots_are_told_as_such(place: Folder) -> None:
    at = folder(place)
    newer = forge(at, some_bytes(1), format=2, portal_version="9.1")
    with pytest.raises(Foreign, match=r"newer version of the portal \(9.1\)"):
        await verified(place, newer)
    newer = forge(at, some_bytes(1), schema=99)
    with pytest.raises(Foreign, match="newer version"):
        await verified(place, newer)
    out = forge(at, some_bytes(1), members={"../../../etc/passwd": Member("0" * 64, 1)})
    with pytest.raises(Foreign, match="not the root of a backup"):
        await verified(place, out)
    for text in (b"", b'{"a": 1}', b"[" * 5000):
        root = forge(at, some_bytes(1))
        key = f"{folder_of(root.id)}/{ROOT}"
        (at / key).write_bytes(text)
        assert names(await verified(place, root)) == [key]
    states = [each.state for each in await list_backups(place)]
    assert sorted(states) == ["damaged"] * 3 + ["foreign"] * 3


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Member) else value.isoformat()


@pytest.mark.parametrize(
    "facts",
    [
        {"bytes": 10**400},
        {"images": True},
        {"lost": -1},
        {"format": 0},
        {"made_by": "\ud800"},
        {"made_by": "x" * 501},
        {"reason": "a\r\nb"},
        {"format": 2, "portal_version": "\ud800"},
        {"created_at": datetime.max.replace(tzinfo=UTC)},
        {"begun_at": datetime.min.replace(tzinfo=UTC)},
        {"entity_types": (TYPE, TYPE)},
        {"members": {"audit.jsonl": Member("../x", 0)}},
        {"members": {"audit.jsonl": Member("0" * 64, 0, lines=-1)}},
        {"members": {"audit.jsonl": Member("0" * 64, 0, lines="1")}},  # pyright: ignore[reportArgumentType] - on purpose
    ],
    ids=str,
)
async def test_no_root_can_say_what_no_page_could_show(place: Folder, facts: dict[str, Any]) -> None:
    at = folder(place)
    root = forge(at, some_bytes(1))
    said = json.loads(root.encoded().splitlines()[0]) | json.loads(json.dumps(facts, default=_plain))
    line = json.dumps(said).encode() + b"\n"
    (at / folder_of(root.id) / ROOT).write_bytes(line + json.dumps({"sha256": sha256_of(line)}).encode() + b"\n")
    (seen,) = await list_backups(place)
    assert seen.state == "foreign"
    assert seen.message
    assert "\ud800" not in seen.message


async def test_a_root_that_was_renamed_into_another_folder_is_named(place: Folder) -> None:
    at = folder(place)
    one, other = forge(at, some_bytes(1)), forge(at, some_bytes(2))
    (at / folder_of(one.id) / ROOT).write_bytes((at / folder_of(other.id) / ROOT).read_bytes())
    assert names(await verified(place, one)) == [f"{folder_of(one.id)}/{ROOT}"]


def forged_member(at: Path, root: Root, name: str, data: bytes, lines: int) -> str:
    """A manifest of other content, with a root that says so: made by somebody, not by decay."""
    key = f"{folder_of(root.id)}/{name}"
    (at / key).write_bytes(data)
    members = {**root.members, name: Member(sha256_of(data), len(data), lines)}
    (at / folder_of(root.id) / ROOT).write_bytes(replace(root, members=members).encoded())
    return key


async def test_lines_that_are_none_are_named_by_their_number(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_rules, "MOST_LINE", 5000)
    bad = {
        b'{"a": 1}\n[2]\n': "line 2 is no JSON object",
        b'{"a": 1}\n{"a"': "expected 2 lines, found 1",
        b'{"a": 1}\n{}\n{"a"': "its last line has no end",
        b'{"a": 1}\n' + b"[" * 4000 + b"\n": "line 2 is no JSON object",
        b'{"a": "' + b"x" * 5000 + b'"}\n{}\n': "line 1 has more than 5000 bytes",
    }
    for data, words in bad.items():
        root = forge(folder(place), some_bytes(1))
        key = forged_member(folder(place), root, f"{TYPE}/{layout.LINES}", data, 2)
        found = await verified(place, root)
        assert [(each.name, each.detail) for each in found.wrong] == [(key, words)]


def test_after_a_line_that_is_none_the_rest_is_counted_and_not_read() -> None:
    """Else a file of nothing but line ends keeps a processor for hours."""
    reading = line_rules.Reading()
    assert reading.feed(b'{"a": 1}\n\n{"b": 2}\n') == [{"a": 1}]
    assert reading.feed(b'{"c": 3}\n{"d"') == []
    reading.end()
    assert (reading.lines, reading.fault) == (4, "line 2 is no JSON object")


async def test_rows_that_need_an_unlisted_object_and_counts_that_differ_are_named(place: Folder) -> None:
    at = folder(place)
    root = forge(at, some_bytes(1, 2))
    row = b'{"id": "x", "sha256": null, "renditions": {"items": {"large": {"sha256": "%s"}}}}\n' % (b"e" * 64)
    key = forged_member(at, root, f"{TYPE}/{layout.IMAGES}", row, 1)
    found = await verified(place, root)
    assert {each.name for each in found.wrong} == {key, f"{folder_of(root.id)}/{ROOT}"}
    assert any("e" * 64 in each.detail for each in found.wrong)
    assert any("says 2 images, its manifests have 1" in each.detail for each in found.wrong)


async def test_a_list_of_objects_out_of_order_is_named(place: Folder) -> None:
    at, pieces = folder(place), some_bytes(1, 2)
    root = forge(at, pieces)
    key = f"{folder_of(root.id)}/{TYPE}/{OBJECT_LIST}"
    lines = (at / key).read_bytes().splitlines(keepends=True)
    forged_member(at, root, f"{TYPE}/{OBJECT_LIST}", b"".join(reversed(lines)), 2)
    assert names(await verified(place, root)) == [key]


async def test_what_was_lost_before_is_told_and_is_no_new_damage(place: Folder) -> None:
    at, pieces = folder(place), some_bytes(1, 2)
    root = forge(at, pieces, lost=1)
    lost = sorted(sha256_of(each) for each in pieces)[0]
    key = f"{folder_of(root.id)}/{TYPE}/{OBJECT_LIST}"
    first, second = (at / key).read_text().splitlines(keepends=True)
    forged_member(at, root, f"{TYPE}/{OBJECT_LIST}", (first.replace("}", ', "lost": "gone"}') + second).encode(), 2)
    (at / object_key(TYPE, lost)).unlink()
    found = await verified(place, root)
    assert (found.wrong, found.lost, found.objects) == ((), 1, 1)


async def test_the_next_backup_writes_anew_what_a_verification_found_wrong(vault: Vault) -> None:
    """Of its size, and so not known to be wrong by its name."""
    await vault.studio.add(await make_entity(), ready=False)
    first = await vault.create()
    (key,) = vault.objects()
    sound = (vault.root / key).read_bytes()
    (vault.root / key).write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    assert (await vault.create()).copied_objects == 0  # nobody knows yet
    assert len(await vault.wrong(first)) == 1
    assert (await vault.create()).copied_objects == 1
    assert await vault.wrong(first) == []
    assert (await vault.create()).copied_objects == 0
    (vault.root / key).write_bytes(sound[1:] + sound[:1])
    assert len(await vault.wrong(first)) == 1
    (vault.root / key).write_bytes(sound)  # somebody else has brought it back
    assert await vault.wrong(first) == []
    assert await distrusted() == frozenset()
