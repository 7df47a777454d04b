"""Requests that change something about backups, with a backup for it to change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.archive import archive_of
from portal.backups.kinds import BACKUP_PRUNE
from portal.backups.listing import list_backups
from portal.jobs.progress import start_job
from tests.backing_up import forge, opened, some_bytes
from tests.web.deeds import Deed, World, call, form

ALL: Final = "/api/images/backups"
PAGES: Final = "/maintenance/backups"


async def a_backup(w: World, *, more: int = 0) -> str:
    """Of so many beside those that lie there."""
    folder = w.app.state.settings.backup_dir
    await opened(folder)
    return [forge(folder, some_bytes(each, 2)).id for each in range(more + 1)][-1]


def of_one(method: str, path: str, body: Any = None, *, more: int = 0) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.script.request(method, path.format(id=await a_backup(w, more=more)), json=body)

    return deed


def form_of_one(path: str, *, more: int = 0, **fields: str) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.form(path.format(id=await a_backup(w, more=more)), **fields)

    return deed


async def restore(w: World) -> httpx.Response:
    return await w.script.post("/api/images/restore", json={"backup_id": await a_backup(w), "dry_run": True})


async def drill_form(w: World) -> httpx.Response:
    return await w.form(f"{PAGES}/drill", backup_id=await a_backup(w))


async def taken_out(w: World) -> bytes:
    """The archive of a backup that is here no more."""
    folder = w.app.state.settings.backup_dir
    destination = await opened(folder)
    backup_id = await a_backup(w)
    data = b"".join([piece async for piece in archive_of(destination, backup_id)])
    await destination.delete(
        [entry.key async for entries in destination.listed(f"backups/{backup_id}") for entry in entries]
    )
    assert backup_id not in [each.id for each in await list_backups(destination)]
    return data


async def bring_in(w: World) -> httpx.Response:
    return await w.script.post(f"{ALL}/archive", content=await taken_out(w))


async def bring_in_form(w: World) -> httpx.Response:
    data = {"csrf_token": w.csrf}
    return await w.person.post(f"{PAGES}/upload", data=data, files={"file": ("a.tar", await taken_out(w))})


async def dry_run(w: World, kind: str = BACKUP_PRUNE, arguments: Mapping[str, Any] | None = None) -> str:
    """A job that has ended."""
    made = await start_job(kind, {"dry_run": True, **(arguments or {})}, actor=SYSTEM)
    result = json.dumps({"dry_run": True, "rules": {}, "removed": 1})
    await database.execute("DELETE FROM pgqueuer")
    await database.execute("UPDATE job SET state = 'succeeded', result = $2::jsonb WHERE id = $1", made, result)
    return str(made)


async def apply(w: World) -> httpx.Response:
    return await w.form(f"{PAGES}/runs/{await dry_run(w)}/apply")


BACKUP_DEEDS: Final[Mapping[tuple[str, str], tuple[Deed, str]]] = {
    ("POST", "/api/images/backup"): (call("POST", "/api/images/backup"), "job.start"),
    ("POST", f"{ALL}/prune"): (call("POST", f"{ALL}/prune"), "job.start"),
    ("POST", f"{ALL}/{{id:str}}/verify"): (of_one("POST", f"{ALL}/{{id}}/verify", {"quick": True}), "job.start"),
    ("POST", f"{ALL}/{{id:str}}/drill"): (of_one("POST", f"{ALL}/{{id}}/drill"), "job.start"),
    ("DELETE", f"{ALL}/{{id:str}}"): (of_one("DELETE", f"{ALL}/{{id}}", more=1), "backup.remove"),
    ("POST", f"{ALL}/archive"): (bring_in, "backup.bring_in"),
    ("POST", "/api/images/restore"): (restore, "job.start"),
    ("POST", PAGES): (form(PAGES), "job.start"),
    ("POST", f"{PAGES}/drill"): (drill_form, "job.start"),
    ("POST", f"{PAGES}/prune"): (form(f"{PAGES}/prune"), "job.start"),
    ("POST", f"{PAGES}/upload"): (bring_in_form, "backup.bring_in"),
    ("POST", f"{PAGES}/{{id:str}}/verify"): (form_of_one(f"{PAGES}/{{id}}/verify", how="quick"), "job.start"),
    ("POST", f"{PAGES}/{{id:str}}/plan"): (form_of_one(f"{PAGES}/{{id}}/plan", what="all"), "job.start"),
    ("POST", f"{PAGES}/{{id:str}}/delete"): (form_of_one(f"{PAGES}/{{id}}/delete", more=1), "backup.remove"),
    ("POST", f"{PAGES}/runs/{{id:str}}/apply"): (apply, "job.start"),
}
