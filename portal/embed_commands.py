"""`portal embed`: keys for other sites' frames, made, listed and revoked from a terminal or a script."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from portal.audit.actors import SYSTEM
from portal.command import with_parts
from portal.embed.handout import NewEmbed, hand_out
from portal.embed.keys import EmbedView, Scope, get_key, issue_key, list_keys, revoke_key
from portal.entities.kinds import KINDS
from portal.expiry import expiry_in_words, read_expiry, utc_now
from portal.imaging.presets import READY
from portal.paging import MAX_LIMIT
from portal.parts import Parts


@click.group()
def embed() -> None:
    """Keys with which other sites show a gallery."""


@embed.command("create")
@click.argument("type", type=click.Choice(sorted(KINDS)))
@click.argument("id", required=False)
@click.option("--preset", "presets", multiple=True, type=click.Choice(READY), help="A size; without: all. Repeatable.")
@click.option(
    "--parent", "parents", multiple=True, help="A site that may show it (https://shop.example.com). Repeatable."
)
@click.option("--expires", default="", help="A day (2027-01-31), a number of days (30d) or a time; without: never.")
@click.option("--no-captions", is_flag=True)
@click.option("--json", "is_json", is_flag=True, help="The API's object.")
def create(
    type: str,
    id: str | None,
    presets: tuple[str, ...],
    parents: tuple[str, ...],
    expires: str,
    no_captions: bool,
    is_json: bool,
) -> None:
    """Print the URL and the snippet of a new key, this once. Without ID it is for every gallery of the type."""

    async def run(parts: Parts) -> NewEmbed:
        made, key = await issue_key(
            Scope(type, id),
            presets=presets or None,
            parents=parents,
            expires_at=read_expiry(expires, parts.settings.timezone, utc_now()),
            captions=not no_captions,
            private_types=parts.settings.private_types,
            actor=SYSTEM,
        )
        return hand_out(await get_key(made), key, parts.settings.base_url)

    made = with_parts(run)
    click.echo(_json(made) if is_json else f"{made.url}\n\n{made.snippet}")


@embed.command("list")
@click.option("--json", "is_json", is_flag=True, help="The API's object, with all of them.")
def show_list(is_json: bool) -> None:
    """What is out, newest first."""
    keys = with_parts(lambda _: _all_keys())
    if is_json:
        click.echo(_json({"embeds": keys, "total": len(keys), "next": None}))
        return
    for each in keys:
        scope = each.scope.type if each.scope.id is None else f"{each.scope.type}/{each.scope.id}"
        ends = expiry_in_words(each.expires_at, utc_now())
        click.echo(f"{each.id}\t{scope}\t{ends}\t{' '.join(each.parents) or '-'}\t{each.created_by}")


@embed.command("revoke")
@click.argument("id", type=click.UUID)
def revoke(id: UUID) -> None:
    """Nothing is shown under this key any more, from this second on."""
    with_parts(lambda _: revoke_key(id, SYSTEM))


async def _all_keys() -> list[EmbedView]:
    keys: list[EmbedView] = []
    cursor = None
    while True:
        page = await list_keys(cursor=cursor, limit=MAX_LIMIT)
        keys += page.items
        cursor = page.next
        if cursor is None:
            return keys


def _json(value: Any) -> str:
    from portal.web.answers import encode  # the web framework, which no other command needs

    return encode(value).decode()
