"""`portal rerender`: pictures rendered anew by the workers, from a terminal or a script."""

from __future__ import annotations

from typing import get_args

import click

from portal.audit.actors import SYSTEM
from portal.command import as_json, with_parts
from portal.entities.kinds import KINDS
from portal.gallery.rerender import Pictures, Which, start_rerender


@click.command()
@click.argument("which", type=click.Choice(get_args(Which)))
@click.option("--type", "entity_type", type=click.Choice(sorted(KINDS)), help="Only pictures of this type.")
@click.option("--id", "entity_id", help="Only of this one; with `selected` and --type.")
@click.option("--image", "ids", multiple=True, help="A picture's id; with `selected`. Repeatable.")
@click.option("--failed", help="Those that failed for this reason (an error's code); with `selected`.")
@click.option("--json", "is_json", is_flag=True)
def rerender(
    which: str, entity_type: str | None, entity_id: str | None, ids: tuple[str, ...], failed: str | None, is_json: bool
) -> None:
    """Make renditions again: all, missing (no whole current set) or selected. Workers do it; prints the job's id."""
    sent = {"which": which, "entity_type": entity_type, "entity_id": entity_id, "ids": list(ids), "failed": failed}
    job_id = with_parts(lambda _: start_rerender(Pictures.of(sent), actor=SYSTEM))
    click.echo(as_json({"id": str(job_id), "kind": "rerender", "state": "queued"}) if is_json else str(job_id))
