"""What README.txt in a backup says to who has nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_TEXT: Final = """\
Backup {id} of an image portal: its rows of one moment, and every file that they need. Entity types: {types}.
Two folders above this one lie the files: <entity type>/objects/<first two digits>/<SHA-256>, each named by its own SHA-256.
All text here is UTF-8. In a file .jsonl each line is a JSON object. Times are ISO 8601, sizes bytes.

backup.jsonl             first line: what this backup holds, and SHA-256, bytes and lines of every other file ("members");
                         second line: the SHA-256 of the first one. Without backup.jsonl the backup was never finished.
<type>/entities.jsonl    what owns pictures           <type>/lines.jsonl      an invoice's lines ("invoice": its id)
<type>/images.jsonl      pictures ("entity": its id)  <type>/versions.jsonl   what they were before ("image": its id)
<type>/pins.jsonl        invoices that keep pictures  <type>/pinned.jsonl     the pictures that they keep
<type>/embed_keys.jsonl  keys of frames, as hashes    <type>/objects.jsonl    every file: sha256, bytes, key (where it lay)
audit.jsonl, sizes.jsonl who did what; the sizes of renditions that were changed

A picture's original is the file of its "sha256"; its renditions are those of "renditions", "items". To check them all:
    head -n1 backup.jsonl | sha256sum;   cd ../../<type>/objects && sha256sum */* | awk '$1 != substr($2, 4)'
"""


def explained(backup_id: str, entity_types: Sequence[str]) -> str:
    return _TEXT.format(id=backup_id, types=", ".join(entity_types))
