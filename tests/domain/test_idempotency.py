"""Idempotency keys: one answer for one request, whatever happens to who ran it first."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid4

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.errors import FormError, KeyReused, Running
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import Rules
from portal.gallery.service import add_image
from portal.gallery.uploads import Outcome, add_files
from portal.idempotency import Answer, Claim, Presence, claim, keep_answer, release, remember
from portal.settings import Settings
from portal.web.forms import ReceivedFile
from tests import samples
from tests.factories import Studio, make_entity, write
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("db")
ROUTE = "/api/images/upload"
CREATED = Answer(201, "application/json", '{"id": 1}')


async def take(
    key: str = "k1", body: str = "b1", process: int = 0, *, actor: str = "user:ed@example.com", route: str = ROUTE
) -> Claim | Answer:
    return await claim(actor, route, key, body, process)


async def claimed(key: str = "k1", process: int = 0) -> Claim:
    found = await take(key, process=process)
    assert isinstance(found, Claim)
    return found


async def test_the_first_answer_is_given_again() -> None:
    await keep_answer(await claimed(), CREATED)
    assert await take() == CREATED
    assert await take() == CREATED


async def test_another_body_under_the_same_key_is_refused_before_and_after_the_answer() -> None:
    async with Presence().held() as presence:
        first = await claimed(process=presence.number)
        with pytest.raises(KeyReused):
            await take(body="b2")
        await keep_answer(first, CREATED)
        with pytest.raises(KeyReused):
            await take(body="b2")


async def test_actors_routes_and_keys_do_not_meet() -> None:
    await keep_answer(await claimed(), CREATED)
    assert isinstance(await take("k2"), Claim)
    assert isinstance(await take(actor="user:ana@example.com"), Claim)
    assert isinstance(await take(route="/api/entities/import"), Claim)


async def test_a_request_that_is_still_running_is_not_started_again() -> None:
    async with Presence().held() as presence:
        await claimed(process=presence.number)
        with pytest.raises(Running):
            await take(process=presence.number)
        with pytest.raises(Running):
            await take(process=presence.number + 1)


async def test_a_request_whose_process_died_goes_through() -> None:
    async with Presence().held() as presence:
        first = await claimed(process=presence.number)
    await eventually(lambda: _is_free(presence.number))
    again = await take()
    assert again == Claim(first.pk)


async def _is_free(process: int) -> bool:
    return not await database.fetch_value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1", process
    )


async def test_a_process_that_loses_its_connection_takes_its_lock_again() -> None:
    async with Presence().held() as presence:
        pid = await database.fetch_value("SELECT pid FROM pg_locks WHERE objid = $1 AND objsubid = 2", presence.number)
        await database.execute("SELECT pg_terminate_backend($1)", pid)
        await eventually(lambda: _is_free(presence.number))
        await eventually(lambda: _is_held(presence.number))
        await claimed(process=presence.number)
        with pytest.raises(Running):
            await take()


async def _is_held(process: int) -> bool:
    return not await _is_free(process)


async def upload(studio: Studio, ref: EntityRef, data: bytes, found: Claim) -> UUID:
    path = studio.store.root / "temp" / f"{uuid4()}.part"
    write(path, data)
    received = ReceivedPicture(path, "picture.jpg", len(data), hashlib.sha256(data).hexdigest())
    fields = PictureFields(allow_duplicate=True)
    return await add_image(
        ref, received, fields, rules=Rules(), store=studio.store, pool=studio.pool, actor=SYSTEM, claim=found
    )


async def test_what_a_killed_process_had_stored_is_not_stored_twice(studio: Studio) -> None:
    ref, data = await make_entity(), samples.jpeg()
    image_id = await upload(studio, ref, data, await claimed(process=4711))  # then it is killed, unanswered
    again = await claimed()
    assert again.stored == {"0": str(image_id)}
    assert await upload(studio, ref, data, again) == image_id
    assert await database.fetch_value("SELECT count(*) FROM image") == 1


async def test_of_two_runs_of_one_request_only_one_stores(studio: Studio) -> None:
    """The lock of a living process may fall with its connection; then the retry runs beside the first try."""
    ref, data = await make_entity(), samples.jpeg()
    first, second = await claimed(process=4711), await claimed(process=4712)
    await upload(studio, ref, data, first)
    with pytest.raises(Running):
        await upload(studio, ref, data, second)
    assert await database.fetch_value("SELECT count(*) FROM image") == 1
    originals = [entry.key for entry in studio.store.walk() if entry.key.startswith("inventory_items/")]
    assert len(originals) == 1


async def test_a_run_of_many_files_that_another_run_overtakes_is_no_refusal_of_a_file(
    studio: Studio, config: Settings
) -> None:
    """It would be kept as the request's answer for a day."""
    ref, data = await make_entity(), samples.jpeg()

    async def run(found: Claim) -> list[Outcome]:
        path = studio.store.root / "temp" / f"{uuid4()}.part"
        write(path, data)
        file = ReceivedFile(path, "picture.jpg", len(data), hashlib.sha256(data).hexdigest(), None, "files")
        kept = PictureFields(allow_duplicate=True)
        return await add_files(
            ref, [file], kept, settings=config, store=studio.store, pool=studio.pool, actor=SYSTEM, claim=found
        )

    first, second = await claimed(process=4711), await claimed(process=4712)
    assert [outcome.error for outcome in await run(first)] == [None]
    with pytest.raises(Running):
        await run(second)


