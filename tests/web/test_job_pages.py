"""The page about jobs: what waits, runs and failed, with picture and reason; what one does there; the stream beside it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.accounts.still import still_let_in
from portal.accounts.tokens import revoke_token
from portal.audit.actors import SYSTEM
from portal.errors import Busy, Unavailable
from portal.gallery.service import RENDER
from portal.jobs.progress import start_job
from portal.maintenance import live as module
from portal.maintenance.live import Live
from tests.factories import Studio, make_entity
from tests.waiting import PATIENCE, eventually
from tests.web.whole_app import caller, working_app

PAGE = "/maintenance/jobs"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def studio(app: Litestar, db: None) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


async def fail(image_id: UUID, code: str, message: str) -> None:
    await database.execute(
        "UPDATE image SET status = 'failed', tries = 3, error = $2::jsonb WHERE id = $1",
        *(image_id, json.dumps({"code": code, "message": message})),
    )


async def text_of(client: httpx.AsyncClient, query: str = "") -> str:
    answer = await client.get(PAGE + query)
    assert answer.status_code == 200, answer.text
    return answer.text


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_an_empty_portal_says_that_nothing_waits_and_that_no_worker_is_there(viewer: httpx.AsyncClient):
    words = words_of(await text_of(viewer))
    assert "No worker takes jobs" in words
    assert "Nothing waits" in words
    for state in ("waiting", "active", "failed", "paused", "done", "unheard-of"):
        await text_of(viewer, f"?state={state}")
    assert "No picture failed" in words_of(await text_of(viewer, "?state=failed"))
    assert (await viewer.get(f"{PAGE}?cursor=x")).status_code == 422
    assert (await viewer.get(f"{PAGE}?state=failed&after=x")).status_code == 422


async def test_a_failed_picture_stands_there_with_its_name_its_reason_its_tries_and_what_to_do(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, studio: Studio
):
    image_id = await studio.add(await make_entity(name="Fjord mug"), filename="IMG_4480.jpg", ready=False)
    await fail(image_id, "not_an_image", "The file ends early.")
    for query in ("", "?state=failed"):
        html = await text_of(admin, query)
        words = words_of(html)
        for said in ("IMG_4480.jpg", "The file ends early.", "Fjord mug", "3 tries", "Try again"):
            assert said in words
        assert f'href="/images/{image_id}"' in html
    assert "1 failed" in words
    assert "Cannot be decoded" in words
    assert "Try all like this" in words
    assert "Try all like this" not in words_of(await text_of(viewer, "?state=failed"))
    await database.execute("DELETE FROM pgqueuer")
    answer = await admin.post(f"{PAGE}/pictures/{image_id}/retry?state=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?state=failed")
    row = await database.fetch_row("SELECT status, error, tries FROM image WHERE id = $1", image_id)
    assert tuple((row or {}).values()) == ("pending", None, 0)
    assert await database.fetch_value("SELECT entrypoint FROM pgqueuer") == RENDER
    assert "No picture failed" in words_of(await text_of(admin, "?state=failed"))


async def test_failed_ones_are_paged_told_by_reason_and_tried_again_by_reason(admin: httpx.AsyncClient, studio: Studio):
    ref = await make_entity()
    first = await studio.add(ref, ready=False)
    await fail(first, "gone", "The original is missing from the store.")
    await database.execute(
        """INSERT INTO image (id, entity, filename, media_type, extension, bytes, width, height, sha256, status, sort_order,
                              error, updated_at)
           SELECT gen_random_uuid(), entity, 'x-' || n || '.jpg', 'image/jpeg', 'jpg', 10, 4, 3, md5(n::text), 'failed', n,
                  '{"code": "failed", "message": "It failed 6 times."}', now() - make_interval(mins => n)
           FROM image, generate_series(1, 60) AS n WHERE id = $1""",
        first,
    )
    html = await text_of(admin, "?state=failed")
    words = words_of(html)
    assert "Given up after several tries 60" in words
    assert "Original missing 1" in words
    assert "x-59.jpg" not in words
    following = re.search(r'href="(/maintenance/jobs\?[^"]*after=[^"]+)"', html)
    assert following
    older = words_of((await admin.get(following[1].replace("&amp;", "&"))).text)
    assert "x-59.jpg" in older
    assert "x-10.jpg" not in older
    only = words_of(await text_of(admin, "?state=failed&code=gone"))
    assert "The original is missing" in only
    assert "x-1.jpg" not in only
    assert (await admin.post(f"{PAGE}/retry-alike", data={"code": "failed"})).status_code == 303
    row = await database.fetch_row("SELECT kind, arguments FROM job")
    assert row is not None
    assert (row["kind"], json.loads(row["arguments"])) == ("rerender", {"which": "selected", "failed": "failed"})
    assert (await admin.post(f"{PAGE}/retry-alike", data={})).status_code == 422


async def test_what_the_log_says_of_a_failure_is_for_admins(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, studio: Studio
):
    image_id = await studio.add(await make_entity(), ready=False)
    await fail(image_id, "failed", "The renditions could not be made. It failed 6 times.")
    job_id = await start_job("rerender", {"which": "all"}, actor=SYSTEM)
    await database.execute('UPDATE job SET state = \'failed\', error = \'{"code": "failed", "message": "Six times."}\'')
    await database.execute("UPDATE pgqueuer SET status = 'failed'")
    await database.execute(
        """INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, traceback)
           SELECT id, 'failed', 0, entrypoint, jsonb_build_object('traceback', 'Traceback of ' || entrypoint) FROM pgqueuer"""
    )
    html = await text_of(admin, "?state=failed")
    assert "Traceback of render" in html
    assert "Traceback of rerender" in html
    assert "Traceback" not in await text_of(viewer, "?state=failed")
    assert f"job-{job_id}" in html


async def test_jobs_are_shown_by_state_cancelled_and_tried_again(admin: httpx.AsyncClient, viewer: httpx.AsyncClient):
    waiting = await start_job("cleanup", {"dry_run": True}, actor=SYSTEM)
    running = await start_job("rerender", {"which": "all"}, actor=SYSTEM)
    await database.execute(
        "UPDATE job SET state = 'running', attempts = 1, progress = $2::jsonb WHERE id = $1",
        running,
        '{"done": 1204, "total": 4218, "unit": "pictures", "per_second": 8.2, "seconds_left": 368}',
    )
    words = words_of(await text_of(admin))
    assert "Make renditions again: all pictures" in words
    assert "1,204 of 4,218 pictures · 8.2/s · about 6 minutes left" in words
    assert "Clean-up, dry run" in words
    assert str(running) not in await text_of(admin, "?state=waiting")
    assert (await viewer.post(f"{PAGE}/{waiting}/cancel")).status_code == 403
    assert (await admin.post(f"{PAGE}/{waiting}/cancel")).status_code == 303
    assert (await admin.post(f"{PAGE}/{waiting}/cancel")).status_code == 409
    fragment = await admin.post(f"{PAGE}/{waiting}/retry?state=waiting", headers={"hx-request": "true"})
    assert fragment.status_code == 200
    assert "The job is tried again" in fragment.text
    assert fragment.text.lstrip().startswith('<div class="columns" id="jobs"')
    assert "tried again" in words_of(await text_of(admin, "?state=done"))
    assert (await admin.post(f"{PAGE}/{UUID(int=7)}/cancel")).status_code == 404
    assert (await admin.post(f"{PAGE}/x/retry")).status_code == 404


async def test_a_job_that_waits_for_its_next_try_says_when_and_why(admin: httpx.AsyncClient):
    await start_job("cleanup", {}, actor=SYSTEM)
    await database.execute('UPDATE job SET error = \'{"code": "unavailable", "message": "The disk did not answer."}\'')
    await database.execute("UPDATE pgqueuer SET attempts = 2, execute_after = now() + interval '40 seconds'")
    words = words_of(await text_of(admin))
    assert re.search(r"Again in (40|3\d) s", words)
    assert "The disk did not answer." in words


async def test_a_kind_is_paused_and_goes_on_and_the_page_says_so(admin: httpx.AsyncClient, studio: Studio):
    await studio.add(await make_entity(), filename="waits.jpg", ready=False)
    assert (await admin.post(f"{PAGE}/pause", data={"kind": "render"})).status_code == 303
    words = words_of(await text_of(admin))
    assert "Renditions : paused" in words.replace("Renditions:", "Renditions :")
    assert "1 waiting" in words
    assert "Paused 1" in words
    assert "waits.jpg" in words_of(await text_of(admin, "?state=waiting"))
    assert (await admin.post(f"{PAGE}/pause", data={"kind": "nothing"})).status_code == 422
    assert (await admin.post(f"{PAGE}/resume", data={"kind": "all"})).status_code == 303
    assert ": paused" not in words_of(await text_of(admin))
    await admin.post(f"{PAGE}/pause", data={"kind": "all"})
    assert "All jobs are paused" in words_of(await text_of(admin)), "not the name of each kind"
    await admin.post(f"{PAGE}/resume", data={"kind": "all"})


async def test_a_hundred_thousand_that_wait_are_counted_and_listed_in_pages(admin: httpx.AsyncClient, studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    await database.execute(
        """INSERT INTO pgqueuer (priority, entrypoint, payload, status)
           SELECT -10, 'render', convert_to('{"image": "' || $1::text || '"}', 'UTF8'), 'queued'
           FROM generate_series(1, 100000)""",
        str(image_id),
    )
    assert "100,001 waiting" in words_of(await text_of(admin))
    html = await text_of(admin, "?state=waiting")
    assert "after=" in html
    assert len(html) < 100_000


async def test_a_removal_that_was_given_up_is_tried_again(admin: httpx.AsyncClient):
    await database.execute(
        """INSERT INTO pgqueuer (priority, entrypoint, payload, status, attempts) VALUES (0, 'purge', '{}', 'failed', 5)"""
    )
    html = await text_of(admin, "?state=failed")
    action = re.search(r'action="([^"]*/queue/\d+/retry[^"]*)"', html)
    assert action
    assert (await admin.post(action[1])).status_code == 303
    assert await database.fetch_value("SELECT status::text FROM pgqueuer") == "queued"
    assert (await admin.post(action[1])).status_code == 404
    assert (await admin.post(f"{PAGE}/queue/x/retry")).status_code == 400


async def test_renditions_are_made_again_from_the_page(admin: httpx.AsyncClient):
    sent = {"which": "all", "entity_type": "categories"}
    assert (await admin.post(f"{PAGE}/rerender", data=sent)).status_code == 303
    assert json.loads(await database.fetch_value("SELECT arguments FROM job")) == sent
    assert (await admin.post(f"{PAGE}/rerender", data={"which": ""})).status_code == 422


async def test_schedules_stand_there_in_words_and_are_run_at_once(admin: httpx.AsyncClient):
    words = words_of(await text_of(admin))
    assert "every day" in words
    answer = await admin.post(f"{PAGE}/schedules/cleanup/run")
    assert answer.status_code == 303
    assert await database.fetch_value("SELECT schedule FROM job") == "cleanup"
    assert (await admin.post(f"{PAGE}/schedules/cleanup/run")).status_code == 409
    assert (await admin.post(f"{PAGE}/schedules/nothing/run")).status_code == 404


async def test_failed_pictures_and_jobs_are_counted_in_the_sidebar_and_lead_to_them(
    viewer: httpx.AsyncClient, studio: Studio
):
    await fail(await studio.add(await make_entity(), ready=False), "gone", "It is gone.")
    await start_job("cleanup", {}, actor=SYSTEM)
    await database.execute("UPDATE job SET state = 'failed'")
    html = (await viewer.get("/")).text
    assert f'href="{PAGE}?state=failed"' in html
    assert "2 failed" in words_of(html)


async def test_the_page_is_for_staff(app: Litestar, db: None):
    visitor = await caller(app, None)
    for path in ("", "/list", "/stream"):
        assert (await visitor.get(PAGE + path, headers={"accept": "application/json"})).status_code == 401
    editor = await caller(app, "editor")
    for path in ("/pause", "/resume", "/rerender", "/retry-alike", "/schedules/cleanup/run", "/queue/1/retry"):
        assert (await editor.post(PAGE + path)).status_code == 403


class Listening:
    """Readers of a Live over `texts`, the last of which stays."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.readings, self.told = list(texts), 0, 0
        self.live = Live(self._read)

    async def _read(self) -> str:
        """The next one once all have heard the last: who is late hears the newest alone."""
        self.readings += 1
        if len(self.texts) > 1 and self.told >= self.live.readers:
            self.told = 0
            self.texts.pop(0)
        return self.texts[0]

    async def heard(self, credential: UUID, owner: UUID | None = None) -> list[str]:
        reader, said = self.live.enter(credential, owner or uuid4()), list[str]()
        async for piece in self.live.stream(reader):
            said.append(piece.decode())
            self.told += said[-1].startswith("event: now")
        return said


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.02)
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)


