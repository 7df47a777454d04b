"""Whatever changes something leaves a line: by whom, to what, what was before and after, in which request; and no secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import click
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from portal import database
from portal.__main__ import main
from portal.accounts import tokens, users
from portal.audit.actors import SYSTEM
from portal.audit.service import record
from portal.gallery import text_pages
from portal.maintenance import audit_jobs, backup_page, backup_pages, finding_pages, storage_pages
from portal.maintenance.cleanup import clean_up
from tests import samples
from tests.web.deed_table import ACCOUNTS, DEEDS, HARMLESS
from tests.web.deeds import Deed, World, world_of
from tests.web.whole_app import working_app

SECRET_NAMES = re.compile(r"pass|secret|token|csrf|hash|cookie|signature", re.IGNORECASE)


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def world(app: Litestar, db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(text_pages, "PATIENCE", 0.0)
    for pages in (backup_page, backup_pages, finding_pages, storage_pages):
        monkeypatch.setattr(pages, "PATIENCE", 0.0)  # no worker ends the jobs that are started
    return await world_of(app)


def changing_routes(app: Litestar) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in set(handler.http_methods) - {"GET", "HEAD", "OPTIONS"}
    }


def test_every_route_that_changes_something_is_walked(app: Litestar) -> None:
    assert changing_routes(app) == {*ACCOUNTS, *DEEDS, *HARMLESS}


async def new_lines(since: int) -> list[Mapping[str, Any]]:
    return await database.fetch(
        """SELECT audit.*, change.before, change.after FROM audit LEFT JOIN audit_change AS change ON change.audit = audit.pk
           WHERE audit.pk > $1 ORDER BY audit.pk""",
        since,
    )


def wrong_with(line: Mapping[str, Any]) -> list[str]:
    before, after = (json.loads(line[name] or "{}") for name in ("before", "after"))
    wrong = [f"{name} stayed as it was" for name in before if name in after and before[name] == after[name]]
    wrong += [f"{name} may be a secret" for name in [*before, *after] if SECRET_NAMES.search(name)]
    return wrong + [f"no {name}" for name in ("actor", "action", "subject_type", "subject_id") if not line[name]]


async def newest() -> int:
    return await database.fetch_value("SELECT coalesce(max(pk), 0) FROM audit")


async def what_lacks(world: World, deed: Deed, action: str, actors: set[str]) -> list[str]:
    """What is wrong with the lines of this deed."""
    for table in ("pgqueuer", "job", "job_pause", "preset_change"):  # or the next finds it under way
        await database.execute(f"DELETE FROM {table}")
    since = await newest()
    answer = await deed(world)
    if answer.status_code >= 400:
        return [f"{answer.status_code}: {re.findall('<p>.*', answer.text) or answer.text}"]
    lines = [line for line in await new_lines(since) if line["request_id"] == answer.headers["x-request-id"]]
    wrong = [said for line in lines for said in wrong_with(line)]
    by = {line["actor"] for line in lines if line["action"] == action}
    return wrong if by and by <= actors else [*wrong, f"{action} by {by or 'nobody'}"]


async def secrets_in_the_audit(world: World) -> list[str]:
    everything = str([tuple(line.values()) for line in await new_lines(0)])
    return [secret for secret in world.said if secret in everything]


async def test_whatever_a_request_changes_leaves_its_line_and_no_secret(world: World) -> None:
    wrong: dict[str, list[str]] = {}
    for route, (deed, action) in DEEDS.items():
        if found := await what_lacks(world, deed, action, {"token:admin", "user:bo@example.com"}):
            wrong[" ".join(route)] = found
    assert wrong == {}
    assert await secrets_in_the_audit(world) == []


@pytest.mark.parametrize("route", ACCOUNTS, ids=" ".join)
async def test_whatever_people_do_with_their_accounts_leaves_its_line_and_no_secret(
    world: World, route: tuple[str, str]
) -> None:
    deed, action = ACCOUNTS[route]
    people = {"user:bo@example.com", "user:new@example.com", "system"}
    assert await what_lacks(world, deed, action, people) == []
    assert await secrets_in_the_audit(world) == []


Verb = Callable[[World], Awaitable[Any]]


async def make_token(w: World) -> None:
    w.said.append(await tokens.create_token("nightly", "editor", None, SYSTEM))


async def revoke_token(w: World) -> None:
    await make_token(w)
    await tokens.revoke_token((await tokens.list_tokens())[0].id, SYSTEM)


async def cleanup(w: World) -> None:
    parts = w.app.state.parts
    await parts.store.put("inventory_items/ab/nobodys-v1.jpg", samples.jpeg())
    os.utime(parts.store.path_of("inventory_items/ab/nobodys-v1.jpg"), (0, 0))  # long past the grace
    await clean_up(settings=parts.settings, store=parts.store, actor=SYSTEM, dry_run=False)


async def erase(w: World) -> None:
    await audit_jobs.erase(w.app.state.settings, "bo@example.com", SYSTEM)


async def sign(w: World) -> None:
    await audit_jobs.seal(w.app.state.settings)
    await audit_jobs.sign(w.app.state.settings, SYSTEM)


# By its words: the verb that a command calls, and the action of its line. None: walked above by its route's twin.
COMMANDS: Final[Mapping[str, tuple[Verb, str] | None]] = {
    "user create": (lambda w: users.create_user("eva@example.com", "viewer", "Ana", SYSTEM), "user.add"),
    "user reset": (lambda w: users.reset_password("bo@example.com", SYSTEM), "user.reset"),
    "user disable": (lambda w: _disable(), "user.disable"),
    "token create": (make_token, "token.add"),
    "token revoke": (revoke_token, "token.revoke"),
    "entities import": None,
    "embed create": None,
    "embed revoke": None,
    "cleanup": (cleanup, "maintenance.cleanup"),
    "repair": None,
    "rerender": None,
    "demo": None,
    "import": None,
    "images import": None,
    "backup create": None,
    "backup verify": None,
    "backup restore": None,
    "backup prune": None,
    "backup remove": None,
    "backup drill": None,
    "backup import": None,
    "audit erase": (erase, "audit.erase"),
    "audit sign": (sign, "audit.sign"),
}
# They read, or keep the portal itself going: nothing that somebody owns changes.
READING: Final = {"serve", "worker", "migrate", "user list", "token list", "embed list", "fsck", "health"} | {
    "audit verify",
    "audit seal",
    "export",
    "images export",
    "backup list",
    "backup find",
    "backup export",
}


async def _disable() -> None:
    await users.create_user("eve@example.com", "viewer", "Eve", SYSTEM)
    await users.disable_user("eve@example.com", SYSTEM)


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        words = f"{before} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield words


def test_every_command_is_known_as_one_that_changes_something_or_one_that_does_not() -> None:
    assert set(commands(main)) == {*COMMANDS, *READING}


async def test_whatever_a_command_changes_leaves_its_line_and_no_secret(world: World) -> None:
    wrong: dict[str, list[str]] = {}
    for words, deed in COMMANDS.items():
        if deed is None:
            continue
        verb, action = deed
        since = await newest()
        await verb(world)
        lines = await new_lines(since)
        found = [said for line in lines for said in wrong_with(line)]
        if found or (SYSTEM.name, action) not in {(line["actor"], line["action"]) for line in lines}:
            wrong[words] = [*found, action]
    assert wrong == {}
    assert await secrets_in_the_audit(world) == []


async def test_a_role_that_changes_says_from_what_to_what(world: World) -> None:
    await users.create_user("ana@example.com", "viewer", "Ana", SYSTEM)
    since = await newest()
    await users.change_role("ana@example.com", "editor", SYSTEM)
    (line,) = await new_lines(since)
    assert (line["action"], json.loads(line["before"]), json.loads(line["after"])) == (
        "user.change_role",
        {"role": "viewer"},
        {"role": "editor"},
    )


async def test_what_did_not_change_is_not_kept_beside_what_did(db: None) -> None:
    async with database.transaction():
        before = {"alt_text": None, "caption": "Mug", "tags": []}
        await record(SYSTEM, "image.describe", "image", "1", before=before, after={**before, "alt_text": "A mug"})
    (line,) = await new_lines(0)
    assert (json.loads(line["before"]), json.loads(line["after"])) == ({"alt_text": None}, {"alt_text": "A mug"})
