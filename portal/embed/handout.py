"""What somebody is handed with a new key, this once: the key, its URL, and what is pasted into the host's page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from uuid import UUID

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


def snippet(url: str, scope: Scope, base_url: str) -> str:
    """What is pasted into the host's page. Of a whole type, the host puts the entity's id where ID stands."""
    source = url if scope.id is not None else f"{url}?id=ID"
    return (
        f'<iframe src="{escape(source)}" sandbox="allow-scripts" title="Pictures" loading="lazy" '
        f'referrerpolicy="no-referrer" width="100%" height="320" frameborder="0" data-portal-embed></iframe>\n'
        f'<script src="{escape(base_url)}/embed.js" async></script>'
    )
