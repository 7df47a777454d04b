"""What is given to the tray arrives, each file once, whatever happens to the page, the browser, the network or the portal."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Error, FilePayload, Page, Playwright, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, launching, new_id
from tests.e2e.held import Held, rows
from tests.e2e.pages import PASSWORD, READY_MS, Gallery, SignIn, payload
from tests.e2e.server import RunningPortal, wait_until_gone
from tests.e2e.test_access import check
from tests.e2e.waits import wait_until
from tests.e2e.watch import Watch

TYPE = "inventory_items"
NO_INDEXED_DB = (
    "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('none', 'SecurityError'); } });"
)
COUNT_KEPT = """() => new Promise((done) => {
  indexedDB.open("portal-uploads").onsuccess = ({ target: { result } }) => {
    const counting = result.transaction("files").objectStore("files").count();
    counting.onsuccess = () => (result.close(), done(counting.result));
  };
})"""
BROKEN = r"^failed: (POST|GET) .* net::ERR_"


@pytest.fixture
def id(api: Api) -> str:
    """An empty gallery."""
    made = new_id()
    api.put_entity(TYPE, made, f"Tray {made}")
    return made


@pytest.fixture
def gallery(portal: RunningPortal, visit: Visits, id: str) -> Gallery:
    """The same, open on its editor's screen."""
    return Gallery(visit("editor"), portal.url).open(id)


def files(*numbers: int) -> list[FilePayload]:
    return [payload(f"{number}.jpg", samples.shapes(number)) for number in numbers]


def expect_each_once(api: Api, gallery: Gallery, id: str, *numbers: int) -> None:
    """On the page and in the portal; the tray has nothing more to do."""
    gallery.page.bring_to_front()  # a page behind another one is drawn once a second
    gallery.expect_ready(len(numbers))
    expect(rows(gallery.page)).to_have_count(0)
    found = Counter(image["filename"] for image in api.gallery(TYPE, id))
    assert found == {f"{number}.jpg": 1 for number in numbers}
    wait_until(gallery.page, lambda: gallery.page.evaluate(COUNT_KEPT) == 0, "what is kept would come back")
    gallery.page.reload()
    expect(gallery.cards).to_have_count(len(numbers))


def button(page: Page, name: str) -> None:
    page.locator("#upload-tray").get_by_role("button", name=name, exact=True).click()


def test_a_refresh_in_the_middle_loses_nothing(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page)
    gallery.drop(files(1, 2, 3, 4, 5))
    held.expect_sending(3)
    gallery.page.reload()
    expect(rows(gallery.page)).to_have_count(5)
    held.expect_sending(3)
    held.forget()
    gallery.page.reload()
    expect_each_once(api, gallery, id, 1, 2, 3, 4, 5)


def test_what_was_stored_but_never_acknowledged_is_not_stored_twice(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page, unheard=True)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    held.forget()
    assert len(api.gallery(TYPE, id)) == 3
    gallery.page.reload()
    expect_each_once(api, gallery, id, 1, 2, 3, 4)


