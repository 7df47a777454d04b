"""Settings as an admin and an editor use them: people, tokens, one's own choices, texts in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import PASSWORD, SignIn, choose_password
from tests.e2e.server import RunningPortal


def somebody() -> str:
    return f"p-{uuid4().hex[:8]}@shop.example"


def test_an_admin_invites_somebody_changes_the_role_and_shows_them_out(portal: RunningPortal, visit: Visits):
    email = somebody()
    admin, guest = visit("admin"), visit()
    admin.goto(f"{portal.url}/settings/users")
    form = admin.get_by_role("form", name="Invite somebody")
    form.get_by_label("E-mail").fill(email)
    form.get_by_label("Name").fill("Eva Holm")
    form.get_by_label(re.compile("^Viewer")).check()
    admin.keyboard.press("Enter")
    heading = admin.get_by_role("heading", name=f"Link for {email}")
    expect(heading).to_be_focused()
    expect(admin.locator("#people").get_by_role("listitem").filter(has_text=email)).to_contain_text("Invited")
    choose_password(guest, admin.locator(".secret").inner_text())

    admin.goto(f"{portal.url}/settings/users")
    admin.locator("#people").get_by_role("listitem").filter(has_text=email).get_by_role("link").click()
    expect(admin.get_by_role("listitem").filter(has_text="Last seen")).to_have_count(1)
    admin.get_by_label(re.compile("^Editor")).check()
    admin.get_by_role("button", name="Save role").click()
    expect(admin.get_by_role("status").filter(has_text="may add, describe and order pictures")).to_be_visible()
    guest.goto(f"{portal.url}/account")
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()  # for the new role
    SignIn(guest, portal.url).sign_in(email, PASSWORD)
    expect(guest.get_by_text("Editor", exact=True).first).to_be_visible()

    admin.get_by_role("button", name="Disable").click()
    expect(admin.get_by_role("status").filter(has_text="is out, in every browser")).to_be_visible()
    guest.goto(f"{portal.url}/account")
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()
    admin.get_by_role("button", name="Let them in again").click()
    expect(admin.get_by_role("status").filter(has_text="may sign in again")).to_be_visible()


def test_a_refused_invitation_keeps_what_was_typed_and_leads_to_the_field(portal: RunningPortal, visit: Visits):
    page = visit("admin")
    visit.watch_of(page).may(r"^422: POST .*/settings/users$")
    page.goto(f"{portal.url}/settings/users")
    form = page.get_by_role("form", name="Invite somebody")
    form.get_by_label("E-mail").fill("admin@shop.example")
    form.get_by_label("Name").fill("Twin")
    form.get_by_role("button", name="Make a link").click()
    expect(form.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("E-mail")).to_be_focused()
    expect(form.get_by_label("Name")).to_have_value("Twin")


def test_a_token_is_made_and_revoked_by_keys_alone(portal: RunningPortal, visit: Visits):
    name = f"nightly {uuid4().hex[:6]}"
    page = visit("admin")
    page.goto(f"{portal.url}/settings/tokens")
    page.get_by_label("Name").focus()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Token {name}")).to_be_focused()
    expect(page.locator(".secret")).to_contain_text("pt_")
    row = page.locator("#tokens").get_by_role("listitem").filter(has_text=name)
    row.get_by_role("button", name="Revoke…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"Revoke the token {name}?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Revoke token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text=f"Token {name} revoked")).to_be_visible()
    expect(row).to_have_count(0)
    expect(page.locator("#tokens-title")).to_be_focused()


def test_what_somebody_prefers_holds_on_every_page(portal: RunningPortal, visit: Visits):
    link = portal.run("user", "create", somebody(), "--role", "viewer")
    page = visit()
    choose_password(page, link)
    page.goto(f"{portal.url}/account")
    page.get_by_label(re.compile("^Single keys act")).uncheck()
    page.get_by_label(re.compile("^As ISO 8601")).check()
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="It holds in every browser")).to_be_visible()
    expect(page.locator(".uses.sessions")).to_contain_text(re.compile(r"signed in \d{4}-\d\d-\d\d \d\d:\d\d"))
    page.goto(f"{portal.url}/trash")
    expect(page.locator("body")).to_have_attribute("data-shortcuts", "off")


@pytest.fixture
def pictures(api: Api) -> tuple[str, list[str]]:
    """An item with two pictures that nobody has described."""
    id = new_id()
    api.put_entity("inventory_items", id, "Fjord mug")
    return id, [api.add_picture("inventory_items", id, f"{n}.jpg", samples.jpeg(120 + n, 90)) for n in range(2)]


def table(path: Path, of: list[str]) -> list[dict[str, str]]:
    lines = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
    return [line for line in lines if line["image_id"] in of]


def look_through(page: Page, lines: list[dict[str, str]], script: bool) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, lines[0])
    writer.writeheader()
    writer.writerows(lines)
    file = {"name": "texts.csv", "mimeType": "text/csv", "buffer": out.getvalue().encode()}
    page.get_by_label("The spreadsheet as CSV").set_input_files(file)  # type: ignore[arg-type] - a FilePayload
    if not script:  # else it goes as it is chosen
        page.get_by_role("button", name="See what would change").click()


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
def test_an_editor_describes_pictures_in_a_spreadsheet(
    portal: RunningPortal, visit: Visits, api: Api, pictures: tuple[str, list[str]], tmp_path: Path, script: bool
):
    id, ids = pictures
    page = visit("editor", java_script_enabled=script)
    if not script:
        visit.watch_of(page).may(r"^failed: GET .*/static/.*\.js csp$", r"^console: Blocked script execution")
    page.goto(f"{portal.url}/settings/texts")
    page.get_by_label("Pictures of").select_option("Inventory items")
    page.get_by_label("Only those without alt text").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "texts.csv")
    lines = table(tmp_path / "texts.csv", ids)
    assert [line["name"] for line in lines] == ["Fjord mug", "Fjord mug"]
    lines[0]["alt_text"], lines[1]["decorative"] = "Slate blue mug", "yes"
    look_through(page, [*lines, {**lines[0], "image_id": "mug"}], script)
    expect(page.get_by_role("heading", name="2 pictures would change")).to_be_visible()
    expect(page.get_by_text("Line 4")).to_be_visible()
    page.get_by_role("button", name="Change 2 pictures").click()
    done = page.get_by_role("heading", name="2 pictures changed")
    again = page.get_by_role("link", name="Look again")
    expect(done.or_(again)).to_be_visible()
    while not script and again.is_visible():  # each look is a whole page
        again.click()
        expect(done.or_(again)).to_be_visible()
    expect(done).to_be_visible()
    shown = {image["id"]: image for image in api.gallery("inventory_items", id)}
    assert shown[ids[0]]["alt_text"] == "Slate blue mug"
    assert shown[ids[1]]["decorative"] is True
