"""`portal backup`: made, listed, verified, restored, pruned, drilled, taken out and brought in; beside a server and without one.

An ID may be `latest`: the newest complete one of all types.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from portal.audit.actors import SYSTEM
from portal.backup_files import pieces_of, write_pieces
from portal.backups.destination import Destination, destination_of
from portal.backups.listing import BackupView, list_backups, newest_of_all
from portal.command import as_json, progress_bar, with_parts
from portal.entities.kinds import parse_ref
from portal.errors import NoSuchEntity
from portal.parts import Parts
from portal.settings import ENTITY_TYPES

T = TypeVar("T")
LATEST = "latest"
TYPES = click.option(
    "--type", "types", multiple=True, type=click.Choice(ENTITY_TYPES), help="Only this type. Repeatable."
)
JSON = click.option("--json", "is_json", is_flag=True, help="One JSON object.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Tell what would be; nothing changes.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def backup() -> None:
    """Backups that prove themselves. An ID may be `latest`."""


def _at_place(work: Callable[[Parts, Destination], Coroutine[Any, Any, T]], *, with_children: bool = False) -> T:
    async def run(parts: Parts) -> T:
        return await work(parts, destination_of(parts.settings))

    return with_parts(run, with_children=with_children)


async def _id(place: Destination, text: str) -> str:
    return (await newest_of_all(place)).id if text == LATEST else text


def _say(told: dict[str, Any], lines: list[str], is_json: bool) -> None:
    for line in [as_json(told)] if is_json else lines:
        click.echo(line)


def _ask(words: str, yes: bool) -> None:
    """Raises Abort, or UsageError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{words} Say so with --yes.")
    click.confirm(f"{words} Go on?", abort=True, err=True)


@backup.command("create")
@TYPES
@JSON
def create(types: tuple[str, ...], is_json: bool) -> None:
    """Back up everything as it is now, or one type; what an earlier backup holds is not copied again."""
    from portal.backups.create import create_backup, told_of

    async def run(parts: Parts, _: Destination) -> dict[str, Any]:
        about = {"settings": parts.settings, "store": parts.store, "actor": SYSTEM}
        with progress_bar("objects") as report:
            return told_of(await create_backup(**about, entity_types=types or ENTITY_TYPES, report=report))

    told = _at_place(run)
    lost = [f"{told['lost']} objects were lost before: `portal repair` looks for them."] if told["lost"] else []
    counts = f"{told['images']} pictures in {told['objects']} objects, {told['bytes']} bytes"
    copied = f"{told['copied_objects']} objects copied, {told['copied_bytes']} bytes"
    _say(told, [told["id"], f"{counts}; {copied}", *lost], is_json)


@backup.command("list")
@JSON
def list_(is_json: bool) -> None:
    """What lies in the place for backups, newest first."""

    async def run(_: Parts, place: Destination) -> list[BackupView]:
        return await list_backups(place)

    found = _at_place(run)
    _say({"backups": [asdict(each) for each in found]}, [_line(each) for each in found], is_json)


def _line(each: BackupView) -> str:
    verified = "not verified"
    if each.verified_at is not None:
        said = f"{each.wrong} wrong" if each.wrong else "sound"
        verified = f"{said} at {each.verified_at:%Y-%m-%d %H:%M}{', quickly' if each.verified_quick else ''}"
    if not each.complete:
        return f"{each.id}\t{each.state}\t{each.message}"
    types = "all" if set(each.entity_types) == set(ENTITY_TYPES) else ",".join(each.entity_types)
    return f"{each.id}\t{each.state}\t{types}\t{each.images} pictures\t{each.bytes} bytes\t{each.reason}\t{verified}"