def test_a_crash_of_the_tab_loses_nothing(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    with pytest.raises(Error, match="crash"):
        gallery.page.goto("chrome://crash")
    again = Gallery(gallery.page.context.new_page(), gallery.url).open(id)
    expect_each_once(api, again, id, 1, 2, 3, 4)


def test_a_restart_of_the_browser_loses_nothing(
    playwright: Playwright, portal: RunningPortal, api: Api, id: str, tmp_path: Path
):
    def start() -> tuple[Gallery, Watch]:
        context = playwright.chromium.launch_persistent_context(tmp_path / "profile", **launching())
        watch = Watch(context, {portal.url})
        return Gallery(context.new_page(), portal.url), watch

    gallery, watch = start()
    SignIn(gallery.page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    held = Held(gallery.open(id).page)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    gallery.page.context.close()
    watch.check()
    gallery, watch = start()
    gallery.open(id)
    expect_each_once(api, gallery, id, 1, 2, 3, 4)
    gallery.page.context.close()
    watch.check()


def test_a_camera_s_card_may_be_pulled_out_once_the_files_are_in_the_tray(
    gallery: Gallery, visit: Visits, api: Api, id: str, tmp_path: Path
):
    visit.watch_of(gallery.page).may(BROKEN)
    gallery.page.context.set_offline(True)
    for number in (1, 2):
        samples.write(tmp_path, f"{number}.jpg", samples.shapes(number))
    gallery.page.locator("#upload-files").set_input_files([tmp_path / "1.jpg", tmp_path / "2.jpg"])
    expect(rows(gallery.page, "uploading").filter(has_text="There is no network.")).to_have_count(2)
    for number in (1, 2):
        (tmp_path / f"{number}.jpg").unlink()
    gallery.page.context.set_offline(False)
    expect_each_once(api, gallery, id, 1, 2)


def test_a_portal_that_is_killed_is_waited_for(
    gallery: Gallery, visit: Visits, portal: RunningPortal, api: Api, id: str
):
    visit.watch_of(gallery.page).may(BROKEN, r"^50\d: ")
    held = Held(gallery.page)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    portal.kill()
    wait_until_gone(portal.url)
    try:
        held.let_go()
        expect(rows(gallery.page, "uploading").filter(has_text="Trying again")).to_have_count(3)
    finally:
        portal.start()
    expect_each_once(api, gallery, id, 1, 2, 3, 4)


def test_a_network_that_is_away_is_waited_for(gallery: Gallery, visit: Visits, api: Api, id: str):
    visit.watch_of(gallery.page).may(BROKEN)
    context = gallery.page.context
    context.set_offline(True)
    gallery.drop(files(1, 2))
    expect(rows(gallery.page, "uploading").filter(has_text="There is no network. Trying again")).to_have_count(2)
    context.set_offline(False)
    expect_each_once(api, gallery, id, 1, 2)


def test_pause_holds_everything_also_over_a_refresh_and_resume_lets_it_go(gallery: Gallery, api: Api, id: str):
    page = gallery.page
    held = Held(page)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    button(page, "Pause")
    expect(rows(page, "waiting").filter(has_text="Paused")).to_have_count(4)
    expect(page.locator("#upload-voice")).to_contain_text("paused")
    held.forget()
    page.reload()
    expect(rows(page, "waiting").filter(has_text="Paused")).to_have_count(4)
    expect(page.locator("#upload-tray")).to_contain_text("0 of 4 · paused")
    button(page, "Resume")
    expect_each_once(api, gallery, id, 1, 2, 3, 4)


def test_retry_all_sends_what_was_refused_for_the_moment(gallery: Gallery, visit: Visits, api: Api, id: str):
    visit.watch_of(gallery.page).may(r"^404: ")
    assert api.client.delete(f"/api/entities/{TYPE}/{id}").status_code == 204
    gallery.drop([*files(1, 2), payload("offer.jpg", b"%PDF-1.7" + bytes(100))])
    expect(rows(gallery.page, "refused")).to_have_count(3)
    api.put_entity(TYPE, id, "There again")
    gallery.page.reload()
    expect(rows(gallery.page, "refused")).to_have_count(3)
    button(gallery.page, "Retry all")
    gallery.expect_ready(2)
    expect(rows(gallery.page)).to_have_count(1)
    gallery.row("offer.jpg").get_by_role("button", name="Dismiss offer.jpg").click()
    expect_each_once(api, gallery, id, 1, 2)


def test_cancel_all_forgets_and_one_may_still_be_added(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page)
    gallery.drop(files(1, 2, 3, 4, 5))
    held.expect_sending(3)
    button(gallery.page, "Cancel all")
    expect(rows(gallery.page, "cancelled")).to_have_count(5)
    held.forget()
    gallery.row("2.jpg").get_by_role("button", name="Try again").click()
    gallery.expect_ready(1)
    gallery.page.get_by_role("button", name="Dismiss all").press("Enter")
    expect(gallery.page.locator("#upload-files")).to_be_focused()
    expect_each_once(api, gallery, id, 2)


def test_other_pages_name_the_gallery_that_files_wait_for(gallery: Gallery, api: Api, axe: str, id: str):
    page = gallery.page
    held = Held(page)
    gallery.drop(files(1, 2, 3))
    held.expect_sending(3)
    held.forget()
    page.goto(f"{gallery.url}/")
    notice = page.locator("#waiting-uploads .notice")
    expect(notice).to_contain_text(f"3 pictures wait to be uploaded to Tray {id}")
    check(page, axe)
    notice.get_by_role("link", name="Open the gallery").click()
    expect_each_once(api, gallery, id, 1, 2, 3)
    page.goto(f"{gallery.url}/trash")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(notice).to_have_count(0)


def test_what_may_have_arrived_is_not_said_to_be_cancelled_for_certain(gallery: Gallery):
    page = gallery.page
    held = Held(page)
    gallery.drop(files(1, 2))
    held.expect_sending(2)
    gallery.row("1.jpg").get_by_role("button", name="Cancel").click()
    expect(gallery.row("1.jpg")).to_contain_text("Nothing was added.")
    button(page, "Pause")
    gallery.row("2.jpg").get_by_role("button", name="Cancel").click()
    expect(gallery.row("2.jpg")).to_contain_text("it may show in the gallery all the same")


def test_what_waits_can_be_discarded_by_two_presses(gallery: Gallery, api: Api, id: str):
    page = gallery.page
    held = Held(page)
    gallery.drop(files(1, 2))
    held.expect_sending(2)
    held.forget()
    page.goto(f"{gallery.url}/")
    page.get_by_role("button", name="Discard", exact=True).focus()
    page.keyboard.press("Enter")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as on the way back to this tab
    assert page.evaluate(COUNT_KEPT) == 4  # two records a file; asked after the notice has asked
    expect(page.get_by_role("button", name="Discard 2 for good")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#waiting-uploads .notice")).to_have_count(0)
    gallery.open(id)
    expect_each_once(api, gallery, id)


def test_where_nothing_can_be_kept_the_row_says_so_and_leaving_asks(
    portal: RunningPortal, visit: Visits, api: Api, id: str
):
    page = visit("editor")
    page.add_init_script(NO_INDEXED_DB)
    gallery = Gallery(page, portal.url).open(id)
    held = Held(page)
    gallery.drop(files(1, 2))
    held.expect_sending(2)
    expect(rows(page).filter(has_text="Only in this tab")).to_have_count(2)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("heading", level=1).click()  # browsers ask only where somebody has done something
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.assign('/'))")
    assert asked == ["beforeunload"]
    held.let_go()
    gallery.expect_ready(2)
    assert len(api.gallery(TYPE, id)) == 2


def test_a_file_that_waited_longer_than_its_key_lives_is_not_stored_twice(
    gallery: Gallery, visit: Visits, api: Api, id: str
):
    """It was asked for as a second copy; a day later nobody knows any more whether that got through."""
    page = gallery.page
    api.add_picture(TYPE, id, "first.jpg", samples.shapes(1))
    gallery.drop(files(1))
    held = Held(page, unheard=True)
    gallery.row("1.jpg").get_by_role("button", name="Keep both").click()
    held.expect_sending(1)
    held.forget()
    page.evaluate(
        """() => new Promise((done) => {
          indexedDB.open("portal-uploads").onsuccess = ({ target }) => {
            const transaction = target.result.transaction("files", "readwrite");
            transaction.oncomplete = done;
            transaction.objectStore("files").openCursor().onsuccess = ({ target: { result } }) => {
              if (!result) return;
              result.update({ ...result.value, keyAt: Date.now() - 24 * 3600 * 1000 });
              result.continue();
            };
          };
        })"""
    )
    visit.watch_of(page).expect(r"^409: POST .*/images$")
    page.reload()
    gallery.row("1.jpg").get_by_role("button", name="Use the one you have").click()
    expect(rows(page)).to_have_count(0)
    assert len(api.gallery(TYPE, id)) == 2


def test_forty_files_arrive_each_once_with_progress_and_few_words_spoken(gallery: Gallery, api: Api, id: str):
    page = gallery.page
    page.evaluate(
        """() => {
          window.said = [];
          new MutationObserver(() => window.said.push(document.getElementById("upload-voice").textContent))
            .observe(document.getElementById("upload-voice"), { childList: true, characterData: true, subtree: true });
        }"""
    )
    held = Held(page)
    gallery.drop(files(*range(40)))
    held.expect_sending(3)
    expect(page.locator("#tray-title")).to_have_text("Adding 40 pictures")
    expect(page.locator("#upload-tray [data-part=counts]")).to_have_text(re.compile(r"^0 of 40"))
    held.let_go()
    expect(gallery.cards).to_have_count(40, timeout=2 * READY_MS)
    expect(page.locator("#upload-voice")).to_have_text("40 of 40 pictures added")
    said = page.evaluate("window.said")
    assert said[-1] == "40 of 40 pictures added"
    assert len(said) <= 6
    expect(page.locator(".image-card[aria-busy]")).to_have_count(0, timeout=2 * READY_MS)
    assert Counter(image["filename"] for image in api.gallery(TYPE, id)) == {f"{number}.jpg": 1 for number in range(40)}


def test_the_tray_works_by_keys_and_axe_finds_nothing(gallery: Gallery, api: Api, axe: str, id: str):
    page = gallery.page
    held = Held(page)
    gallery.drop([*files(1, 2, 3, 4), payload("offer.jpg", b"%PDF-1.7" + bytes(100))])
    held.expect_sending(3)
    check(page, axe)
    page.locator("#upload-files").focus()
    for name in ("Pause", "Cancel all", "Hide", "Cancel 1.jpg"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Dismiss 1.jpg")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel 2.jpg")).to_be_focused()
    held.let_go()
    gallery.row("offer.jpg").get_by_role("button", name="Dismiss").press("Enter")
    expect_each_once(api, gallery, id, 2, 3, 4)
