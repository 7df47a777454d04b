"""Files that a backup fills before they go to its destination: lines, counted and summed on their way. All of it blocks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from portal.backups.root import Member
from portal.storage.disk import plain_words

WORDS: Final = "the portal's data"
FOLDER: Final = "backup-spool"


class Spool:
    """One manifest. `member` once it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._bytes = self._lines = 0

    def __enter__(self) -> Self:
        with plain_words(WORDS):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = open(self.path, "xb", opener=_privately)
        return self

    def __exit__(self, *_: object) -> None:
        with plain_words(WORDS):
            self._file.close()

    def add(self, data: bytes | bytearray) -> None:
        """Lines with their ends, or a piece of them."""
        with plain_words(WORDS):
            self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)
        self._lines += data.count(b"\n")

    @property
    def member(self) -> Member:
        return Member(self._digest.hexdigest(), self._bytes, self._lines)


@contextlib.contextmanager
def spool_folder(data_dir: Path) -> Iterator[Path]:
    """Empty at the beginning, whatever a killed backup has left, and gone at the end. For who has the turn alone."""
    folder = data_dir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with plain_words(WORDS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
