"""What somebody is handed with a new key, this once: the key, its URL, and what is pasted into the host's page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portal.embed.frames import snippet
from portal.embed.keys import EmbedView, Scope


@dataclass(frozen=True, slots=True)
class NewEmbed:
    """`key` and `url` are said this once; `snippet` is what the host's page takes."""

    id: UUID
    key: str
    url: str
    snippet: str
    scope: Scope
    presets: list[str] | None
    parents: list[str]
    captions: bool
    created_at: datetime
    expires_at: datetime | None


def hand_out(made: EmbedView, key: str, base_url: str) -> NewEmbed:
    url = f"{base_url}/embed/k/{key}"
    return NewEmbed(
        made.id,
        key,
        url,
        snippet(url, made.scope, base_url),
        made.scope,
        made.presets,
        made.parents,
        made.captions,
        made.created_at,
        made.expires_at,
    )
