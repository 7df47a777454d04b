"""Pictures are damaged behind the portal's back: a person finds out, tries, repairs, and takes one thing back."""

from __future__ import annotations

import contextlib
import os
import time

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.pages import PASSWORD, SetUp
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check
from tests.e2e.waits import PATIENCE_MS

A_JOB = 2 * PATIENCE_MS  # that reading a handful of pictures may take


def damage(portal: RunningPortal, image_id: str, other_id: str) -> None:
    """One original is moved, another is nowhere, a size is lost, and somebody left a note."""
    items = portal.storage / "inventory_items"
    os.rename(items / image_id[-2:] / f"{image_id}-v1.jpg", items / "IMG_4480.jpg")
    (items / other_id[-2:] / f"{other_id}-v1.jpg").unlink()
    (items / "thumbnails" / image_id[-2:] / f"{image_id}-v1.1-gallery.jpg").unlink()
    (items / "notes.txt").write_text("whose?")
    for name in ("IMG_4480.jpg", "notes.txt"):
        os.utime(items / name, (time.time() - 60, time.time() - 60))


def sign_up(portal: RunningPortal, page: Page) -> None:
    SetUp(page).create_account(portal.setup_link(), "Ana Berg", "ana@shop.example", PASSWORD)


def add_pictures(portal: RunningPortal) -> tuple[str, str]:
    """The mug's front, and the mug from above."""
    api = Api(portal)
    with contextlib.closing(api.client):
        api.put_entity("inventory_items", "MUG", "Fjord mug")
        front = demo_photo("mug-front"), "The mug's front"
        above = demo_photo("mug-top"), "The mug from above"
        ids = [api.add_picture("inventory_items", "MUG", "mug.jpg", data, alt_text=alt) for data, alt in (front, above)]
    return ids[0], ids[1]


def reload_until(page: Page, words: str) -> None:
    """As somebody without script does, while the worker is at it."""
    ends = time.monotonic() + A_JOB / 1000
    while words not in page.get_by_role("region", name="Findings").inner_text() and time.monotonic() < ends:
        page.reload()
    expect(page.get_by_role("region", name="Findings")).to_contain_text(words)


def test_what_is_wrong_is_found_tried_repaired_and_one_thing_taken_back(
    fresh_portal: RunningPortal, visit: Visits, axe: str
):
    page = visit()
    sign_up(fresh_portal, page)
    front, top = add_pictures(fresh_portal)
    damage(fresh_portal, front, top)
    page.goto(f"{fresh_portal.url}/maintenance")
    findings = page.get_by_role("region", name="Findings")
    findings.get_by_role("button", name="Full check").click()
    expect(findings).to_contain_text("5 open", timeout=A_JOB)
    expect(findings.get_by_role("button", name="Bring it back The mug's front")).to_be_visible()
    expect(findings.get_by_role("button", name="Move to trash The mug from above")).to_be_visible()
    check(page, axe)
    findings.get_by_role("button", name="Try without changing anything").click()
    expect(findings).to_contain_text("5 would be repaired, nothing was changed", timeout=A_JOB)
    expect(findings).to_contain_text("1 brought back")
    expect(findings).to_contain_text("1 to the trash")
    findings.get_by_role("checkbox", name="Choose The mug's front, gallery").check()
    findings.get_by_role("button", name="Repair chosen").click()
    expect(findings).to_contain_text("cannot be", timeout=A_JOB)  # its original comes first
    findings.get_by_role("button", name="Repair all 5").click()
    expect(findings).to_contain_text("5 repaired", timeout=A_JOB)
    expect(findings.get_by_role("heading", name="Findings")).to_be_focused()
    findings.get_by_role("button", name="Full check").click()
    expect(findings).to_contain_text("Every file was read and compared today", timeout=A_JOB)
    findings.get_by_role("link", name="Quarantine").click()
    expect(page.get_by_role("button", name="Undo inventory_items/notes.txt")).to_be_visible()
    check(page, axe)
    page.get_by_role("button", name="Undo inventory_items/notes.txt").click()
    expect(page.get_by_text("notes.txt is back")).to_be_visible()
    expect(page.get_by_role("button", name="Undo inventory_items/notes.txt")).to_have_count(0)
    assert (fresh_portal.storage / "inventory_items" / "notes.txt").read_text() == "whose?"


def test_without_script_one_finding_is_repaired_by_its_button(fresh_portal: RunningPortal, visit: Visits):
    page = visit(java_script_enabled=False)
    sign_up(fresh_portal, page)
    image_id, _ = add_pictures(fresh_portal)
    size = fresh_portal.storage / "inventory_items" / "thumbnails" / image_id[-2:] / f"{image_id}-v1.1-gallery.jpg"
    before = size.read_bytes()
    size.unlink()
    page.goto(f"{fresh_portal.url}/maintenance")
    page.get_by_role("button", name="Full check").click()
    reload_until(page, "1 open")
    page.get_by_role("button", name="Make it again The mug's front").click()
    reload_until(page, "1 repaired")
    assert size.read_bytes() == before
