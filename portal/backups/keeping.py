"""Which backups stay, and by which rules; pure.

As restic's `forget`: the newest so many, and the newest of each of the last so many days, ISO weeks, months and years that have
one, by the portal's zone. Backups of different entity types have their own days: one of customers alone stands for no other.
Those of other portals that share the place stay, whatever the rules: each prunes its own, and what a portal made before it was
restored on another machine goes by hand. One that does not say whose it is counts as ours only where no other's lie.
A damaged one counts for nothing, and stays itself for as long as it would if it were sound. Restore points stay for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from portal.backups.listing import BackupView
from portal.settings import ENTITY_TYPES, Keep

POINT_DAYS: Final = timedelta(days=14)
POINTS: Final = 3  # the newest of them stay, however old
ARRIVED: Final = timedelta(days=7)
ANOTHERS: Final = "belongs to another portal"
_LATE: Final = timedelta(days=1)  # a root that was written so long after its backup came from elsewhere

_Period = Callable[[datetime], tuple[int, ...]]
_PERIODS: Final[Mapping[str, _Period]] = {
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: tuple(at.isocalendar())[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: (at.year,),
}


def rules_that_keep(
    views: Iterable[BackupView], keep: Keep, zone: ZoneInfo, now: datetime, arrived: Mapping[str, datetime], ours: str
) -> dict[str, list[str]]:
    """By the id of what stays. `arrived`: when each root was written where it lies; `ours`: the id of who prunes."""
    found: dict[str, list[str]] = {}

    def stays(view: BackupView, rule: str) -> None:
        found.setdefault(view.id, []).append(rule)

    known = sorted(views, key=lambda view: view.begun_at, reverse=True)
    finished = [view for view in known if view.state in ("complete", "damaged")]
    mine = made_by_us(finished, ours)
    for view in finished:
        if view not in mine:
            stays(view, ANOTHERS)
    _keep_points([view for view in mine if view.reason == "restore_point"], now, stays)
    usual = [view for view in mine if view.reason != "restore_point"]
    # one whose root cannot be read may be of all
    for group in _parted(usual, lambda view: frozenset(view.entity_types or ENTITY_TYPES)):
        _keep_of_group(group, keep, zone, stays)
    for view in known:
        if view.state in ("foreign", "running"):
            stays(view, view.state)
        if view.complete and _has_just_arrived(view, arrived.get(view.id), now):
            stays(view, "arrived")
    return found


def _keep_of_group(
    group: Sequence[BackupView], keep: Keep, zone: ZoneInfo, stays: Callable[[BackupView, str], None]
) -> None:
    sound = [view for view in group if is_sound(view)]
    for view, rule in _by_rules(sound, keep, zone):
        stays(view, rule)
    for view in {view.id: view for view, _ in _by_rules(group, keep, zone) if not is_sound(view)}.values():
        stays(view, "damaged")
    for view in (sound or [view for view in group if view.complete])[:1]:
        stays(view, "newest")


def is_sound(view: BackupView) -> bool:
    """As far as anybody has looked."""
    return view.complete and not view.wrong


def made_by_us(views: Sequence[BackupView], ours: str) -> list[BackupView]:
    is_shared = any(view.portal not in ("", ours) for view in views)
    return [view for view in views if view.portal == ours or not (view.portal or is_shared)]


def _parted(views: Sequence[BackupView], by: Callable[[BackupView], Hashable]) -> list[list[BackupView]]:
    groups: dict[Hashable, list[BackupView]] = {}
    for view in views:
        groups.setdefault(by(view), []).append(view)
    return list(groups.values())


def _by_rules(views: Sequence[BackupView], keep: Keep, zone: ZoneInfo) -> list[tuple[BackupView, str]]:
    """Newest first, as they are given."""
    found = [(view, "last") for view in views[: keep.last]]
    for rule, period in _PERIODS.items():
        newest: dict[tuple[int, ...], BackupView] = {}
        for view in views:
            newest.setdefault(period(view.begun_at.astimezone(zone)), view)
        found += [(view, rule) for view in list(newest.values())[: getattr(keep, rule)]]
    return found


def _keep_points(points: Sequence[BackupView], now: datetime, stays: Callable[[BackupView, str], None]) -> None:
    for place, view in enumerate(view for view in points if view.complete):
        if place < POINTS or now - view.begun_at < POINT_DAYS:
            stays(view, "restore point")


def _has_just_arrived(view: BackupView, at: datetime | None, now: datetime) -> bool:
    """Somebody has brought it here, to restore it."""
    if at is None or view.created_at is None:
        return False
    return at - view.created_at > _LATE and now - at < ARRIVED
