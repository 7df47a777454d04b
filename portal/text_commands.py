"""`portal images`: alt texts, captions and tags of many pictures as CSV, out and in."""

from __future__ import annotations

import contextlib
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.audit.actors import SYSTEM
from portal.command import as_json, progress_bar, with_parts
from portal.entities.kinds import KINDS
from portal.parts import Parts

if TYPE_CHECKING:
    from portal.gallery.texts import TextReport


@click.group()
def images() -> None:
    """What is said of pictures."""


@images.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), default="-")
@click.option("--type", "entity_type", type=click.Choice(sorted(KINDS)), help="Only pictures of this type.")
@click.option("--id", "entity_id", default="", help="Only of this one; with --type.")
@click.option("--missing", type=click.Choice(["alt"]), help="Only those that want an alt text.")
def images_export(file: Path, entity_type: str | None, entity_id: str, missing: str | None) -> None:
    """Write texts as CSV to FILE (or stdout), as `import` takes them."""
    from portal.gallery.text_files import COLUMNS
    from portal.gallery.texts import Wanted, texts_of

    async def run(_: Parts) -> int:
        lines = 0
        with contextlib.ExitStack() as stack:
            opened = sys.stdout if str(file) == "-" else file.open("w", encoding="utf-8-sig", newline="")
            to = opened if opened is sys.stdout else stack.enter_context(opened)
            writer = csv.writer(to)
            writer.writerow(COLUMNS)
            async for line in texts_of(Wanted(entity_type or "", entity_id, missing == "alt")):
                writer.writerow(line)
                lines += 1
        return lines

    click.echo(f"{with_parts(run)} pictures", err=True)


@images.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Tell what would change; nothing does.")
@click.option("--json", "is_json", is_flag=True)
def images_import(file: Path, dry_run: bool, is_json: bool) -> None:
    """Lay the texts of FILE over those of its pictures. Bad lines are named; exit 1 when there are any."""
    from portal.gallery.texts import import_texts

    async def run(_: Parts) -> TextReport:
        with file.open("rb") as stream, progress_bar("lines") as report:
            return await import_texts(stream, actor=SYSTEM, dry_run=dry_run, report=report)

    told = with_parts(run)
    for error in told.errors:
        click.echo(f"line {error.line}: {error.message}", err=True)
    if is_json:
        click.echo(as_json({name: getattr(told, name) for name in ("lines", "changed", "unchanged", "refused")}))
    else:
        click.echo(
            f"{told.changed} {'would change' if dry_run else 'changed'}, {told.unchanged} unchanged, {told.refused} refused"
        )
    if told.refused:
        sys.exit(1)
