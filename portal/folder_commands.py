"""`portal export` and `portal import`: a plain folder of pictures, for another system or from one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.audit.actors import SYSTEM
from portal.command import as_json, progress_bar, with_parts
from portal.entities.kinds import KINDS, EntityRef, parse_ref
from portal.errors import NoSuchEntity
from portal.parts import Parts

if TYPE_CHECKING:
    from portal.backups.folders import FolderExport, FolderImport

FOLDER = click.Path(file_okay=False, path_type=Path)


def _ref(_: click.Context, __: click.Parameter, text: str | None) -> EntityRef | None:
    if text is None:
        return None
    try:
        return parse_ref(*(text.split("/", 1) if "/" in text else (text, "")))
    except NoSuchEntity as error:
        raise click.BadParameter(f"{error.message} Write it as inventory_items/MUG-1.") from error


@click.command("export")
@click.argument("folder", type=FOLDER)
@click.option("--type", "types", multiple=True, type=click.Choice(sorted(KINDS)), help="Only this type. Repeatable.")
@click.option("--entity", callback=_ref, help="Only this gallery: TYPE/ID.")
@click.option("--json", "is_json", is_flag=True)
def export(folder: Path, types: tuple[str, ...], entity: EntityRef | None, is_json: bool) -> None:
    """Copy originals, with what is said of them, into a new FOLDER that any other system understands.

    Exit 1 when an original was lost; it is named, and all others are there.
    """
    from portal.backups.folders import export_folder

    if types and entity:
        raise click.UsageError("Give --type or --entity, not both.")

    async def run(parts: Parts) -> FolderExport:
        with progress_bar("pictures") as report:
            return await export_folder(
                store=parts.store,
                folder=folder,
                entity_types=types or tuple(KINDS),
                entity=entity,
                actor=SYSTEM,
                report=report,
            )

    told = with_parts(run)
    if is_json:
        click.echo(as_json(told.as_result()))
    else:
        for lost in told.lost:
            click.echo(f"lost: {lost.path} ({lost.image_id}): {lost.reason}", err=True)
        click.echo(f"entities: {told.entities}; pictures: {told.pictures}, {told.bytes} bytes; in {folder}")
    if told.lost_in_all:
        sys.exit(1)


@click.command("import")
@click.argument("folder", type=FOLDER)
@click.option("--dry-run", is_flag=True, help="Verify every picture and tell what would be; nothing changes.")
@click.option("--json", "is_json", is_flag=True)
def import_(folder: Path, dry_run: bool, is_json: bool) -> None:
    """Take pictures in out of FOLDER: an export, folders TYPE/ID/PICTURES, or a CSV with path, entity_type and entity_id.

    May be run again: what is there already is left alone. Exit 1 when something was refused; it is named.
    """
    from portal.backups.folders import import_folder

    async def run(parts: Parts) -> FolderImport:
        with progress_bar("pictures") as report:
            return await import_folder(
                settings=parts.settings,
                store=parts.store,
                pool=parts.pool,
                folder=folder,
                dry_run=dry_run,
                actor=SYSTEM,
                report=report,
            )

    told = with_parts(run, with_children=True)
    if is_json:
        click.echo(as_json(told.as_result()))
    else:
        _say(told)
    if told.refused or told.entities.refused:
        sys.exit(1)


def _say(told: FolderImport) -> None:
    for error in told.entities.errors:
        click.echo(f"entities line {error.line}: {error.message}", err=True)
    for refusal in told.refusals:
        path = f" {refusal.path}" if refusal.path not in ("", refusal.where) else ""
        click.echo(f"{refusal.where}{path}: {refusal.reason}", err=True)
    if told.ignored:
        click.echo(f"columns that say nothing here: {', '.join(told.ignored)}", err=True)
    would = "would be " if told.dry_run else ""
    made, changed = told.entities.created + told.made, told.entities.changed
    click.echo(f"entities: {made} {would}created, {changed} {would}changed")
    click.echo(f"pictures: {told.added} {would}added, {told.there} there already, {told.refused} refused")
    if told.added and not told.dry_run:
        click.echo("Their thumbnails are made by the next worker: a running portal has one.", err=True)
