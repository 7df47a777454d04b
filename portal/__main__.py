"""The `portal` command: each sub-command parses its words and calls one verb. Results on stdout, all else on stderr."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import click

from portal.accounts import tokens, users
from portal.audit.actors import ROLES, SYSTEM
from portal.audit_commands import audit
from portal.backup_commands import backup
from portal.command import as_json, load_settings, with_parts
from portal.embed_commands import embed
from portal.errors import PortalError
from portal.folder_commands import export, import_
from portal.health_command import health
from portal.parts import Parts
from portal.repair_command import repair
from portal.rerender_command import rerender
from portal.text_commands import images

ROLE = click.Choice(ROLES)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="image-portal", prog_name="portal")
def main() -> None:
    """The image portal: pictures for inventory and invoice systems."""


@main.command()
@click.option("--host", help="Address to listen on (PORTAL_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (PORTAL_PORT).")
@click.option("--no-worker", is_flag=True, help="Only answer requests; a `portal worker` renders.")
def serve(host: str | None, port: int | None, no_worker: bool) -> None:
    """Migrate, then serve on PORTAL_HOST and PORTAL_PORT, with a worker inside."""
    from portal.server import run_server  # the web framework, which no other command needs

    settings = load_settings()
    try:
        run_server(settings, host=host, port=port, with_worker=not no_worker)
    except PortalError as error:
        raise click.ClickException(error.message) from error


@main.command()
def worker() -> None:
    """Only the worker: as many as wanted, on any machine."""
    from portal.server import run_worker

    with_parts(run_worker, with_children=True)


@main.command()
def migrate() -> None:
    """Bring the database up to date."""

    async def nothing_more(parts: Parts) -> None:
        return None  # opening the parts has migrated

    with_parts(nothing_more)
    click.echo("The database is up to date.", err=True)


@main.command()
def demo() -> None:
    """Fill an empty portal with a small shop."""
    from portal.demo import fill_demo

    async def run(parts: Parts) -> Any:
        return await fill_demo(parts.settings, parts.store, parts.pool, parts.links)

    report = with_parts(run, with_children=True)
    click.echo(f"The shop is open: {report.entities} entities with {report.images} pictures.")


@main.group()
def user() -> None:
    """People who sign in."""


@user.command("create")
@click.argument("email")
@click.option("--role", type=ROLE, required=True)
@click.option("--name", default="", help="How the portal calls this person.")
def user_create(email: str, role: str, name: str) -> None:
    """Invite somebody; prints the one-time link to set the password."""
    _print_password_link(lambda _: users.create_user(email, role, name, SYSTEM))


@user.command("reset")
@click.argument("email")
def user_reset(email: str) -> None:
    """Print a one-time link to set a new password; sessions end when it is used."""
    _print_password_link(lambda _: users.reset_password(email, SYSTEM))


def _print_password_link(make: Callable[[Parts], Coroutine[Any, Any, str]]) -> None:
    async def run(parts: Parts) -> str:
        return f"{parts.settings.base_url}/password/{await make(parts)}"

    click.echo(with_parts(run))


@user.command("list")
def user_list() -> None:
    for each in with_parts(lambda _: users.list_users()):
        state = "disabled" if each.disabled else "active"
        click.echo(f"{each.email}\t{each.role}\t{state}")


@user.command("disable")
@click.argument("email")
def user_disable(email: str) -> None:
    """No sign-in any more; open sessions end at once."""
    with_parts(lambda _: users.disable_user(email, SYSTEM))


@main.group()
def token() -> None:
    """Keys for scripts."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=ROLE, required=True)
@click.option("--expires", help="A date (2027-01-31) or a time with zone; without: never.")
def token_create(name: str, role: str, expires: str | None) -> None:
    """Print a new token, this once."""
    until = _moment(expires) if expires else None
    click.echo(with_parts(lambda _: tokens.create_token(name, role, until, SYSTEM)))


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("use a date such as 2027-01-31", param_hint="--expires") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@token.command("list")
def token_list() -> None:
    for each in with_parts(lambda _: tokens.list_tokens()):
        state = "revoked" if each.revoked_at else "active"
        click.echo(
            f"{each.id}\t{each.name}\t{each.prefix}…\t{each.role}\t{state}\t{each.expires_at or 'never expires'}"
        )


@token.command("revoke")
@click.argument("name_or_id")
def token_revoke(name_or_id: str) -> None:
    """Refuse a token, by its name or id, from the next request on."""

    async def run(parts: Parts) -> int:
        found = [each for each in await tokens.list_tokens() if name_or_id in (each.name, str(each.id), each.prefix)]
        for each in found:
            await tokens.revoke_token(each.id, SYSTEM)
        return len(found)

    if not with_parts(run):
        raise click.ClickException(f"There is no token {name_or_id}.")


@main.group()
def entities() -> None:
    """What owns pictures."""


@entities.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--strict", is_flag=True, help="All rows or none.")
def entities_import(file: Path, strict: bool) -> None:
    """Create or change entities from CSV or JSON lines; bad rows are named by line."""
    from portal.entities.imports import import_rows

    async def run(parts: Parts) -> Any:
        with file.open("rb") as stream:
            kind = "csv" if file.suffix.lower() == ".csv" else "jsonl"
            return await import_rows(stream, kind, SYSTEM, strict=strict)

    report = with_parts(run)
    for error in report.errors:
        click.echo(f"line {error.line}: {error.message}", err=True)
    click.echo(
        f"{report.created} created, {report.changed} changed, {report.unchanged} unchanged, {report.refused} refused"
    )
    if report.refused:
        sys.exit(1)


@main.command()
@click.option("--apply", "apply", is_flag=True, help="Remove what was found; without it nothing changes.")
@click.option("--json", "is_json", is_flag=True)
def cleanup(apply: bool, is_json: bool) -> None:
    """Report (and remove) objects that nobody owns, temporary files, trash past its days."""
    from portal.maintenance.cleanup import clean_up

    async def run(parts: Parts) -> Any:
        return await clean_up(settings=parts.settings, store=parts.store, actor=SYSTEM, dry_run=not apply)

    report = with_parts(run)
    if is_json:
        click.echo(as_json(dataclasses.asdict(report)))
        return
    for line in report.lines():
        click.echo(line)


@main.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")
def fsck(is_json: bool) -> None:
    """Check every promise about rows and bytes; exit 1 when one is broken, a line for each breach."""
    from portal.integrity.findings import Finding
    from portal.integrity.fsck import fsck as check
    from portal.integrity.strays import LEAST_AGE

    async def run(parts: Parts) -> int:
        count = 0
        grace = timedelta(minutes=parts.settings.grace_minutes)
        about = {"grace": grace, "temp_grace": max(grace, LEAST_AGE)}
        async for finding in check(store=parts.store, pool=parts.pool, **about):
            told = dataclasses.asdict(finding) | {"repair": finding.proposed}
            click.echo(as_json(told) if is_json else _line(finding))
            count += 1
        return count

    def _line(finding: Finding) -> str:
        return f"{finding.kind} {finding.key or '-'} {finding.image_id or '-'} {finding.detail}"

    count = with_parts(run, even_unmounted=True)
    if count:
        click.echo(f"{count} findings", err=True)
        sys.exit(1)
    click.echo("Sound: every row has its bytes, every object its row.", err=True)


main.add_command(audit)
main.add_command(backup)
main.add_command(embed)
main.add_command(export)
main.add_command(health)
main.add_command(images)
main.add_command(import_)
main.add_command(repair)
main.add_command(rerender)


if __name__ == "__main__":
    main()
