"""Archives made to lead elsewhere, to overwrite, or to be half: each ends as a sentence, and nothing is there that was not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from portal.audit.actors import Actor
from portal.backups.archive import archive_of, take_archive
from portal.backups.destination import Folder
from portal.backups.layout import OBJECT_LIST, ROOT, folder_of, object_key
from portal.backups.listing import get_backup
from portal.backups.root import Damaged, Foreign, Member, Root
from portal.errors import Conflict, DiskFull, NotFound, PortalError
from portal.storage.disk import Disk
from tests.backing_up import TYPE, files_of, forge, opened, sha256_of

ADMIN = Actor("user:ana@example.com", "admin")
OBJECTS = [b"one", b"two" * 300, b"three"]
Entry = tuple[tarfile.TarInfo, bytes]


class Tars:
    """A good archive, to be taken apart."""

    def __init__(self, root: Root, data: bytes) -> None:
        self.root, self.data = root, data
        self.folder = folder_of(root.id)

    @property
    def entries(self) -> list[Entry]:
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            return [(each, file.read()) for each in tar if (file := tar.extractfile(each))]

    def of(self, entries: list[Entry], form: int = tarfile.USTAR_FORMAT) -> bytes:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w", format=form) as tar:
            for each, data in entries:
                each.size = len(data) if each.isreg() else each.size
                tar.addfile(each, io.BytesIO(data) if each.isreg() else None)
        return held.getvalue()

    def with_second(self, change: Callable[[tarfile.TarInfo], None]) -> bytes:
        """Its second file says something else of itself."""
        entries = self.entries
        change(entries[1][0])
        return self.of(entries)

    def with_root(self, root: Root, members: list[Entry] | None = None) -> bytes:
        entries = self.entries
        entries[0] = (entry(f"{folder_of(root.id)}/{ROOT}"), root.encoded())
        return self.of([entries[0], *(entries[1:] if members is None else members)])


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.fixture
async def tars(db: None, tmp_path: Path) -> Tars:
    here = await opened(tmp_path / "elsewhere")
    root = forge(here.store.root, OBJECTS)
    return Tars(root, b"".join([piece async for piece in archive_of(here, root.id)]))


@pytest.fixture
async def place(db: None, tmp_path: Path) -> Folder:
    """With a backup of its own."""
    folder = await opened(tmp_path / "data" / "backups")
    forge(folder.store.root, [b"mine"])
    return folder


async def once(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 5000):
        yield data[start : start + 5000]


async def refused(place: Folder, data: bytes, words: str, error: type[PortalError] = Damaged) -> None:
    """Also: everything that was there is as it was, and nothing but objects whose names are true came on top."""
    outside = place.store.root.parent.parent
    before = files_of(outside)
    with pytest.raises(error, match=words):
        await take_archive(place, once(data), actor=ADMIN)
    after = files_of(outside)
    assert {key: after[key] for key in before} == before
    for key in set(after) - set(before):
        assert key.startswith("data/backups/")
        assert key == f"data/backups/{object_key(TYPE, sha256_of(after[key]))}"
    assert not list((place.store.root / "temp").iterdir())


HOSTILE_NAMES = [
    "/etc/cron.d/portal",
    "../outside",
    "backups/../../outside",
    "backups/{id}/../../../outside",
    "./backups/{id}/audit.jsonl",
    "backups/{id}//audit.jsonl",
    "backups/{id}/audit.jsonl/",
    "backups/{id}/backup.jsonl",
    "backups/2026-11-23T020000Z-000000/audit.jsonl",
    "backups\\{id}\\audit.jsonl",
    "C:\\outside",
    ".portal-root",
    "temp/x.part",
    "",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_no_name_but_the_expected_one_is_taken(place: Folder, tars: Tars, name: str) -> None:
    def rename(each: tarfile.TarInfo) -> None:
        each.name = name.format(id=tars.root.id)

    await refused(place, tars.with_second(rename), "where .* is expected|files alone")


@pytest.mark.parametrize(
    "name", [*HOSTILE_NAMES[:4], "backups/2026-13-99T020000Z-000000/backup.jsonl", "backups/x/backup.jsonl"]
)
async def test_what_begins_with_no_root_is_no_archive(place: Folder, tars: Tars, name: str) -> None:
    entries = tars.entries
    entries[0][0].name = name
    await refused(place, tars.of(entries), "no archive of a backup")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.CONTTYPE, "something"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "something"),
    ],
)
async def test_files_alone_are_taken(place: Folder, tars: Tars, kind: bytes, words: str) -> None:
    entries = tars.entries
    name = entries[1][0].name
    entries.insert(1, (entry(name, kind, "../../../outside"), b""))
    raw = tars.of(entries)
    if kind == tarfile.GNUTYPE_SPARSE:
        start = 512 + -(-len(entries[0][1]) // 512) * 512
        raw = raw[:start] + entry(name, kind).tobuf(tarfile.GNU_FORMAT) + raw[start + 512 :]
    await refused(place, raw, words)


@pytest.mark.parametrize(
    "records", [{"path": "../../outside"}, {"size": "99"}, {"GNU.sparse.name": "x"}, {"x": "y" * 5000}]
)
async def test_extended_headers_say_nothing_here(place: Folder, tars: Tars, records: dict[str, str]) -> None:
    entries = tars.entries
    entries[1][0].pax_headers = records
    await refused(place, tars.of(entries, tarfile.PAX_FORMAT), "an extended header")


async def test_long_names_are_none_of_a_backup(place: Folder, tars: Tars) -> None:
    entries = tars.entries
    entries[1][0].name = "backups/" + "x" * 100_000
    await refused(place, tars.of(entries, tarfile.GNU_FORMAT), "a long name")


@pytest.mark.parametrize(
    ("pack", "words"),
    [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz"), (lambda data: b"PK\3\4" + data, "zip")],
)
async def test_what_is_compressed_is_not_unpacked(
    place: Folder, tars: Tars, pack: Callable[[bytes], bytes], words: str
) -> None:
    await refused(place, pack(tars.data), f"compressed \\({words}\\). Unpack that first")


async def test_what_is_cut_anywhere_is_not_taken(place: Folder, tars: Tars) -> None:
    for length in [0, 1, 511, 512, 700, *range(1024, len(tars.data), 1500), len(tars.data) - 512, len(tars.data) - 1]:
        await refused(place, tars.data[:length], "cut|compressed|damaged")
    assert await listed(place, tars.root) is None


async def listed(place: Folder, root: Root) -> str | None:
    try:
        return (await get_backup(place, root.id)).state
    except NotFound:
        return None


async def test_a_byte_that_changed_anywhere_is_found(place: Folder, tars: Tars) -> None:
    at = 0
    for number, (each, data) in enumerate(tars.entries):
        for place_in_file in {512, 512 + len(data) // 2, 511 + len(data)} if data and number % 3 == 0 else set():
            changed = bytearray(tars.data)
            changed[at + place_in_file] ^= 1
            await refused(place, bytes(changed), "damaged|not match")
        for place_in_header in (0, 60, 124, 156) if number < 2 else ():
            changed = bytearray(tars.data)
            changed[at + place_in_header] ^= 1
            await refused(place, bytes(changed), "checksum|no archive")
        at += 512 + -(-len(data) // 512) * 512
        assert each.size == len(data)
    assert await listed(place, tars.root) is None


async def test_nothing_comes_after_the_end_and_nothing_twice(place: Folder, tars: Tars) -> None:
    await refused(place, tars.data + b"x", "goes on after its end")
    await refused(place, tars.data + bytes(3 * 1024 * 1024), "goes on after its end")
    await refused(place, tars.data + tars.data, "goes on after its end")
    entries = tars.entries
    await refused(place, tars.of([*entries, entries[-1]]), "does not ask for")
    await refused(place, tars.of([*entries, (entry("backups/more.txt"), b"more")]), "does not ask for")
    await refused(place, tars.of([*entries[:3], entries[2], *entries[3:]]), "is expected")
    await refused(place, tars.of([*entries[:3], *entries[4:]]), "is expected")
    await refused(place, tars.of(entries[:-1]), "not whole")
    await refused(place, tars.of([entries[0], *reversed(entries[1:])]), "is expected")


async def test_zeros_with_which_tar_fills_its_last_record_are_fine(place: Folder, tars: Tars) -> None:
    assert await take_archive(place, once(tars.of(tars.entries) + bytes(10240)), actor=ADMIN) == tars.root


async def test_a_size_is_what_the_root_says(place: Folder, tars: Tars) -> None:
    header = bytearray(tars.data)
    start = 512 + -(-len(tars.entries[0][1]) // 512) * 512
    for size in (0, 8**11 - 1):
        each = entry(tars.entries[1][0].name)
        each.size = size
        header[start : start + 512] = each.tobuf(tarfile.USTAR_FORMAT)
        await refused(place, bytes(header), "expected .* bytes, found")
    each.size = 2**70
    header[start : start + 512] = each.tobuf(tarfile.GNU_FORMAT)
    await refused(place, bytes(header), "expected .* bytes, found")
    negative = bytearray(header[start : start + 512])
    negative[124:136] = b"\xff" * 12
    negative[148:156] = b"%06o\0 " % (sum(negative[:148]) + 256 + sum(negative[156:]))
    header[start : start + 512] = negative
    await refused(place, bytes(header), "damaged")


async def test_a_root_is_read_before_anything_else_is_believed(place: Folder, tars: Tars) -> None:
    root = tars.root
    await refused(
        place,
        tars.with_root(replace(root, id="2020-01-01T000000Z-abcdef"))[:512] + tars.data[512:],
        "is that of another",
    )
    itself = {"backup.jsonl": Member(sha256_of(b""), 0), **root.members}
    await refused(place, tars.with_root(replace(root, members=itself)), "names itself")
    await refused(
        place,
        tars.with_root(replace(root, members={"Backup.JSONL".replace("JSONL", "jsonl"): Member(sha256_of(b""), 0)})),
        "names itself",
    )
    await refused(
        place, tars.with_root(replace(root, members={"../x.jsonl": Member(sha256_of(b""), 0)})), "not the root", Foreign
    )
    await refused(place, tars.with_root(replace(root, format=99)), "newer version", Foreign)
    entries = tars.entries
    entries[0] = (entries[0][0], b"{}\n" + bytes(2 * 1024 * 1024))
    await refused(place, tars.of(entries), "more than any root")


@pytest.mark.parametrize(
    "lines",
    [
        b'{"sha256": "../../../outside", "bytes": 3}\n',
        b'{"sha256": "' + b"a" * 64 + b'", "bytes": -1}\n',
        b'{"sha256": "' + b"a" * 64 + b'", "bytes": "3"}\n',
        b'{"sha256": "' + b"a" * 64 + b'", "bytes": 99999999999999}\n',
        b"[]\n",
        b'{"sha256": 3}\n' * 1000,
        b"".join(b'{"sha256": "%064x", "bytes": 1}\n' % number for number in range(50)),
    ],
    ids=["path", "negative", "text", "huge", "no object", "numbers", "too many"],
)
async def test_a_list_of_objects_asks_for_no_more_than_the_root_says(place: Folder, tars: Tars, lines: bytes) -> None:
    name = f"{TYPE}/{OBJECT_LIST}"
    members = {**tars.root.members, name: Member(sha256_of(lines), len(lines), lines.count(b"\n"))}
    entries = [
        (entry(each.name), lines if each.name.endswith(name) else data)
        for each, data in tars.entries[1:]
        if not each.name.startswith(TYPE)
    ]
    await refused(
        place, tars.with_root(replace(tars.root, members=members), entries), "lists more|no object|no JSON|not in order"
    )


async def test_another_backup_of_this_id_stays_as_it_is(place: Folder, tars: Tars) -> None:
    await take_archive(place, once(tars.data), actor=ADMIN)
    other = replace(tars.root, made_by="somebody")
    await refused(place, tars.with_root(other), "Another backup", Conflict)
    await refused(place, tars.with_root(replace(other, made_by="system" + "m" * 400)), "Another backup", Conflict)


async def test_a_backup_that_is_just_being_made_is_not_written_into(place: Folder, tars: Tars) -> None:
    mine = place.store.root / tars.folder
    mine.mkdir(parents=True)
    (mine / "audit.jsonl").write_bytes(b"being written")
    await refused(place, tars.data, "is there already, and another one", Conflict)


async def test_what_a_killed_arrival_left_is_taken_up_again(place: Folder, tars: Tars) -> None:
    mine = place.store.root / tars.folder
    mine.mkdir(parents=True)
    for each, data in tars.entries[1:4]:
        (place.store.root / each.name).parent.mkdir(parents=True, exist_ok=True)
        (place.store.root / each.name).write_bytes(data)
    assert await take_archive(place, once(tars.data), actor=ADMIN) == tars.root
    assert await listed(place, tars.root) == "complete"


async def test_a_sender_that_goes_away_leaves_no_backup(place: Folder, tars: Tars) -> None:
    async def gone() -> AsyncIterator[bytes]:
        yield tars.data[: len(tars.data) * 2 // 3]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await take_archive(place, gone(), actor=ADMIN)
    assert await listed(place, tars.root) is None
    assert await take_archive(place, once(tars.data), actor=ADMIN) == tars.root


async def test_where_there_is_no_room_nothing_is_begun(place: Folder, tars: Tars) -> None:
    await refused(place, tars.with_root(replace(tars.root, bytes=2**62)), "no room", DiskFull)


async def test_a_disk_that_fills_up_on_the_way_is_said_so(place: Folder, tars: Tars) -> None:
    class Filling(Disk):
        left = 5

        def write_all(self, file: int, data: bytes) -> None:
            if not self.left:
                raise OSError(28, "No space left on device")
            self.left -= 1
            super().write_all(file, data)

    place.store.disk = Filling()
    await refused(place, tars.data, "full", DiskFull)
    place.store.disk = Disk()
    assert await take_archive(place, once(tars.data), actor=ADMIN) == tars.root
