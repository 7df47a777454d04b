"""R15: many at the same thing at the same moment. One wins, the others are told, and every promise holds."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import samples
from tests.drilling import Rounds
from tests.drills.traffic import all_are_ready, files_of, findings, images_of, make_gallery, upload
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R15")


@pytest.fixture(scope="module", autouse=True)
def sound_in_the_end(portal: RunningPortal) -> Iterator[None]:
    yield
    assert findings(portal) == ""


async def add_some(client: httpx.AsyncClient, gallery: str, count: int) -> list[str]:
    answers = [await upload(client, gallery, samples.distinct(number)) for number in range(count)]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"] for answer in answers]


def assert_in_order(images: list[dict[str, Any]]) -> None:
    assert [image["sort_order"] for image in images] == list(range(len(images)))
    assert sum(image["is_primary"] for image in images) == 1


async def test_of_twenty_equal_uploads_at_once_one_is_stored(client: httpx.AsyncClient, rounds: Rounds) -> None:
    for number in range(rounds(1, 100)):
        gallery, data = await make_gallery(client), samples.distinct(number)
        answers = await asyncio.gather(*(upload(client, gallery, data) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
        stored = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
        refused = [answer.json() for answer in answers if answer.status_code == 409]
        assert {(each["code"], each["image_id"]) for each in refused} == {("duplicate", stored)}
        assert [image["id"] for image in await images_of(client, gallery)] == [stored]


async def test_of_two_who_make_a_primary_each_one_stays(
    client: httpx.AsyncClient, gallery: str, rounds: Rounds
) -> None:
    ids = await add_some(client, gallery, 3)
    for _ in range(rounds(3, 100)):
        wishes = [client.put(f"/api/images/{id}/metadata", json={"is_primary": True}) for _ in range(3) for id in ids]
        answers = await asyncio.gather(*wishes)
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert_in_order(await images_of(client, gallery))


async def test_reorders_against_deletes_leave_a_whole_order(client: httpx.AsyncClient, rounds: Rounds) -> None:
    for _ in range(rounds(1, 100)):
        gallery = await make_gallery(client)
        ids = await add_some(client, gallery, 6)
        address = f"/api/images/entity/inventory_items/{gallery}/order"
        answers = await asyncio.gather(
            *(client.put(address, json={"ids": ids[turn:] + ids[:turn]}) for turn in range(1, 5)),
            *(client.delete(f"/api/images/{id}") for id in ids[:3]),
            *(client.put(address, json={"ids": ids[::-1]}) for _ in range(4)),
            *(client.delete(f"/api/images/{id}") for id in ids[:3]),
        )
        orders = [answer for answer in answers if answer.request.method == "PUT"]
        deletes = [answer for answer in answers if answer.request.method == "DELETE"]
        assert {answer.status_code for answer in orders} <= {200, 409}
        assert sorted(answer.status_code for answer in deletes) == [204] * 3 + [404] * 3
        images = await images_of(client, gallery)
        assert {image["id"] for image in images} == set(ids[3:])
        assert_in_order(images)


async def test_what_is_deleted_while_it_renders_does_not_reappear(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds
) -> None:
    ids: set[str] = set()
    for number in range(rounds(6, 100)):
        answer = await upload(client, gallery, samples.noisy(900 + number, 700))
        ids.add(answer.json()["id"])
        await asyncio.sleep(random.uniform(0, 0.2))  # anywhere in the rendering
        assert (await client.delete(f"/api/images/{answer.json()['id']}")).status_code == 204
    await eventually(lambda: not files_of(portal, ids))
    for image_id in ids:
        assert (await client.get(f"/api/images/{image_id}")).status_code == 404
        assert (await client.get(f"/api/images/serve/{image_id}")).status_code == 404
    assert await images_of(client, gallery) == []


async def test_other_files_edits_and_a_delete_at_once_leave_one_whole_picture_or_none(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds
) -> None:
    for turn in range(rounds(2, 100)):
        image_id = (await upload(client, gallery, samples.distinct(10 * turn))).json()["id"]
        address = f"/api/images/{image_id}"
        files = [("picture.jpg", samples.distinct(10 * turn + number), "image/jpeg") for number in range(1, 5)]
        wishes = [
            *(client.put(f"{address}/file", files={"file": file}) for file in files),
            *(client.put(f"{address}/metadata", json={"caption": f"{turn}, {number}"}) for number in range(3)),
        ]
        if turn % 2:
            wishes.insert(random.randint(0, len(wishes)), client.delete(address))
        answers = await asyncio.gather(*wishes)
        assert {answer.status_code for answer in answers} <= {200, 204, 404, 409, 412}
        if turn % 2:
            assert (await client.get(address)).status_code == 404
            await eventually(lambda id=image_id: not files_of(portal, {id}))
        else:
            image = (await client.get(address)).json()
            assert image["version"] == 1 + len(files)
            assert image["sha256"] in {hashlib.sha256(data).hexdigest() for _, data, _ in files}
    await eventually(lambda: all_are_ready(client, gallery))


async def test_of_edits_from_the_same_reading_one_wins(client: httpx.AsyncClient, gallery: str, rounds: Rounds) -> None:
    image_id = (await add_some(client, gallery, 1))[0]
    await eventually(lambda: all_are_ready(client, gallery))
    address = f"/api/images/{image_id}"
    for turn in range(rounds(1, 100)):
        etag = (await client.get(address)).headers["etag"]
        wishes = [
            client.put(f"{address}/metadata", json={"caption": f"{turn}, {number}"}, headers={"If-Match": etag})
            for number in range(10)
        ]
        answers = await asyncio.gather(*wishes)
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
        winner = next(answer.json()["caption"] for answer in answers if answer.status_code == 200)
        assert (await client.get(address)).json()["caption"] == winner


async def test_a_pin_against_a_delete_holds_the_picture_or_has_none(client: httpx.AsyncClient, rounds: Rounds) -> None:
    for turn in range(rounds(3, 100)):
        gallery = await make_gallery(client)
        (image_id,) = await add_some(client, gallery, 1)
        await eventually(lambda name=gallery: all_are_ready(client, name))
        invoice = f"/api/entities/invoices/{gallery}"
        lines = [{"item": gallery, "description": "Sold", "quantity": 1}]
        assert (await client.put(invoice, json={"name": "Invoice", "lines": lines})).status_code == 201
        wishes = [client.post(f"{invoice}/pin") for _ in range(3)]
        wishes.insert(turn % 4, client.delete(f"/api/images/{image_id}"))
        wishes.insert(random.randint(0, 4), client.put(f"/api/images/{image_id}/metadata", json={"caption": "sold"}))
        answers = await asyncio.gather(*wishes)
        pins = sorted(answer.status_code for answer in answers if answer.request.method == "POST")
        (deleted,) = [answer for answer in answers if answer.request.method == "DELETE"]
        if deleted.status_code == 204:
            assert pins == [409] * 3
            assert (await client.get(f"{invoice}/pin")).status_code == 404
        else:
            assert (deleted.status_code, deleted.json()["code"]) == (409, "pinned")
            assert pins == [200, 200, 201]
            (picture,) = (await client.get(f"{invoice}/pin")).json()["pictures"]
            assert (await client.get(picture["image"]["renditions"]["card"]["url"])).status_code == 200
        for path in (invoice, f"/api/entities/inventory_items/{gallery}"):
            assert (await client.delete(path)).status_code == 204
