"""Writing a plain folder: the file work of an export. Everything here blocks: run it in threads."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from portal.backups import folder_names
from portal.errors import Conflict, DiskFull, Gone, Unavailable
from portal.spreadsheets import guarded
from portal.storage.store import Store

PIECE: Final = 1024 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class FolderOut:
    """An empty folder that is being filled. `finish` makes its list valid: until then it is called `pictures.csv.part`.

    Raises Conflict for a folder that is not empty or lies among the pictures, DiskFull, Unavailable.
    """

    def __init__(self, folder: Path, store: Store, bytes: int) -> None:
        self._folder, self._store = folder, store
        with self._in_words():
            _refuse_what_is_used(folder, store)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if shutil.disk_usage(folder).free < bytes:
                raise DiskFull(f"The disk of {folder} has no room for {bytes / 2**20:,.0f} MB. Nothing was written.")
            self._list = (folder / folder_names.UNFINISHED).open("x", encoding="utf-8-sig", newline="")
            self._entities = (folder / folder_names.ENTITIES).open("xb")
        self._csv = csv.writer(self._list)
        self._csv.writerow(folder_names.COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in (self._list, self._entities):
            with contextlib.suppress(OSError):  # a full disk has been told before
                file.close()

    def add_entities(self, entities: Sequence[Mapping[str, Any]]) -> None:
        with self._in_words():
            for entity in entities:
                self._entities.write(json.dumps(entity, ensure_ascii=False).encode() + b"\n")

    def add_picture(self, key: str, said: Mapping[str, str]) -> None:
        """Copy an original to `said["path"]`, and its line. Raises Gone where the bytes are not what `said["sha256"]` says."""
        path = self._folder / said["path"]
        with self._in_words():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if self._copy(key, path) != said["sha256"]:
                    raise Gone("Its bytes are no longer what they were.")
            except Gone:
                path.unlink(missing_ok=True)
                raise
            self._csv.writerow([guarded(said[name]) for name in folder_names.COLUMNS])

    def _copy(self, key: str, path: Path) -> str:
        """The SHA-256 of what was copied."""
        digest = hashlib.sha256()
        with self._store.open_now(key) as source, os.fdopen(os.open(path, _NEW, 0o644), "wb", buffering=0) as target:
            while piece := _read(self._store, source.fileno()):
                digest.update(piece)
                self._store.disk.write_all(target.fileno(), piece)
        return digest.hexdigest()

    def finish(self) -> None:
        """All of it is on the disk when this returns."""
        with self._in_words():
            for file in (self._list, self._entities):
                file.flush()
                os.fsync(file.fileno())
            (self._folder / folder_names.UNFINISHED).rename(self._folder / folder_names.PICTURES)
            os.sync()  # once for all of them: one fsync for each takes as long again as copying

    @contextlib.contextmanager
    def _in_words(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"The disk of {self._folder} is full. What was written so far lies there.") from error
            raise Unavailable(f"{self._folder} cannot be written to: {error.strerror}.") from error


def _read(store: Store, file: int) -> bytes:
    try:
        return store.disk.read(file, PIECE)
    except OSError as error:
        raise Gone("The disk cannot read it any more.") from error


def _refuse_what_is_used(folder: Path, store: Store) -> None:
    if folder.resolve().is_relative_to(store.root.resolve()):
        raise Conflict("This folder lies among the portal's own pictures. Choose one elsewhere.")
    if folder.exists() and set(os.listdir(folder)) - {"lost+found"}:
        raise Conflict(f"{folder} is not empty. Choose a new folder: nothing in it is ever replaced.")
