"""Every page there is, and where it lies. `tests/unit/test_every_page.py` holds this list to the templates."""

from __future__ import annotations

from typing import Final, NamedTuple


class Spot(NamedTuple):
    template: str
    address: str  # {image}, {trashed}: of the shop in test_access.py
    link: str = ""  # where it has an id that nobody knows beforehand: the link on `address` that leads there
    has_shell: bool = True  # else it is shown in other sites' frames or on paper, by other rules


ITEMS: Final = "/entities/inventory_items"
LIST: Final = "entities/list.html"
FRAME: Final = "embed/gallery.html"
PAGES: Final[dict[str, Spot]] = {
    "overview": Spot("overview/show.html", "/"),
    "search": Spot("overview/search.html", "/search?q=mug"),
    "search with filters": Spot("overview/search.html", "/search?q=type:inventory_items missing:alt"),
    "search that finds nothing": Spot("overview/search.html", "/search?q=zebra"),
    "find by photo": Spot("overview/photo.html", "/search/photo"),
    "items": Spot(LIST, ITEMS),
    "items without a picture": Spot(LIST, f"{ITEMS}?missing=image"),
    "categories": Spot(LIST, "/entities/categories"),
    "invoices": Spot(LIST, "/entities/invoices"),
    "customers": Spot(LIST, "/entities/customers"),
    "companies": Spot(LIST, "/entities/companies"),
    "coverage": Spot("entities/coverage.html", "/coverage"),
    "gallery": Spot("gallery/show.html", f"{ITEMS}/AX-MUG"),
    "empty gallery": Spot("gallery/show.html", f"{ITEMS}/AX-EMPTY"),
    "invoice's gallery": Spot("gallery/show.html", "/entities/invoices/AX-INV"),
    "image": Spot("gallery/image.html", "/images/{image}"),
    "trashed image": Spot("gallery/image.html", "/images/{trashed}"),
    "trash": Spot("gallery/trash.html", "/trash"),
    "emptying the trash": Spot("gallery/trash_delete.html", "/trash/empty"),
    "texts": Spot("gallery/texts.html", "/settings/texts"),
    "jobs": Spot("maintenance/jobs.html", "/maintenance/jobs"),
    "failed jobs": Spot("maintenance/jobs.html", "/maintenance/jobs?state=failed"),
    "account": Spot("accounts/account.html", "/account"),
    "people": Spot("accounts/users.html", "/settings/users"),
    "one person": Spot("accounts/user.html", "/settings/users", "main a[href*='/settings/users/']"),
    "tokens": Spot("accounts/tokens.html", "/settings/tokens"),
    "embed keys": Spot("embed/keys.html", "/settings/embeds?type=invoices&id=AX-INV"),
    "storage": Spot("maintenance/show.html", "/maintenance"),
    "statistics": Spot("maintenance/statistics.html", "/maintenance/statistics"),
    "usage": Spot("maintenance/usage.html", "/maintenance/usage"),
    "performance": Spot("maintenance/performance.html", "/maintenance/performance"),
    "health": Spot("maintenance/health.html", "/maintenance/health"),
    "quarantine": Spot("maintenance/quarantine.html", "/maintenance/quarantine"),
    "advice": Spot("maintenance/advice.html", "/maintenance/advice"),
    "advice on one thing": Spot("maintenance/advice_list.html", "/maintenance/advice/alt-text"),
    "backups": Spot("backups/list.html", "/maintenance/backups"),
    "sizes": Spot("maintenance/presets.html", "/maintenance/presets"),
    "one size": Spot("maintenance/preset.html", "/maintenance/presets/gallery"),
    "audit log": Spot("maintenance/audit.html", "/maintenance/audit"),
    "style guide": Spot("web/styleguide.html", "/styleguide"),
    "nothing here": Spot("web/error.html", "/no/such/page"),
    "embedded grid": Spot(FRAME, "/embed/inventory_items/AX-MUG", has_shell=False),
    "embedded strip": Spot(FRAME, "/embed/inventory_items/AX-MUG?layout=strip", has_shell=False),
    "embedded carousel": Spot(FRAME, "/embed/inventory_items/AX-MUG?layout=carousel", has_shell=False),
    "item's card": Spot("embed/card.html", "/cards/inventory_items/AX-MUG", has_shell=False),
    "invoice's card": Spot("embed/invoice.html", "/cards/invoices/AX-INV", has_shell=False),
}
# what no address alone leads to, and who looks at it
ELSEWHERE: Final = {
    "accounts/login.html": "test_access.py",
    "accounts/password.html": "test_access.py",
    "accounts/setup.html": "test_first_day.py",
    "backups/backup.html": "test_backups.py",
    "backups/run.html": "test_backups.py",
    "embed/label.html": "test_card_print.py",
    "gallery/batch.html": "without script alone",
    "web/standstill.html": "test_standstill.py",
}
