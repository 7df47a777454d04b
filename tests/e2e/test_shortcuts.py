"""Single keys: what they do everywhere, and that none of them acts while somebody writes."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visits
from tests.e2e.server import RunningPortal

KINDS = "text search email url tel password number date datetime-local month time week color range".split()
KEYS = ["?", "/", "e", "p", "Delete", "Backspace", "ArrowLeft", "ArrowRight", "Home", "End"]
# a field of each kind at the top of the page, which tells of each key that a shortcut would take for its own
PUT_FIELDS = """(kinds) => {
  const made = kinds.map((type) => Object.assign(document.createElement("input"), { type, id: `field-of-${type}` }));
  const others = ["textarea", "select"].map((name) => document.createElement(name));
  const editable = document.createElement("div");
  editable.contentEditable = "true";
  const all = [...made, ...others, editable];
  document.querySelector("main").prepend(...all);
  window.taken = [];
  document.addEventListener("keydown", (event) => event.defaultPrevented && window.taken.push(event.key));
  return Promise.all(["./shortcuts.js"].map((path) => import(new URL(path, document.querySelector("script[type=module]").src))))
    .then(([{ isShortcut }]) => all.flatMap((field) => KEYS.filter((key) => {
      let isOurs = false;
      field.addEventListener("keydown", (event) => (isOurs = isShortcut(event)), { once: true });
      field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      return isOurs;
    }).map((key) => `${field.type ?? field.tagName} ${key}`)));
}"""


def opened(visit: Visits, portal: RunningPortal, path: str) -> Page:
    page = visit("editor")
    page.goto(portal.url + path)
    return page


def test_no_key_acts_inside_any_kind_of_field(portal: RunningPortal, visit: Visits):
    page = opened(visit, portal, "/account")
    assert page.evaluate(PUT_FIELDS.replace("KEYS", str(KEYS)), KINDS) == []
    assert page.evaluate("window.taken") == []
    expect(page.get_by_role("dialog")).to_have_count(0)
    date = page.locator("#field-of-date")
    date.focus()
    for key in KEYS:
        page.keyboard.press(key)
    expect(date).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_question_mark_shows_on_every_page_what_keys_do(portal: RunningPortal, visit: Visits):
    for path in ("/", "/coverage", "/maintenance/jobs", "/settings/embeds", "/no/such/page"):
        page = visit("editor")
        visit.watch_of(page).may(r"^404: GET .*/no/such/page")
        page.goto(portal.url + path)
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keys", exact=True)
        expect(dialog).to_contain_text("Everywhere")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_who_has_no_keyboard_for_it_opens_the_keys_by_a_button(portal: RunningPortal, visit: Visits):
    page = opened(visit, portal, "/account")
    button = page.get_by_role("button", name="Keys", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Keys", exact=True)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").press("Enter")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_the_first_tab_leads_past_the_menu(portal: RunningPortal, visit: Visits):
    page = opened(visit, portal, "/account")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
