"""Does the database answer, has it room for all of us, is it ours, and what time is it there?"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from portal import database
from portal.environment import CHECKOUT
from portal.maintenance.health.check import Found, Here, Remedy
from portal.maintenance.health.thresholds import CLOCK, CONNECTIONS, DATABASE
from portal.maintenance.health.words import count, size, span

_MIGRATION_ID: Final = re.compile(r'^ID = "([^"]+)"', re.MULTILINE)

AWAY: Final = Found(
    "critical",
    "PostgreSQL does not answer. Nothing can be added or changed until it does.",
    remedy=Remedy("Start PostgreSQL again and look into its log. The portal comes back by itself."),
)


async def check_database(here: Here) -> Found:
    try:
        began = time.monotonic()
        await database.fetch_value("SELECT true")
        ms = 1000 * (time.monotonic() - began)
        version = int(await database.fetch_value("SELECT current_setting('server_version_num')"))
    except Exception:  # whatever it is, everybody meets it
        return AWAY
    severity = DATABASE.judge(ms)
    remedy = (
        None if severity == "ok" else Remedy("Look what keeps the server busy: its disk, its memory, a long query.")
    )
    return Found(severity, f"PostgreSQL {version // 10_000} answers.", round(ms, 1), "ms", remedy)


async def check_connections(here: Here) -> Found:
    row = await database.fetch_row(
        """SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
                  current_setting('max_connections')::int AS most"""
    )
    assert row is not None
    percent = 100 * row["used"] / row["most"]
    severity = CONNECTIONS.judge(percent)
    words = "Raise max_connections of the server, or run fewer portal processes."
    return Found(
        severity,
        f"{count(row['used'], 'connection')} of the {row['most']} that the server allows.",
        round(percent),
        "%",
        None if severity == "ok" else Remedy(words),
    )


async def check_migrations(here: Here) -> Found:
    """Of another version than the tables, this process may fail in odd ways."""
    known = await here.threads.call("migrations", lambda: _known(CHECKOUT / "migrations"))
    if await database.fetch_value("SELECT to_regclass('migration')") is None:
        words = "Run portal migrate, or start the portal: each start migrates."
        return Found("critical", "The database holds no portal yet.", remedy=Remedy(words))
    rows = await database.fetch("SELECT name FROM migration WHERE app_name = 'portal'")
    done = {row["name"] for row in rows}
    if pending := known - done:
        words = "Run portal migrate, or restart the portal: each start migrates."
        return Found(
            "critical", f"{count(len(pending), 'change')} of the tables not made yet.", len(pending), "", Remedy(words)
        )
    if newer := done - known:
        words = "Restart this process: a newer version of the portal has changed the tables."
        return Found(
            "warning", f"{count(len(newer), 'change')} of a newer version of the portal.", len(newer), "", Remedy(words)
        )
    return Found("ok", f"All {len(known)} changes of the tables are made.")


def _known(folder: Path) -> set[str]:
    texts = (path.read_text("utf-8") for path in folder.glob("portal_*.py"))
    return {found[1] for text in texts if (found := _MIGRATION_ID.search(text))}


async def check_clock(here: Here) -> Found:
    before = here.now()
    theirs = await database.fetch_value("SELECT clock_timestamp()")
    after = here.now()
    skew = abs((theirs - (before + (after - before) / 2)).total_seconds())
    skew = max(skew - (after - before).total_seconds() / 2, 0)  # somewhere on the way there and back it was read
    severity = CLOCK.judge(skew)
    if severity == "ok":
        return Found("ok", "The database's clock and this machine's agree.", round(skew, 1), "s")
    words = "Have both machines set their clocks by NTP."
    return Found(
        severity, f"The database's clock and this machine's are {span(skew)} apart.", round(skew), "s", Remedy(words)
    )


async def check_database_size(here: Here) -> Found:
    bytes_used = await database.fetch_value("SELECT pg_database_size(current_database())")
    return Found("ok", f"The database takes {size(bytes_used)}, pictures not included.", bytes_used, "bytes")
