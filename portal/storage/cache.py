"""Files that may vanish at any time, as they can be made again: renditions in other formats. One folder on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from portal.storage.keys import DRAFT, cache_folder, is_cache_key


@dataclass(frozen=True, slots=True)
class Cache:
    """`root` is made when the first file is written."""

    root: Path

    async def find(self, key: str) -> bytes | None:
        return await asyncio.to_thread(self._find, key)

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all, but not for good: nothing is synced. Raises OSError."""
        await asyncio.to_thread(self._put, key, data)

    async def forget(self, entity_type: str, image_id: UUID) -> None:
        """All that is kept of this image."""
        await asyncio.to_thread(self._forget, entity_type, image_id)

    def expired(self, age: timedelta) -> Iterator[Path]:
        """Ours that are older than this, those never finished included, whatever else lies in the folder; blocks."""
        end = time.time() - age.total_seconds()
        for folder, _, names in os.walk(self.root):  # follows no symlinks
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    if is_cache_key(path.relative_to(self.root).as_posix()) and path.lstat().st_mtime < end:
                        yield path

    def _find(self, key: str) -> bytes | None:
        try:
            return (self.root / key).read_bytes()
        except OSError:
            return None

    def _put(self, key: str, data: bytes) -> None:
        path = self.root / key
        self._make_folder(path.parent)
        descriptor, draft = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise

    def _make_folder(self, folder: Path) -> None:
        for each in reversed([folder, *folder.parents]):
            each.mkdir(mode=0o700, exist_ok=True)

    def _forget(self, entity_type: str, image_id: UUID) -> None:
        for path in (self.root / cache_folder(entity_type, image_id)).glob(f"{image_id}-v*"):
            path.unlink(missing_ok=True)
