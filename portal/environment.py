"""Where settings come from: the environment, the checkout's `.env`, files with secrets, the key that a portal makes itself."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

CHECKOUT: Final = Path(__file__).resolve().parent.parent
LEAST_KEY: Final = 32  # characters
T = TypeVar("T")


class SettingError(Exception):
    """One line that names the setting, what it says and what it may say."""


class Reader:
    """Reads one setting after the other and says which one is wrong."""

    def __init__(self, values: Mapping[str, str], suffix: str = "") -> None:
        self._values, self._suffix = values, suffix

    def of_type(self, entity_type: str) -> Reader:
        """One that reads PORTAL_<name>_<TYPE>."""
        return Reader(self._values, f"_{entity_type.upper()}")

    def full(self, name: str) -> str:
        return f"PORTAL_{name}{self._suffix}"

    def text(self, name: str) -> str | None:
        """The value of PORTAL_<name>, or the content of the file that PORTAL_<name>_FILE names."""
        value = self._values.get(self.full(name))
        path = self._values.get(f"{self.full(name)}_FILE")
        if value is None and path:
            try:
                return (CHECKOUT / Path(path).expanduser()).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingError(f"{self.full(name)}_FILE: {path} cannot be read ({error})") from error
        return value.strip() if value and value.strip() else None

    def parsed(self, name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
        value = self.text(name)
        if value is None:
            return default
        try:
            return parse(value)
        except (ValueError, KeyError, OSError) as error:
            raise SettingError(f"{self.full(name)} is {value!r}; expected {expected}") from error

    def number(self, name: str, default: int, least: int, most: int = 2**53) -> int:
        def parse(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError(value)
            return number

        bounds = f"a whole number from {least}" + (f" to {most}" if most < 2**53 else "")
        return self.parsed(name, default, parse, bounds)

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list parted by commas; set but empty (`-`) means none."""
        value = self.text(name)
        if value is None:
            return () if self._values.get(self.full(name)) == "" else default
        return () if value == "-" else tuple(word.strip() for word in value.split(",") if word.strip())

    def path(self, name: str, default: Path) -> Path:
        value = self.text(name)
        return (CHECKOUT / Path(value).expanduser()).resolve() if value else default


def make_private_directory(path: Path) -> None:
    """Make `path`, and what of its parents is missing, readable by its owner alone."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingError(f"{folder} cannot be made ({error.strerror})") from error


def key_of_this_portal(path: Path) -> bytes:
    """Made once; whole or not at all, also when two processes start at the same time."""
    try:
        if not path.exists():
            _make_key(path)
        is_open = stat.S_IMODE(path.stat().st_mode) & 0o077
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(f"{path} cannot be made or read ({error.strerror})") from error
    if is_open:
        raise SettingError(f"{path} can be read by others; make it private with: chmod 600 {path}")
    if len(key) < LEAST_KEY:
        raise SettingError(f"{path} does not hold a whole key; restore it, or remove it and a new one is made")
    return key


def _make_key(path: Path) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(48).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            os.link(draft, path)
    finally:
        os.unlink(draft)
