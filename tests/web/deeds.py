"""Every request that changes something, with something for it to change; what a portal needs so that it succeeds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from litestar import Litestar

from portal import database
from portal.accounts import users
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key
from portal.entities.kinds import EntityRef
from portal.gallery import disposal, pins
from portal.gallery.versions import versions_of
from portal.integrity.findings import Finding, record_finding
from portal.jobs.pauses import pause
from portal.jobs.progress import start_job
from portal.maintenance.preset_changes import change_preset
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.small_portal import PASSWORD, csrf_of, sign_in
from tests.web.whole_app import caller

OTHER_PASSWORD: Final = "eleven herons whisper"
JPEG: Final = {"files": {"file": ("a.jpg", samples.jpeg(70, 50))}}


@dataclass
class World:
    """`script` is an admin's token, `person` an admin at a browser. `said` collects secrets that no line may hold."""

    app: Litestar
    script: httpx.AsyncClient
    person: httpx.AsyncClient
    visitor: httpx.AsyncClient
    csrf: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def studio(self) -> Studio:
        return Studio(self.app.state.parts.store, self.app.state.parts.pool)

    async def picture(self, *, trashed: bool = False, count: int = 1) -> UUID:
        """The last of a gallery of so many."""
        ref = await make_entity()
        made = [await self.studio.add(ref, ready=False) for _ in range(count)]
        if trashed:
            await disposal.trash_image(made[-1], actor=SYSTEM, deletes_per_hour=0)
        return made[-1]

    async def invoice(self, *, pinned: bool = False) -> EntityRef:
        ref = await make_entity("invoices", f"A-{uuid4().hex[:8]}")
        await self.studio.add(ref)
        if pinned:
            await pins.pin_invoice(ref, actor=SYSTEM)
        return ref

    async def key(self) -> UUID:
        options: dict[str, Any] = {"presets": None, "parents": ["https://shop.example.com"], "expires_at": None}
        made, key = await issue_key(Scope("customers"), **options, captions=True, private_types=(), actor=SYSTEM)
        self.said.append(key)
        return made

    async def job(self, state: str = "queued") -> UUID:
        made = await start_job("recheck", {}, actor=SYSTEM)
        await database.execute("UPDATE job SET state = $2 WHERE id = $1", made, state)
        return made

    async def form(self, path: str, **fields: str) -> httpx.Response:
        return await self.person.post(path, data={"csrf_token": self.csrf} | fields, headers={"accept": "text/html"})


async def world_of(app: Litestar) -> World:
    await users.set_password_by_link(await users.create_user("bo@example.com", "admin", "Bo Lind", SYSTEM), PASSWORD)
    clients = [
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")  # type: ignore[arg-type]
        for _ in range(2)
    ]
    world = World(app, await caller(app, "admin"), *clients, said=[PASSWORD, OTHER_PASSWORD])
    world.said.append(world.script.headers["authorization"].partition(" ")[2])
    await sign_in(world.person, "bo@example.com")
    world.csrf = await csrf_of(world.person)
    world.said += [world.csrf, *world.person.cookies.values()]
    return world


Answer = Awaitable[httpx.Response]
Deed = Callable[[World], Answer]


async def log_in(w: World) -> httpx.Response:
    return await sign_in(w.visitor, "bo@example.com")


async def set_up(w: World) -> httpx.Response:
    from portal.accounts.setup import setup_link

    await database.execute("DELETE FROM portal_state WHERE name = 'set_up'")
    link = await setup_link(w.app.state.settings)
    token = str(link).partition("token=")[2]
    w.said.append(token)
    fields = {"token": token, "email": "first@example.com", "name": "First", "password": OTHER_PASSWORD}
    return await w.visitor.post("/setup", data=fields)


async def set_password(w: World) -> httpx.Response:
    token = await users.create_user("new@example.com", "viewer", "New", SYSTEM)
    w.said.append(token)
    return await w.visitor.post(f"/password/{token}", data={"password": OTHER_PASSWORD})


async def end_session(w: World) -> httpx.Response:
    await sign_in(w.visitor, "bo@example.com")
    other = await database.fetch_value("SELECT id FROM session ORDER BY created_at DESC LIMIT 1")
    return await w.form(f"/account/sessions/{other}/end")