@backup.command("verify")
@click.argument("backup_id", metavar="ID")
@click.option("--quick", is_flag=True, help="Manifests, and of objects presence and size.")
@JSON
def verify(backup_id: str, quick: bool, is_json: bool) -> None:
    """Read every byte of a backup; exit 1 when something is wrong, a line for each member."""
    from portal.backups.verify import Verification, verify_backup

    async def run(_: Parts, place: Destination) -> Verification:
        with progress_bar("objects") as report:
            return await verify_backup(
                destination=place, backup_id=await _id(place, backup_id), quick=quick, report=report
            )

    told = _at_place(run)
    _say(asdict(told), [f"{each.name}: {each.detail}" for each in told.wrong], is_json)
    if not told.is_sound:
        more = f", {told.more} of them not shown" if told.more else ""
        click.echo(f"{len(told.wrong) + told.more} wrong in {told.backup_id}{more}", err=True)
        sys.exit(1)
    lost = f"; {told.lost} were lost before it was made" if told.lost else ""
    how = "present, of their size" if quick else f"{told.bytes} bytes read"
    click.echo(f"Sound: {told.backup_id}, {told.files} files and {told.objects} objects, {how}{lost}.", err=True)


@backup.command("find")
@click.argument("backup_id", metavar="ID")
@click.argument("words", metavar="WORD...", nargs=-1, required=True)
@JSON
def find(backup_id: str, words: tuple[str, ...], is_json: bool) -> None:
    """Look for galleries and pictures in a backup: by name, id, number or file name. Exit 1 when there is nothing."""
    from portal.backups.contents import Contents, Hit, find_in_backup

    async def run(_: Parts, place: Destination) -> Contents:
        return await find_in_backup(place, await _id(place, backup_id), " ".join(words))

    def line(hit: Hit) -> str:
        option = f"--image {hit.image_id}" if hit.image_id else f"--entity {hit.entity}"
        here = {"yes": "is here", "trash": "is in the trash", "no": "is not here"}[hit.here]
        of = f"of {hit.entity}" if hit.image_id else "" if hit.pictures is None else f"{hit.pictures} pictures"
        return "\t".join([option, hit.name, hit.detail or "", of, here])

    told = _at_place(run)
    _say(asdict(told), [line(each) for each in told.hits], is_json)
    if told.has_more:
        click.echo(f"These are the first {len(told.hits)}; more words find fewer.", err=True)
    if not told.is_whole:
        click.echo("The backup is too large to be looked through in time: there may be more.", err=True)
    if not told.hits:
        click.echo("Nothing in it has these words.", err=True)
        sys.exit(1)


@backup.command("restore")
@click.argument("backup_id", metavar="ID")
@DRY_RUN
@YES
@TYPES
@click.option("--entity", metavar="T/ID", help="Only this entity and its pictures.")
@click.option("--image", type=click.UUID, help="Only this picture.")
@click.option(
    "--on-conflict", type=click.Choice(["skip", "replace"]), default="skip", help="What is there and differs."
)
@JSON
def restore(
    backup_id: str,
    dry_run: bool,
    yes: bool,
    types: tuple[str, ...],
    entity: str | None,
    image: UUID | None,
    on_conflict: str,
    is_json: bool,
) -> None:
    """Bring back what a backup holds, or a part of it, all or nothing; a backup of what is there now is made first."""
    from portal.backups.plan import Plan
    from portal.backups.restore import restore_backup

    selection = _selection(types, entity, image)
    if not dry_run:
        there = "becomes what the backup says" if on_conflict == "replace" else "stays as it is"
        _ask(f"This restores {backup_id} into the live portal; what is there and differs {there}.", yes)

    async def run(parts: Parts, place: Destination) -> Plan:
        about = {"settings": parts.settings, "store": parts.store, "destination": place, "actor": SYSTEM}
        how = {"selection": selection, "on_conflict": on_conflict, "dry_run": dry_run}
        with progress_bar("steps") as report:
            return await restore_backup(**about, **how, backup_id=await _id(place, backup_id), report=report)

    told = _at_place(run)
    _say(told.as_result(), told.lines(), is_json)


