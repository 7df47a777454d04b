"""One picture's page as people read it."""

from __future__ import annotations

import pytest
from litestar import Litestar

from portal import database
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    ("stored", "said"),
    [("user:ana@example.com", "ana@example.com"), ("token:sync", "the script sync"), ("system", "The portal")],
)
async def test_who_added_it_is_named_as_people_say_it(db: None, app: Litestar, studio: Studio, stored: str, said: str):
    image_id = await studio.add(await make_entity())
    await database.execute("UPDATE image SET uploaded_by = $1", stored)
    page = await (await caller(app, "viewer")).get(f"/images/{image_id}")
    assert f'<dt>Added by</dt><dd class="long">{said}</dd>' in page.text


async def test_a_crop_is_framed_on_the_file_of_now_not_on_one_a_browser_kept(db: None, app: Litestar, studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    page = await (await caller(app, "editor")).get(f"/images/{image_id}")
    assert f'data-original="/api/images/serve/{image_id}?size=original&amp;v=2"' in page.text
