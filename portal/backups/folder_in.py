"""Reading a plain folder: what lies there, in which order, and a door that opens nothing but plain files in it.

Nothing is believed: whoever made the folder may have put links, pipes or paths that lead elsewhere into it. Everything here
blocks: run it in threads.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from portal.backups import folder_names
from portal.entities.import_files import ImportKind, Line, check_encoding, csv_lines
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import Conflict, FormError, NoSuchEntity
from portal.settings import ENTITY_TYPES
from portal.spreadsheets import unguarded

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not hold us
_NOT_OURS: Final = frozenset({"thumbs.db", "desktop.ini", "lost+found", "__macosx"})
_READ_HERE: Final = (folder_names.ENTITIES, folder_names.ENTITIES_CSV)
_NO_GALLERY: Final = f"pictures lie in TYPE/ID/; the types are {', '.join(ENTITY_TYPES)}"


@dataclass(frozen=True, slots=True)
class Offered:
    """A picture that a folder offers. `ref` None: it cannot be taken, `problem` says why. `said`: cells of its `line`."""

    where: str
    path: str
    ref: EntityRef | None
    problem: str = ""
    said: Mapping[str, str] = field(default_factory=dict[str, str])
    line: int = 0


class FolderIn:
    """Raises Conflict for what is no folder, and for an export that never came to its end."""

    def __init__(self, folder: Path) -> None:
        try:
            self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Conflict(f"{folder} cannot be read as a folder: {error.strerror}.") from error
        self.ignored: tuple[str, ...] = ()
        try:
            names = set(os.listdir(self._root))
            self.list_name = _list_of(names, folder)
        except BaseException:
            os.close(self._root)
            raise
        self._entities = next((name for name in _READ_HERE if name in names), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._root)

    def entities(self) -> tuple[BinaryIO, ImportKind] | None:
        """The file of what owns the pictures, to be closed. Raises Conflict when it is no plain file."""
        if self._entities is None:
            return None
        return self._list(self._entities), "csv" if self._entities.endswith(".csv") else "jsonl"

    def offered(self) -> Generator[Offered]:
        """Every picture; those of one gallery in their order. Raises FormError for a CSV that cannot be read at all."""
        return self._tree() if self.list_name is None else self._lines(self.list_name)

    def open(self, path: str) -> BinaryIO:
        """A plain file in this folder. Raises ValueError, in words for people, for anything else."""
        *folders, name = folder_names.parts_of(path)
        with contextlib.ExitStack() as stack:
            above = self._root
            try:
                for folder in folders:
                    above = os.open(folder, _FOLDER, dir_fd=above)
                    stack.callback(os.close, above)
                # asked first: opening a device may do something
                if not stat.S_ISREG(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                    raise ValueError("this is no plain file")
                file = os.fdopen(os.open(name, _FILE, dir_fd=above), "rb")
            except FileNotFoundError as error:
                raise ValueError("there is no such file in the folder") from error
            except OSError as error:  # ELOOP, ENOTDIR: a link or a file where a folder should be
                raise ValueError(f"it cannot be reached without leaving the folder ({error.strerror})") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise ValueError("this is no plain file")
        return file

    def _list(self, name: str) -> BinaryIO:
        try:
            return self.open(name)
        except ValueError as error:
            raise Conflict(f"{name} cannot be read: {error}.") from error

    # -- as a CSV says ----------------------------------------------------------------------------------------------

    def _lines(self, name: str) -> Generator[Offered]:
        with self._list(name) as file:
            check_encoding(file)
            with contextlib.closing(csv_lines(file)) as lines:
                header = [_ALIASES.get(column.lower(), column.lower()) for column in next(lines).cells]
                self.ignored = _ignored(header)
                rows = (_offered(name, header, line) for line in lines)
                for _, gallery in groupby(rows, key=lambda row: row.ref):
                    yield from sorted(gallery, key=_place)

    # -- as folders say ---------------------------------------------------------------------------------------------

    def _tree(self) -> Generator[Offered]:
        for entry in sorted(_entries(self._root), key=lambda entry: entry.name):
            if entry.name in ENTITY_TYPES and entry.is_dir(follow_symlinks=False):
                yield from self._galleries(entry.name)
            elif entry.name not in _READ_HERE:
                yield Offered(shown(entry.name), entry.name, None, _NO_GALLERY)

    def _galleries(self, kind: str) -> Iterator[Offered]:
        try:
            folder = os.open(kind, _FOLDER, dir_fd=self._root)
        except OSError as error:
            yield _unreadable(kind, error)
            return
        try:
            for entry in _entries(folder):
                yield from self._gallery(folder, kind, entry)
        finally:
            os.close(folder)

    def _gallery(self, above: int, kind: str, entry: os.DirEntry[str]) -> Iterator[Offered]:
        path = f"{kind}/{entry.name}"
        try:
            ref = parse_ref(kind, folder_names.id_of(entry.name))
            if not entry.is_dir(follow_symlinks=False):
                raise ValueError(_NO_GALLERY)
            names = sorted(_names(entry.name, above), key=folder_names.in_order)
        except (ValueError, NoSuchEntity) as error:
            yield Offered(shown(path), path, None, str(error))
        except OSError as error:
            yield _unreadable(path, error)
        else:
            yield from (Offered(shown(f"{path}/{name}"), f"{path}/{name}", ref) for name in names)


_ALIASES: Final = {"file": "path", "type": "entity_type", "id": "entity_id", "name": "entity_name"}


def _list_of(names: set[str], folder: Path) -> str | None:
    """Which file lists the pictures; None where the folders alone say it."""
    if folder_names.PICTURES in names:
        return folder_names.PICTURES
    if folder_names.UNFINISHED in names:
        raise Conflict(f"The export to {folder} never came to its end: there is only {folder_names.UNFINISHED}.")
    lists = sorted(name for name in names if name.lower().endswith((".csv", ".tsv")) and name not in _READ_HERE)
    if len(lists) > 1:
        raise Conflict(f"Which of {', '.join(lists[:5])} lists the pictures? Call it {folder_names.PICTURES}.")
    return lists[0] if lists else None


def _ignored(header: list[str]) -> tuple[str, ...]:
    """Columns that say nothing to us. Raises FormError where those are missing that say it all."""
    missing = [name for name in folder_names.NEEDED if name not in header]
    if missing:
        raise FormError({"file": f"The first line names the columns; {', '.join(missing)} must be among them."})
    return tuple(name for name in header if name not in folder_names.COLUMNS)


def _offered(list_name: str, header: list[str], line: Line) -> Offered:
    where = f"{list_name} line {line.number}"
    if line.problem or len(line.cells) != len(header):
        problem = line.problem or f"This line has {len(line.cells)} cells, the header has {len(header)}."
        return Offered(where, "", None, problem, line=line.number)
    said = {name: unguarded(cell) for name, cell in zip(header, line.cells, strict=True)}
    path = said["path"].strip()
    try:
        folder_names.parts_of(path)
        ref = parse_ref(said["entity_type"].strip(), said["entity_id"].strip())
    except (ValueError, NoSuchEntity) as error:
        return Offered(where, path, None, str(error), line=line.number)
    return Offered(where, path, ref, said=said, line=line.number)


def _place(row: Offered) -> float:
    """Those without one come last, in the order of their lines."""
    text = row.said.get("sort_order", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else float("inf")


def _unreadable(path: str, error: OSError) -> Offered:
    return Offered(shown(path), path, None, f"it cannot be read ({error.strerror})")


def _names(name: str, above: int) -> list[str]:
    folder = os.open(name, _FOLDER, dir_fd=above)
    try:
        return [entry.name for entry in _entries(folder)]
    finally:
        os.close(folder)


def shown(name: str) -> str:
    """A disk may hold names that are no text."""
    return name.encode(errors="replace").decode()


def _entries(folder: int) -> Iterator[os.DirEntry[str]]:
    """What people have put there, not what their systems have."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in _NOT_OURS:
                yield entry