def _selection(types: tuple[str, ...], entity: str | None, image: UUID | None) -> Any:
    from portal.backups.selection import Selection

    if sum(map(bool, (types, entity, image))) > 1:
        raise click.UsageError("Give one of --type, --entity and --image.")
    try:
        ref = parse_ref(*entity.partition("/")[::2]) if entity else None
    except NoSuchEntity as error:
        raise click.UsageError(f"--entity: {error.message} Write it as inventory_items/MUG-1.") from error
    return Selection(types or None, ref, image)


@backup.command("prune")
@DRY_RUN
@JSON
def prune(dry_run: bool, is_json: bool) -> None:
    """Remove the backups that PORTAL_BACKUP_KEEP does not keep, and the objects that none of the others needs."""
    from portal.backups.retention import PruneReport, prune_backups

    async def run(parts: Parts, place: Destination) -> PruneReport:
        about = {"keep": parts.settings.backup_keep, "zone": parts.settings.timezone, "actor": SYSTEM}
        with progress_bar("parts") as report:
            return await prune_backups(**about, destination=place, dry_run=dry_run, report=report)

    told = _at_place(run)
    _say(told.as_result(), told.lines(), is_json)
    if told.blocked:
        sys.exit(1)


@backup.command("remove")
@click.argument("backup_id", metavar="ID")
@YES
def remove(backup_id: str, yes: bool) -> None:
    """Remove one backup; the next pruning frees its objects."""
    from portal.backups.retention import remove_backup

    _ask(f"This removes the backup {backup_id} for good.", yes)

    async def run(_: Parts, place: Destination) -> str:
        found = await _id(place, backup_id)
        await remove_backup(destination=place, backup_id=found, actor=SYSTEM)
        return found

    click.echo(f"{_at_place(run)} is removed.")


@backup.command("drill")
@click.argument("backup_id", metavar="[ID]", required=False)
@JSON
def drill(backup_id: str | None, is_json: bool) -> None:
    """Restore a backup into scratch, check and count everything there, and drop it; exit 1 when it is not proven."""
    from portal.backups.drill import DrillReport
    from portal.backups.drill import drill as prove

    async def run(parts: Parts, place: Destination) -> DrillReport:
        about = {"settings": parts.settings, "pool": parts.pool, "destination": place, "actor": SYSTEM}
        with progress_bar("pictures") as report:
            return await prove(**about, backup_id=await _id(place, backup_id or LATEST), report=report)

    told = _at_place(run, with_children=True)
    said = f"Proven: {told.backup_id}, {told.entities} entities with {told.pictures} pictures, in {told.seconds:.0f} s."
    _say(told.as_result(), [said], is_json)


@backup.command("export")
@click.argument("backup_id", metavar="ID")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
def export(backup_id: str, file: Path) -> None:
    """Write a backup as one tar to FILE, or to stdout for `-`; what is damaged breaks it off."""
    from portal.backups.archive import archive_of, archive_size

    async def run(_: Parts, place: Destination) -> tuple[str, int]:
        found = await _id(place, backup_id)
        size = await archive_size(place, found)
        with progress_bar("bytes") as report:
            await write_pieces(file, archive_of(place, found), size, report)
        return found, size

    found, size = _at_place(run)
    click.echo(f"{found}: {size} bytes in {file}", err=True)


@backup.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@JSON
def import_(file: Path, is_json: bool) -> None:
    """Bring in a backup that `export` has written, of any portal, from FILE or stdin for `-`; restore it then."""
    from portal.backups.arrival import take_archive

    async def run(_: Parts, place: Destination) -> BackupView:
        from portal.backups.listing import get_backup

        with progress_bar("bytes") as report:
            root = await take_archive(place, pieces_of(file, report), actor=SYSTEM)
        return await get_backup(place, root.id)

    told = _at_place(run)
    _say(asdict(told), [told.id], is_json)