async def session() -> UUID:
    """One that is alive."""
    token: Any = await database.fetch_value("SELECT id FROM api_token ORDER BY created_at DESC LIMIT 1")
    return token


@pytest.mark.usefixtures("quick")
async def test_all_readers_hear_of_one_reading_and_the_streams_end_with_the_process(viewer: httpx.AsyncClient):
    listening = Listening("one", "two\nlines", "three")
    credential = await session()
    readers = [asyncio.create_task(listening.heard(credential)) for _ in range(5)]
    running = asyncio.create_task(listening.live.run())
    await eventually(lambda: listening.texts == ["three"] and listening.told == len(readers))
    readings = listening.readings
    await eventually(lambda: listening.readings > readings + 5)  # a heartbeat lies between
    listening.live.end()
    for said in await asyncio.gather(*readers):
        events = [piece for piece in said if not piece.startswith((":", "retry"))]
        assert events == [
            "event: now\ndata: one\n\n",
            "event: now\ndata: two\ndata: lines\n\n",
            "event: now\ndata: three\n\n",
            "event: end\ndata: \n\n",
        ]
        assert ": still here\n\n" in said
    readings = listening.readings
    await asyncio.sleep(0.1)
    assert listening.readings <= readings + 1  # nobody reads: nothing is asked
    with pytest.raises(Unavailable):
        listening.live.enter(credential, credential)
    running.cancel()