async def change_password(w: World) -> httpx.Response:
    return await w.form("/account/password", current=PASSWORD, password=OTHER_PASSWORD)


def image_form(path: str, *, trashed: bool = False, count: int = 1, **fields: str) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.form(path.format(id=await w.picture(trashed=trashed, count=count)), **fields)

    return deed


def image_call(method: str, path: str, body: Any = None, *, trashed: bool = False) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.script.request(method, path.format(id=await w.picture(trashed=trashed)), json=body)

    return deed


async def failed_picture(w: World) -> UUID:
    image = await w.picture()
    await database.execute("""UPDATE image SET status = 'failed', error = '{"code": "failed"}' WHERE id = $1""", image)
    return image


async def retry(w: World) -> httpx.Response:
    return await w.form(f"/images/{await failed_picture(w)}/retry")


async def retry_picture(w: World) -> httpx.Response:
    return await w.form(f"/maintenance/jobs/pictures/{await failed_picture(w)}/retry")


async def retry_alike(w: World) -> httpx.Response:
    await failed_picture(w)
    return await w.form("/maintenance/jobs/retry-alike", code="failed")


async def reorder(w: World) -> tuple[str, list[str]]:
    image = await w.picture(count=2)
    ref = await database.fetch_row(
        "SELECT type, e.id, e.pk FROM image JOIN entity e ON e.pk = entity WHERE image.id = $1", image
    )
    assert ref is not None
    rows = await database.fetch("SELECT id FROM image WHERE entity = $1 ORDER BY sort_order DESC", ref["pk"])
    return f"{ref['type']}/{ref['id']}", [str(row["id"]) for row in rows]


async def place_form(w: World) -> httpx.Response:
    ref, (last, first) = await reorder(w)
    data = {"csrf_token": w.csrf, "image": last, "before": first}
    return await w.person.post(f"/entities/{ref}/place", data=data)


async def reorder_call(w: World) -> httpx.Response:
    ref, ids = await reorder(w)
    return await w.script.put(f"/api/images/entity/{ref}/order", json={"ids": ids})


async def upload_form(w: World) -> httpx.Response:
    ref = await make_entity()
    return await w.person.post(f"/entities/{ref}/images", data={"csrf_token": w.csrf}, files=JPEG["files"])


async def upload(w: World) -> httpx.Response:
    ref = await make_entity()
    return await w.script.post("/api/images/upload", data={"entity_type": ref.type, "entity_id": ref.id}, **JPEG)


async def upload_many(w: World) -> httpx.Response:
    ref = await make_entity()
    data = {"entity_type": ref.type, "entity_id": ref.id}
    return await w.script.post("/api/images/upload/multiple", data=data, files={"files": JPEG["files"]["file"]})


async def replace_form(w: World) -> httpx.Response:
    path = f"/images/{await w.picture()}/file"
    return await w.person.post(path, data={"csrf_token": w.csrf}, files=JPEG["files"])


async def replace(w: World) -> httpx.Response:
    return await w.script.put(f"/api/images/{await w.picture()}/file", files=JPEG["files"])


async def two_versions(w: World) -> UUID:
    image = await w.picture()
    await w.studio.replace(image, ready=False)
    assert (await versions_of(image, links=w.app.state.parts.links)).items
    return image


async def restore_version_form(w: World) -> httpx.Response:
    return await w.form(f"/images/{await two_versions(w)}/versions/1/restore")


async def restore_version(w: World) -> httpx.Response:
    return await w.script.post(f"/api/images/{await two_versions(w)}/versions/1/restore")


async def pin(w: World) -> httpx.Response:
    return await w.form(f"/entities/{await w.invoice()}/pin")


async def unpin(w: World) -> httpx.Response:
    return await w.form(f"/entities/{await w.invoice(pinned=True)}/unpin")


async def pin_call(w: World) -> httpx.Response:
    return await w.script.post(f"/api/entities/{await w.invoice()}/pin")


async def unpin_call(w: World) -> httpx.Response:
    return await w.script.delete(f"/api/entities/{await w.invoice(pinned=True)}/pin")


async def delete_entity_form(w: World) -> httpx.Response:
    ref = await make_entity()
    return await w.form(f"/entities/{ref}/delete", confirm=ref.id)


async def delete_entity(w: World) -> httpx.Response:
    return await w.script.delete(f"/api/entities/{await make_entity()}")