async def test_what_was_stored_is_forgotten_when_its_transaction_fails() -> None:
    first = await claimed()

    async def fail() -> None:
        async with database.transaction():
            await remember(first, "0", "an id")
            await database.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await fail()
    assert (await claimed()).stored == {}


async def test_a_released_key_is_free_but_remembers_what_was_stored() -> None:
    async with Presence().held() as presence:
        await release(await claimed("empty", presence.number))
        assert (await claimed("empty", presence.number)).stored == {}
        half = await claimed("half", presence.number)
        async with database.transaction():
            await remember(half, "0", "an id")
        await release(half)
        assert (await claimed("half", presence.number)).stored == {"0": "an id"}


async def test_a_claim_that_could_not_be_given_back_is_free_soon_after() -> None:
    """As when the database does not answer: neither the request's failure nor its answer can be written down."""
    async with Presence().held() as presence:
        with pytest.raises(TimeoutError):
            async with presence.running("user:ed@example.com", ROUTE, "lost"):
                await claimed("lost", presence.number)
                raise TimeoutError
        async with presence.running("user:ed@example.com", ROUTE, "busy"):
            await claimed("busy", presence.number)
            await eventually(lambda: database.fetch_value("SELECT process = 0 FROM idempotency WHERE key = 'lost'"))
            assert isinstance(await take("lost", process=presence.number), Claim)
            with pytest.raises(Running):
                await take("busy", process=presence.number)


async def test_a_key_is_kept_for_a_day() -> None:
    for key, hours in {"young": 23, "old": 25}.items():
        await keep_answer(await claimed(key), CREATED)
        await database.execute(
            "UPDATE idempotency SET created_at = now() - make_interval(hours => $2) WHERE key = $1", key, hours
        )
    assert await take("young") == CREATED
    assert isinstance(await take("old"), Claim)


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "a\x00", "x" * 201, "a\n", "\x7f"])
async def test_a_bad_key_is_refused(key: str) -> None:
    with pytest.raises(FormError) as refusal:
        await take(key)
    assert list(refusal.value.errors) == ["Idempotency-Key"]
    assert await database.fetch_value("SELECT count(*) FROM idempotency") == 0


@pytest.mark.parametrize("key", ["a", "~" * 200, "0190f0a2-7d4c-7000-8000-000000000000"])
async def test_a_good_key_is_taken(key: str) -> None:
    await claimed(key)
