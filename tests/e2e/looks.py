"""What holds for every page: axe finds nothing, nothing hangs over the edge, fingers hit what they aim at, nothing jumps, and
little has to be loaded. Keeps each page's four pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Page, expect

from tests.e2e.waits import wait_for_answers

RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SCHEMES: Final[list[tuple[Literal["light", "dark"], list[str]]]] = [
    ("light", RULES),
    ("dark", ["color-contrast"]),  # all that it changes
]
RUN_AXE: Final = """async (names) => {
  const type = names[0].startsWith("wcag") ? "tag" : "rule";
  const rules = type === "tag" ? { "target-size": { enabled: true } } : {};
  const { violations } = await axe.run({ runOnly: { type, values: names }, rules, resultTypes: ["violations"] });
  const told = (node) => `${node.html.slice(0, 160)} — ${node.failureSummary}`;
  return violations.map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 4).map(told) }));
}"""
# what is wider than the window, unless it scrolls within a box of its own
OVERHANGING: Final = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1)
    .slice(0, 5).map((e) => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
}"""
# Where a finger lands 21 px beside the middle it still hits the same thing, its label, or what stands for it; links within a
# sentence are as high as its lines (WCAG 2.5.8 leaves them out as well), and `.open` is the whole card or row.
SMALL_TARGETS: Final = """() => {
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  const isInText = (e) => e.matches("a") && getComputedStyle(e).display === "inline";
  const isShown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: false })
    && !e.closest(".sr, .skip, [inert], .crumbs") && !e.matches(":disabled");
  const small = [];
  for (const one of document.querySelectorAll(CONTROLS)) {
    if (!isShown(one) || isInText(one) || one.matches(".open")) continue;
    const label = one.closest("label") ?? (one.type === "file" ? null : one.labels?.[0]);
    const area = one.matches("[type=checkbox], [type=radio], [type=file]") ? (label ?? one) : one;
    let box = area.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    if (box.width >= 43.5 && box.height >= 43.5) continue;
    one.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    box = area.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const hits = (dx, dy) => {
      const there = document.elementFromPoint(Math.min(innerWidth - 1, Math.max(1, x + dx)), y + dy);
      return area.contains(there) || there?.closest("label")?.control === one || there?.contains(one) && there.matches("label");
    };
    const isWide = box.width >= 43.5 || (hits(-21, 0) && hits(21, 0));
    const isHigh = box.height >= 43.5 || (hits(0, -21) && hits(0, 21));
    if (!isWide || !isHigh)
      small.push(`${one.outerHTML.slice(0, 120).replace(/\\s+/g, " ")} ${Math.round(box.width)}x${Math.round(box.height)}`);
  }
  scrollTo(0, 0);
  return small;
}"""
# What opens on a page stays within the window; left of it one cannot even scroll.
OPENS_OUTSIDE: Final = """() => {
  const outside = [];
  const look = (one, isFixed) => {
    const { left, right, top } = one.getBoundingClientRect();
    const isOutside = left < 0 || right > innerWidth || (isFixed && top < 0);
    if (isOutside) outside.push(`${one.outerHTML.slice(0, 80)} ${left} to ${right}, ${top}`);
  };
  for (const adder of document.querySelectorAll("details.adder:not([open])")) {
    adder.open = true;
    for (const inside of adder.querySelectorAll(":scope > :not(summary)")) look(inside, false);
    adder.open = false;
  }
  const more = document.getElementById("more");
  more?.showPopover();
  if (more) look(more, true);
  more?.hidePopover();
  return outside;
}"""
# a part that shares its id is never renewed, or in another's place
TWICE: Final = """() => {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""
SHIFTED: Final = """() => document.fonts.ready.then(() => new Promise((resolve) => {
  const moved = (entry) => entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 80) ?? "gone").join(", ");
  const seen = [];
  const isOurs = ({ hadRecentInput, value }) => !hadRecentInput && value > 0.0005;
  const take = (list) => seen.push(...list.filter(isOurs).map((entry) => `${entry.value.toFixed(4)}: ${moved(entry)}`));
  const watcher = new PerformanceObserver((list) => take(list.getEntries()));
  watcher.observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => { take(watcher.takeRecords()); watcher.disconnect(); resolve(seen); }));
}))"""
WEIGHT: Final = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .filter(({ initiatorType, name }) => initiatorType === "navigation" || /\\.(css|js)(\\?|$)/.test(name))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""
MOST_BYTES: Final = 150_000
FINGER: Final = 390


def look_at(page: Page, axe: str) -> list[str]:
    """Both schemes at both widths; and nothing overhangs, on tablets and the narrowest phones neither. It looks at a page that
    has come to rest; where one leads there by a link, wait first for what only that page says."""
    problems: list[str] = []
    _rest(page)
    page.evaluate(axe)
    problems += [f"twice: #{each}" for each in page.evaluate(TWICE)]
    for width in (1280, FINGER):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for violation in page.evaluate(RUN_AXE, rules):
                problems += [f"{width} {scheme} {violation['id']}: {node}" for node in violation["nodes"]]
    for width in (820, FINGER, 320):
        page.set_viewport_size({"width": width, "height": 700})
        problems += [f"{width} overhanging: {each}" for each in page.evaluate(OVERHANGING)]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("window.isLookedAt = false")
    return problems


def check(page: Page, axe: str) -> None:
    problems = look_at(page, axe)
    assert not problems, "\n".join(problems)


def loaded(page: Page, address: str, width: int) -> list[str]:
    """Opens it at this width: what moved by itself, and whether it is heavier than a page may be."""
    page.set_viewport_size({"width": width, "height": 800})
    problems = _moved(page, address, width)
    weight: int = page.evaluate(WEIGHT)
    if weight > MOST_BYTES:
        problems.append(f"{width} weighs {weight} bytes")
    return problems


def _moved(page: Page, address: str, width: int) -> list[str]:
    page.goto(address)
    page.wait_for_load_state()
    wait_for_answers(page)
    return [f"{width} moved: {each}" for each in page.evaluate(SHIFTED)]


def small_targets(page: Page) -> list[str]:
    """At a phone's width."""
    _rest(page)
    page.set_viewport_size({"width": FINGER, "height": 800})
    problems = [f"{FINGER} small: {each}" for each in page.evaluate(SMALL_TARGETS)]
    return problems + [f"{FINGER} opens outside: {each}" for each in page.evaluate(OPENS_OUTSIDE)]


def keep_pictures(page: Page, folder: Path, name: str) -> None:
    """`name-1280-light.png` and its three sisters, whole pages."""
    plain = re.sub(r"\W+", "-", name)
    for width in (1280, FINGER):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme, _ in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            options: dict[str, Any] = {"full_page": True, "animations": "disabled"}
            page.screenshot(path=folder / f"{plain}-{width}-{scheme}.png", **options)


def _rest(page: Page) -> None:
    page.wait_for_load_state()
    page.evaluate("window.isLookedAt = true")
    expect(page.locator("body")).to_be_visible()
    wait_for_answers(page)