@pytest.mark.usefixtures("quick")
async def test_who_is_signed_out_hears_nothing_more(viewer: httpx.AsyncClient, admin: httpx.AsyncClient):
    listening = Listening("one")
    kept, revoked = [row["id"] for row in await database.fetch("SELECT id FROM api_token ORDER BY created_at")]
    stays, goes = [asyncio.create_task(listening.heard(each)) for each in (kept, revoked)]
    running = asyncio.create_task(listening.live.run())
    await eventually(lambda: listening.readings > 1)
    await revoke_token(revoked, SYSTEM)
    await asyncio.wait_for(goes, PATIENCE)
    assert not stays.done()
    assert listening.live.readers == 1
    assert await still_let_in([kept, revoked, UUID(int=7)]) == {kept}
    listening.live.end()
    await stays
    running.cancel()


async def test_streams_are_bounded_in_all_and_for_each(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_STREAMS", 5)
    monkeypatch.setattr(module, "MOST_OF_ONE", 3)
    live, ana, ben = Listening("one").live, uuid4(), uuid4()
    for _ in range(3):
        live.enter(uuid4(), ana)
    with pytest.raises(Busy):
        live.enter(uuid4(), ana)
    readers = [live.enter(uuid4(), ben) for _ in range(2)]
    with pytest.raises(Busy) as refused:
        live.enter(uuid4(), uuid4())
    assert refused.value.retry_after
    live.leave(readers[0])
    live.enter(uuid4(), uuid4())


async def test_asked_for_its_head_alone_the_stream_ends_at_once(app: Litestar, viewer: httpx.AsyncClient):
    answer = await asyncio.wait_for(viewer.head(f"{PAGE}/stream"), PATIENCE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert app.state.live.readers == 0


async def test_the_stream_over_http_sends_what_the_page_shows(app: Litestar, viewer: httpx.AsyncClient):
    running = asyncio.create_task(app.state.live.run())
    job_id = await start_job("cleanup", {}, actor=SYSTEM)

    async def end_soon() -> None:
        await eventually(lambda: app.state.live.readers == 1)
        await eventually(lambda: str(job_id) in (app.state.live._shown or ""))
        app.state.live.end()

    async def heard() -> httpx.Response:
        answer, _ = await asyncio.gather(viewer.get(f"{PAGE}/stream"), end_soon())
        app.state.live._is_ending = False
        return answer

    answer = await heard()
    while str(job_id) not in answer.text:  # it ended before it had said so
        answer = await heard()
    running.cancel()
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    for part in (f"job-{job_id}-badge", "jobs-n-waiting", "work-render", "jobs-workers"):
        assert f'id="{part}"' in answer.text
        assert f'id="{part}"' in await text_of(viewer)
