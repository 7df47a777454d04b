"""`portal audit`: verify the chain, seal and sign it, erase a person."""

from __future__ import annotations

import dataclasses
import sys

import click

from portal.audit.actors import SYSTEM
from portal.audit.verification import Breach, Verdict, verdict_as_json
from portal.command import as_json, with_parts
from portal.maintenance import audit_jobs
from portal.parts import Parts


@click.group()
def audit() -> None:
    """Who did what: the chain over it, and whose name leaves it."""


@audit.command("verify")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line, the verdict last.")
@click.option("--anchor", help="A seal's hash that was kept elsewhere: is it still part of the chain?")
def verify(is_json: bool, anchor: str | None) -> None:
    """Check every line against the chain; exit 1 when something was changed, is missing or was slipped in."""

    def tell(breach: Breach) -> None:
        click.echo(as_json(dataclasses.asdict(breach)) if is_json else _line(breach))

    async def run(parts: Parts) -> Verdict:
        return (await audit_jobs.verify(parts.settings, tell=tell, anchor=anchor))[0]

    verdict = with_parts(run)
    if is_json:
        click.echo(as_json(verdict_as_json(verdict, [])))
    click.echo(_said(verdict), err=True)
    if not verdict.is_whole:
        sys.exit(1)


def _line(breach: Breach) -> str:
    place = [
        f"{name} {number}" for name, number in (("seal", breach.seal), ("line", breach.line)) if number is not None
    ]
    return f"{breach.kind} {' '.join(place) or '-'}: {breach.detail}"


def _said(verdict: Verdict) -> str:
    waiting = f", {verdict.unsealed} not sealed yet" if verdict.unsealed else ""
    counts = f"{verdict.lines} lines in {verdict.seals - verdict.pruned} seals{waiting}"
    if not verdict.is_whole:
        return f"{verdict.breaches} breaches; {counts} are as they were sealed."
    return f"Whole: {counts}. Newest seal: {verdict.head or 'none'}"


@audit.command("seal")
def seal() -> None:
    """Seal what waits, without waiting for the worker; prints the newest seal's hash, to be kept elsewhere."""
    click.echo(with_parts(lambda parts: audit_jobs.seal(parts.settings, thorough=True)).head or "")


@audit.command("sign")
def sign() -> None:
    """Sign the newest seal anew, after all PORTAL_SECRET_KEYS were replaced at once. Verify against an anchor before."""
    signed = with_parts(lambda parts: audit_jobs.sign(parts.settings, SYSTEM))
    click.echo(f"Seal {signed.pk} is signed." if signed else "There is nothing to sign yet.")


@audit.command("erase")
@click.option(
    "--person",
    required=True,
    metavar="EMAIL",
    help="Whose name leaves the portal, and whose values the audit, for good.",
)
def erase(person: str) -> None:
    """Put a number for a person's name, here and on pictures and jobs, and blank each before and after that holds it."""
    erased = with_parts(lambda parts: audit_jobs.erase(parts.settings, person, SYSTEM))
    click.echo(erased.words)
