"""Manifests of a backup read as a stream, for who looks for some of their lines: the others are not taken apart.

A million lines take seconds and no memory. What was read to its end is compared with its SHA-256.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import unicodedata
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Final, cast

from portal.backups import layout
from portal.backups.destination import Destination
from portal.backups.lines import MOST_LINE, Line, Reading
from portal.backups.root import Damaged, Root
from portal.backups.upgrades import upgrade_from
from portal.errors import Gone

__all__ = ["Group", "Groups", "IsOver", "ManifestReader", "Take", "bytes_of_id", "bytes_of_word"]

Group = Sequence[Sequence[bytes]]  # a line holds one of each of these
Groups = Sequence[Group]  # it is wanted for one of these
IsOver = Callable[[], bool]
Take = Callable[[Line], bool]
_PLAIN: Final = re.compile(r"[!#-.0-\[\]-~]+")  # what JSON writes as it is, whoever writes it


class Sieve(Reading):
    """Gives the lines that are wanted, in whatever case of ASCII; the others are not taken apart. `groups` may become fewer
    while it reads."""

    def __init__(self, key: str, groups: Groups) -> None:
        super().__init__(has_lines=False)
        self._key = key
        self._tail = bytearray()  # of a line that has no end yet
        self._groups = groups

    def feed(self, piece: bytes) -> list[Line]:
        super().feed(piece)
        block, end, rest = piece.rpartition(b"\n")
        if not end:
            self._keep(rest)
            return []
        block = bytes(self._tail) + block
        self._tail.clear()
        self._keep(rest)
        lowered = block.lower()
        if not self._has_some(lowered):
            return []
        pairs = zip(block.split(b"\n"), lowered.split(b"\n"), strict=True)
        return [line for text, low in pairs if self._has_some(low) and (line := _line_of(text)) is not None]

    def _has_some(self, text: bytes) -> bool:
        return any(all(any(each in text for each in forms) for forms in group) for group in self._groups)

    def _keep(self, rest: bytes) -> None:
        """Raises Damaged."""
        if len(self._tail) + len(rest) > MOST_LINE:
            raise Damaged(f"{self._key} is damaged: a line has more than {MOST_LINE} bytes.")
        self._tail += rest


class ManifestReader:
    """Manifests of one backup, as far as time allows."""

    def __init__(self, destination: Destination, root: Root, is_over: IsOver) -> None:
        self._destination, self._root, self._is_over = destination, root, is_over
        self._upgrade = upgrade_from(root.schema)
        self.is_whole = True

    async def read(self, entity_type: str, manifest: str, groups: Groups, take: Take) -> None:
        """`take` says of each line whether more are wanted. Raises Damaged with the manifest's name."""
        name = f"{entity_type}/{manifest}"
        key, member = f"{layout.folder_of(self._root.id)}/{name}", self._root.members.get(name)
        if member is None:
            raise Damaged(f"{key} is missing from the root of this backup.")
        sieve = Sieve(key, groups)
        try:
            if not await self._read(key, manifest, sieve, take):
                return
        except Gone as error:
            raise Damaged(f"{key} is missing.") from error
        if difference := sieve.difference(replace(member, lines=None)):
            raise Damaged(f"{key} is damaged: {difference}.")

    async def _read(self, key: str, manifest: str, sieve: Sieve, take: Take) -> bool:
        """To its end?"""
        pieces = cast(AsyncGenerator[bytes], self._destination.pieces(key))
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if self._is_over():
                    self.is_whole = False
                    return False
                for line in await asyncio.to_thread(sieve.feed, piece):
                    if not take(self._upgrade(manifest, line)):
                        return False
        return True


def _line_of(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None  # it is damaged, as its SHA-256 will show
    return line if isinstance(line, dict) else None


def bytes_of_id(id: str) -> Group:
    return [[f'"{id}"'.lower().encode()]]


def bytes_of_word(word: str) -> Group:
    """What a line holds that holds this word, as alternatives: its plain letters together, of each other sign all its forms."""
    plain = [[run.lower().encode()] for run in _PLAIN.findall(word)]
    return plain + [sorted(_forms(sign)) for sign in set(_PLAIN.sub("", word)) - set('"\\/')]


def _forms(sign: str) -> set[bytes]:
    """Small or large, in one sign or taken apart, as it is or as `\\u…`."""
    cases = {sign, sign.lower(), sign.upper()}
    written = {unicodedata.normalize(form, each) for each in cases for form in ("NFC", "NFD")}
    return {text.lower() for each in written for text in (each.encode(), json.dumps(each)[1:-1].encode())}