async def import_entities(w: World) -> httpx.Response:
    rows = b'{"type": "customers", "id": "C-3", "name": "Ana"}\n'
    return await w.script.post("/api/entities/import", files={"file": ("rows.jsonl", rows)})


async def make_key_form(w: World) -> httpx.Response:
    fields = {
        "scope": "type",
        "type": "customers",
        "sites": "https://shop.example.com",
        "sizes": "card",
        "ends": "never",
    }
    return await w.form("/settings/embeds", **fields)


async def make_key(w: World) -> httpx.Response:
    body = {"scope": {"type": "customers"}, "parents": ["https://shop.example.com"]}
    answer = await w.script.post("/api/embeds", json=body)
    w.said.append(answer.json()["key"])
    return answer


async def revoke_form(w: World) -> httpx.Response:
    return await w.form(f"/settings/embeds/{await w.key()}/revoke")


async def revoke(w: World) -> httpx.Response:
    return await w.script.delete(f"/api/embeds/{await w.key()}")


def after_a_pause(deed: Deed) -> Deed:
    async def paused(w: World) -> httpx.Response:
        await pause("render", ["render"], actor=SYSTEM)
        return await deed(w)

    return paused


def job_form(path: str, state: str) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.form(path.format(id=await w.job(state)))

    return deed


def job_call(path: str, state: str) -> Deed:
    async def deed(w: World) -> httpx.Response:
        return await w.script.post(path.format(id=await w.job(state)))

    return deed


def form(path: str, **fields: str) -> Deed:
    return lambda w: w.form(path, **fields)


def call(method: str, path: str, body: Any = None) -> Deed:
    return lambda w: w.script.request(method, path, json=body)


MEASURE: Final = {"width": "700", "height": "500", "quality": "70"}


async def changed_preset(w: World, deed: Deed, *, done: bool) -> httpx.Response:
    await change_preset("card", (600, 450, 70), actor=SYSTEM)
    if done:
        await database.execute("UPDATE preset_change SET state = 'done'")
        await database.execute("DELETE FROM job")
    return await deed(w)


def after_a_change(deed: Deed, *, done: bool = True) -> Deed:
    return lambda w: changed_preset(w, deed, done=done)


async def finding(w: World) -> str:
    key = f"inventory_items/ab/{uuid4()}-v1.jpg"
    assert await record_finding(Finding("orphaned_object", key, None, "no row owns these bytes"))
    return str(await database.fetch_value("SELECT id FROM finding WHERE key = $1", key))


async def repair_form(w: World) -> httpx.Response:
    return await w.form("/maintenance/findings/repair", one=await finding(w), do="repair")


async def adopt(w: World) -> httpx.Response:
    ref = await make_entity()
    return await w.form(f"/maintenance/findings/{await finding(w)}/adopt", entity=str(ref))


async def repair(w: World) -> httpx.Response:
    return await w.script.post("/api/images/repair", json={"dry_run": False, "finding_ids": [await finding(w)]})


async def undo(w: World) -> httpx.Response:
    from portal.maintenance.quarantine import hold, open_quarantine, take_away

    settings, store = w.app.state.settings, w.app.state.parts.store
    key = f"inventory_items/ab/{uuid4()}-v1.jpg"
    await store.put(key, samples.jpeg())
    quarantine = await open_quarantine(settings.quarantine_dir)
    async with database.transaction():
        held = await hold(key, store=store, quarantine=quarantine, reason="nobody owns it", actor=SYSTEM)
    await take_away(held, key, store=store)
    return await w.form(f"/maintenance/quarantine/{held.id}/undo")


async def retry_queued(w: World) -> httpx.Response:
    made = await w.job("failed")
    queued = await database.fetch_value(
        "UPDATE pgqueuer SET status = 'failed' WHERE convert_from(payload, 'UTF8')::jsonb ->> 'job' = $1 RETURNING id",
        str(made),
    )
    return await w.form(f"/maintenance/jobs/queue/{queued}/retry")


async def erase(w: World) -> httpx.Response:
    await users.set_password_by_link(await users.create_user("ana@example.com", "viewer", "Ana Berg", SYSTEM), PASSWORD)
    return await w.form("/maintenance/audit/erase", person="ana@example.com", current=PASSWORD)
