"""How often pictures are shown, as people see it: the page about use with believable figures, and a picture's own line."""

from __future__ import annotations

import re
import subprocess
import sys

from playwright.sync_api import expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.photos import demo_photo
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.e2e.test_access import check

# what a hundred days of a shop's visitors leave behind
SEED = """
import asyncio, sys
from portal import database, settings

async def main(shown, quiet):
    async with database.open_database(settings.load()):
        for sql in (
            f"UPDATE image SET created_at = now() - interval '200 days' WHERE id IN ('{shown}', '{quiet}')",
            '''INSERT INTO served_day (day, preset, format, hits, misses, bytes)
               SELECT current_date - d, preset, 'webp', 700 + d * 13 % 90, 40 + d * 7 % 30, 9000000
               FROM generate_series(0, 100) AS d, unnest(ARRAY['card', 'gallery', 'optimized']) AS preset
               ON CONFLICT DO NOTHING''',
            f'''INSERT INTO image_usage (image, preset, day, served, bytes)
                SELECT '{shown}', 'optimized', current_date - d, 200, 80000000 FROM generate_series(1, 29) AS d''',
        ):
            await database.execute(sql)

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_page_about_use_shows_what_is_shown_what_is_not_and_what_weighs_too_much(
    portal: RunningPortal, visit: Visits, api: Api, axe: str
):
    page = visit("viewer")  # first, because the overview would show the new pictures
    api.put_entity("inventory_items", "USE-1", "Much seen")
    shown = api.add_picture("inventory_items", "USE-1", "hot.jpg", demo_photo("mug-front"), alt_text="A mug all see")
    api.put_entity("inventory_items", "USE-2", "Not seen")
    quiet = api.add_picture("inventory_items", "USE-2", "quiet.jpg", demo_photo("mug-top"), alt_text="A mug none see")
    command = [sys.executable, "-c", SEED, shown, quiet]
    subprocess.run(command, cwd=CHECKOUT, env=portal.environment, check=True, timeout=120)
    page.goto(f"{portal.url}/images/{shown}")
    usage = page.get_by_role("region", name="Shown", exact=True)
    expect(usage).to_contain_text(
        re.compile(r"5,8\d\d times in 30 days · mostly optimized")
    )  # and what this visit adds
    usage.get_by_role("link", name="All usage").click()
    expect(page.get_by_role("img", name="served in 30 days")).to_be_visible()
    expect(page.get_by_role("region", name="Never shown in 90 days")).to_contain_text("A mug none see")
    expect(page.get_by_role("region", name="Hot but heavy")).to_contain_text("A mug all see")
    expect(page.get_by_role("region", name="Sizes nobody asks for")).to_contain_text("print")
    page.get_by_text("All days as a table").click()
    expect(page.get_by_role("row", name="Yesterday")).to_be_visible()
    check(page, axe)
