"""A backup is made, read, damaged and told; what was deleted comes back by keys alone; a new portal begins with one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.pages import PASSWORD
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check
from tests.e2e.test_findings import A_JOB, add_pictures, sign_up
from tests.e2e.waits import PATIENCE_MS


def press(page: Page, role: str, name: str, *, exact: bool = True) -> None:
    """By keys alone: Tab until it has them, then Enter."""
    wanted = page.get_by_role(role, name=name, exact=exact)  # type: ignore[arg-type] - a role's name
    expect(wanted).to_be_visible(timeout=A_JOB)
    for _ in range(120):
        if wanted.evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    page.keyboard.press("Enter")


def write_into(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    for _ in range(120):
        if field.evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.type(text)


def reload_until(page: Page, words: str) -> None:
    """As somebody without script does, while the worker is at it."""
    ends = time.monotonic() + A_JOB / 1000
    while words not in page.get_by_role("main").inner_text() and time.monotonic() < ends:
        page.reload()
    expect(page.get_by_role("main")).to_contain_text(words)


def damage(portal: RunningPortal) -> str:
    """One byte of one object changes, where backups lie; its name."""
    folder = portal.data_dir / "backups" / "images"
    hurt = max((each for each in folder.glob("inventory_items/objects/*/*")), key=lambda each: each.stat().st_size)
    data = bytearray(hurt.read_bytes())
    data[len(data) // 2] ^= 1
    hurt.write_bytes(data)
    return hurt.relative_to(folder).as_posix()


def test_a_backup_is_made_read_whole_and_when_damaged_says_exactly_where(
    fresh_portal: RunningPortal, visit: Visits, axe: str
):
    page = visit()
    sign_up(fresh_portal, page)
    page.goto(f"{fresh_portal.url}/maintenance/backups")
    expect(page.get_by_text("No backup lies here")).to_be_visible()
    check(page, axe)
    add_pictures(fresh_portal)
    page.reload()
    page.get_by_role("button", name="Back up now").click()
    listed = page.get_by_role("region", name="All backups")
    expect(listed.get_by_role("row")).to_have_count(2, timeout=A_JOB)
    expect(listed).to_contain_text("Complete", timeout=A_JOB)
    expect(listed).to_contain_text("not verified yet")
    expect(page.get_by_role("region", name="Proof")).to_contain_text("Not proven yet")
    page.get_by_role("button", name="Run a drill").click()
    expect(page.get_by_role("region", name="Proof")).to_contain_text("Proven today", timeout=A_JOB)
    expect(page.get_by_role("region", name="Proof")).to_contain_text("2 pictures")
    check(page, axe)
    listed.get_by_role("link", name="Today").click()
    state = page.get_by_role("region", name="State")
    page.get_by_role("button", name="Verify every byte").click()
    expect(state).to_contain_text("every byte as it was written", timeout=A_JOB)
    expect(page.get_by_role("button", name="Verify every byte")).to_be_focused()
    name = damage(fresh_portal)
    page.get_by_role("button", name="Verify every byte").click()
    expect(state).to_contain_text("1 file is not what was written", timeout=A_JOB)
    expect(state).to_contain_text(name)
    check(page, axe)
    page.get_by_role("button", name="Quick look").click()
    expect(state).to_contain_text("Its bytes were not read", timeout=A_JOB)
    expect(state).to_contain_text(name)  # what reading them has found is not taken back by that
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text("the backup is damaged")).to_be_visible(timeout=A_JOB)
    page.set_viewport_size({"width": 320, "height": 700})
    for path in ("", "/maintenance/backups", "/maintenance"):
        if path:
            page.goto(f"{fresh_portal.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    page.goto(f"{fresh_portal.url}/maintenance/backups")
    expect(listed).to_contain_text("Damaged")
    expect(listed).to_contain_text("1 file is not what was written")


def try_a_typo(page: Page) -> None:
    page.get_by_role("radio", name="Everything in it").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    write_into(page, "Its ID or SKU", "MUGS")
    press(page, "button", "See what it would do")
    expect(page.get_by_text("does not hold inventory_items/MUGS. Look for it above.")).to_be_visible()


def look_for_it(page: Page) -> None:
    write_into(page, "Name, number, ID or file name", "fjor")
    hits = page.get_by_role("region", name="Look for something in it")
    expect(hits.get_by_role("listitem")).to_contain_text(["Fjord mug"])
    expect(hits).to_contain_text("2 pictures")
    expect(hits).to_contain_text("Not here any more")


def test_a_deleted_gallery_comes_back_from_its_backup_by_keys_alone(
    fresh_portal: RunningPortal, visit: Visits, axe: str
):
    page = visit()
    sign_up(fresh_portal, page)
    front, _ = add_pictures(fresh_portal)
    page.goto(f"{fresh_portal.url}/maintenance/backups")
    press(page, "button", "Back up now")
    expect(page.get_by_role("region", name="All backups")).to_contain_text("Complete", timeout=A_JOB)
    api = Api(fresh_portal)
    with contextlib.closing(api.client):
        before = api.client.get(f"/api/images/serve/{front}").content
        assert api.client.delete("/api/entities/inventory_items/MUG").status_code == 204
        assert api.client.get(f"/api/images/{front}").status_code == 404
        page.reload()
        press(page, "link", "Today", exact=False)
        expect(page.get_by_role("heading", name="Restore", exact=True)).to_be_visible()
        visit.watch_of(page).expect(r"^422: POST .*/plan")
        try_a_typo(page)
        check(page, axe)
        look_for_it(page)
        check(page, axe)
        press(page, "link", "Restore… Fjord mug")
        expect(page.get_by_label("Its ID or SKU")).to_have_value("MUG")
        press(page, "button", "See what it would do")
        plan = page.get_by_role("region", name="What it would do")
        expect(plan.get_by_role("row", name="Pictures")).to_contain_text("2", timeout=A_JOB)
        expect(page.get_by_role("heading", name="Restore item MUG?")).to_be_visible()
        assert api.client.get(f"/api/images/{front}").status_code == 404
        check(page, axe)
        press(page, "button", "Restore now")
        expect(page.get_by_text("Restored today")).to_be_visible(timeout=A_JOB)
        check(page, axe)
        page.goto(f"{fresh_portal.url}/entities/inventory_items/MUG")
        expect(page.get_by_role("link", name="The mug's front").first).to_be_visible()
        assert api.client.get(f"/api/images/serve/{front}").content == before


@pytest.fixture
def second_portal(fresh_portal: RunningPortal, origins: set[str]) -> Iterator[RunningPortal]:
    """A new one, for which backups lie where the first one's do."""
    running = RunningPortal(PORTAL_BACKUP_URL=str(fresh_portal.data_dir / "backups" / "images"))
    origins.add(running.url)
    try:
        yield running.start()
    finally:
        running.remove()


def test_a_new_portal_begins_with_a_backup_without_script(
    fresh_portal: RunningPortal, second_portal: RunningPortal, visit: Visits
):
    image_id, _ = add_pictures(fresh_portal)
    fresh_portal.run("backup", "create")
    page = visit(java_script_enabled=False)
    page.goto(second_portal.setup_link())
    page.get_by_label("I have a backup to restore").check()
    page.get_by_label("Your name").fill("Ana Berg")
    page.get_by_label("E-mail").fill("ana@shop.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the account").click()
    page.wait_for_url("**/maintenance/backups")
    expect(page.get_by_text("This portal is empty, and there is a backup of today")).to_be_visible()
    page.get_by_role("button", name="Restore everything…").click()
    reload_until(page, "What it would do")
    page.get_by_role("button", name="Restore now").click()
    reload_until(page, "Restored today")
    page.goto(f"{second_portal.url}/images/{image_id}")
    expect(page.get_by_role("img", name="The mug's front").first).to_be_visible(timeout=PATIENCE_MS)
