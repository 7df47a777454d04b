"""Which backups stay: as restic's forget does it, and what damage, restore points and other types change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.backups.keeping import rules_that_keep
from portal.backups.listing import BackupView
from portal.settings import ENTITY_TYPES, Keep

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def backup(at: datetime, **facts: Any) -> BackupView:
    said = {"complete": facts.get("state", "complete") == "complete", "state": "complete", "created_at": at}
    return BackupView(**{"id": at.isoformat(), "begun_at": at, "entity_types": ENTITY_TYPES} | said | facts)


def nightly(nights: int) -> list[BackupView]:
    """At two in the morning in Berlin, newest first."""
    return [backup(datetime(2026, 11, 23, 1, 0, tzinfo=UTC) - timedelta(days=night)) for night in range(nights)]


def kept(views: list[BackupView], keep: Keep, **arrived: Any) -> dict[str, list[str]]:
    return rules_that_keep(views, keep, BERLIN, NOW, arrived, "ours")


def test_the_newest_of_each_day_week_and_month_stay() -> None:
    views = nightly(400)
    found = kept(views, Keep(daily=7, weekly=4, monthly=6))
    assert [view.id for view in views[:7]] == [view.id for view in views if "daily" in found.get(view.id, ())]
    weekly = [view.begun_at for view in views if "weekly" in found.get(view.id, ())]
    assert [each.day for each in weekly] == [23, 22, 15, 8]
    monthly = [view.begun_at for view in views if "monthly" in found.get(view.id, ())]
    assert [(each.month, each.day) for each in monthly] == [(11, 23), (10, 31), (9, 30), (8, 31), (7, 31), (6, 30)]
    assert found[views[0].id] == ["daily", "weekly", "monthly", "newest"]
    assert len(found) == 7 + 2 + 5


def test_a_day_is_that_of_the_portals_zone() -> None:
    late, early = backup(datetime(2026, 11, 20, 23, 30, tzinfo=UTC)), backup(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    assert set(kept([late, early], Keep(daily=7))) == {early.id}  # both on the 21st in Berlin


def test_the_last_so_many_stay_and_years_count() -> None:
    views = nightly(800)
    assert set(kept(views, Keep(last=3))) == {view.id for view in views[:3]}
    yearly = kept(views, Keep(yearly=5))
    assert [view.begun_at.year for view in views if view.id in yearly] == [2026, 2025, 2024]


def test_a_damaged_one_counts_for_nothing_and_stays_as_long_as_a_sound_one_would() -> None:
    views = nightly(10)
    views[0] = backup(views[0].begun_at, wrong=3)
    views[1] = backup(views[1].begun_at, state="damaged", entity_types=())
    found = kept(views, Keep(daily=3))
    assert [view.id for view in views if "daily" in found.get(view.id, ())] == [view.id for view in views[2:5]]
    assert (found[views[0].id], found[views[1].id]) == (["damaged"], ["damaged"])
    assert "newest" in found[views[2].id]
    old = [*nightly(5), backup(NOW - timedelta(days=90), state="damaged", entity_types=())]
    assert old[-1].id not in kept(old, Keep(daily=3))


def test_one_of_customers_alone_takes_no_day_of_the_whole_ones() -> None:
    views = nightly(3)
    part = backup(views[0].begun_at + timedelta(hours=5), entity_types=("customers",))
    found = kept([part, *views], Keep(daily=2))
    assert [view.id for view in views if view.id in found] == [view.id for view in views[:2]]
    assert found[part.id] == ["daily", "newest"]


def test_the_newest_complete_one_stays_whatever_the_rules() -> None:
    (view,) = nightly(1)
    assert kept([view], Keep()) == {view.id: ["newest"]}
    assert kept([backup(view.begun_at, wrong=1)], Keep()) == {view.id: ["newest"]}


def test_restore_points_stay_for_two_weeks_and_three_of_them_for_good() -> None:
    points = [backup(NOW - timedelta(days=day), reason="restore_point") for day in (1, 13, 15, 16, 400)]
    found = kept([*nightly(2), *points], Keep(last=2))
    assert [view.id in found for view in points] == [True, True, True, False, False]
    young = [backup(NOW - timedelta(days=day), reason="restore_point") for day in range(10)]
    assert all(view.id in kept(young, Keep(last=1)) for view in young)


def test_what_was_just_brought_here_stays_for_a_week() -> None:
    old = backup(NOW - timedelta(days=900))
    views = [*nightly(5), old]
    assert old.id not in kept(views, Keep(last=1), **{old.id: old.begun_at + timedelta(hours=1)})
    assert kept(views, Keep(last=1), **{old.id: NOW - timedelta(days=2)})[old.id] == ["arrived"]
    assert old.id not in kept(views, Keep(last=1), **{old.id: NOW - timedelta(days=8)})


def test_what_is_not_ours_to_judge_stays() -> None:
    foreign = backup(NOW - timedelta(days=900), state="foreign", entity_types=())
    unfinished = backup(NOW - timedelta(days=9), state="unfinished", entity_types=())
    found = kept([*nightly(2), foreign, unfinished], Keep(last=1))
    assert found[foreign.id] == ["foreign"]
    assert unfinished.id not in found


def test_what_another_portal_has_made_stays_and_counts_for_none_of_ours() -> None:
    ours = [replace(view, portal="ours") for view in nightly(10)]
    theirs = [backup(view.begun_at + timedelta(hours=1), id=f"other {view.id}", portal="other") for view in ours]
    points = [
        backup(view.begun_at - timedelta(days=60), id=f"{view.id} p", portal="ours", reason="restore_point")
        for view in ours[:4]
    ]
    point = backup(ours[9].begun_at - timedelta(days=90), id="theirs", portal="other", reason="restore_point")
    part = backup(ours[9].begun_at, id="part", portal="other", state="damaged", entity_types=())
    found = kept([*ours, *theirs, *points, point, part], Keep(daily=3))
    assert set(found) == {view.id for view in [*ours[:3], *theirs, *points[:3], point, part]}
    assert {tuple(found[view.id]) for view in [*theirs, point, part]} == {("belongs to another portal",)}


def test_one_that_does_not_say_whose_it_is_counts_as_ours_only_where_no_other_lies() -> None:
    ours = [replace(view, portal="ours") for view in nightly(3)]
    nobodys = [backup(view.begun_at - timedelta(days=9), portal="") for view in ours]
    assert set(kept([*ours, *nobodys], Keep(last=2))) == {view.id for view in ours[:2]}
    other = backup(NOW - timedelta(days=30), portal="other")
    assert set(kept([*ours, *nobodys, other], Keep(last=2))) == {view.id for view in [*ours[:2], *nobodys, other]}
