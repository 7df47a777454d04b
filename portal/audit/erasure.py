"""A person's name leaves the audit, whose lines and chain stay, and every other row that says who did something."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.audit.actors import Actor
from portal.audit.chain import HALF
from portal.audit.sealing import Keys, seal_lines
from portal.audit.service import record
from portal.errors import FormError, NotFound

_NUMBER: Final = """
    INSERT INTO portal_state AS kept (name, value) VALUES ('audit_erased', '1')
    ON CONFLICT (name) DO UPDATE SET value = to_jsonb((kept.value #>> '{}')::int + 1) RETURNING (value #>> '{}')::int
"""
# What holds the address anywhere, the name as a whole value, or is about the account.
_HOLDING: Final = """
    SELECT change.audit FROM audit_change AS change JOIN audit ON audit.pk = change.audit
    WHERE (change.before IS NOT NULL OR change.after IS NOT NULL)
      AND (position($1 IN lower(concat(change.before::text, ' ', change.after::text))) > 0
        OR position($2 IN concat(change.before::text, ' ', change.after::text)) > 0
        OR (audit.subject_type = 'user' AND audit.subject_id = $3) OR (audit.actor = $4 AND audit.action LIKE 'session.%'))
"""
# The half of the salt that is erased becomes zeros; the whole goes when the other half is gone or was for nothing.
_ERASE_ACTORS: Final = f"""
    UPDATE audit_leaf SET erased_at = now(),
        salt = CASE WHEN change_hash IS NULL OR substring(salt FROM {HALF + 1}) = $2 THEN NULL
                    ELSE $2 || substring(salt FROM {HALF + 1}) END
    WHERE audit = ANY($1::bigint[]) AND salt IS NOT NULL
"""  # noqa: S608 - constants
_ERASE_CHANGES: Final = f"""
    UPDATE audit_leaf SET erased_at = now(),
        salt = CASE WHEN substring(salt FROM 1 FOR {HALF}) = $2 THEN NULL ELSE substring(salt FROM 1 FOR {HALF}) || $2 END
    WHERE audit = ANY($1::bigint[]) AND salt IS NOT NULL AND substring(salt FROM {HALF + 1}) <> $2
"""  # noqa: S608 - constants
# Answers kept for a repeated POST name them for a day.
_NAMING: Final = (
    "UPDATE image SET uploaded_by = $2, revision = revision + 1 WHERE uploaded_by = $1",  # an ETag is of what it says
    "UPDATE image_version SET uploaded_by = $2 WHERE uploaded_by = $1",
    "UPDATE invoice_pin SET pinned_by = $2 WHERE pinned_by = $1",
    "UPDATE embed_key SET created_by = $2 WHERE created_by = $1",
    "UPDATE api_token SET created_by = $2 WHERE created_by = $1",
    "UPDATE job SET actor = $2 WHERE actor = $1",
    "UPDATE job_pause SET paused_by = $2 WHERE paused_by = $1",
    "UPDATE preset_change SET decided_by = $2 WHERE decided_by = $1",
    "UPDATE quarantined SET taken_by = $2 WHERE taken_by = $1",
    "UPDATE finding SET outcome = outcome || jsonb_build_object('by', $2::text) WHERE outcome ->> 'by' = $1",
)


@dataclass(frozen=True, slots=True)
class Erased:
    """How many lines got the pseudonym, of how many before and after were blanked, and how many `rows` elsewhere got it."""

    pseudonym: str
    actors: int
    changes: int
    rows: int

    @property
    def words(self) -> str:
        return (
            f"{self.actors} lines are by {self.pseudonym} now, {self.changes} lost their before and after;"
            f" {self.rows} pictures, jobs and other rows say {self.pseudonym} too."
        )


async def erase_person(email: str, *, actor: Actor, keys: Keys) -> Erased:
    """Who calls it holds the turn for sealing. Raises FormError, and NotFound when nothing says their name.

    Before and after are blanked whole where they hold the address or the name. For what is written later, run it again.
    """
    email = email.strip().lower()
    if "@" not in email or not email.isprintable():
        raise FormError({"person": "Use the e-mail address of the person."})
    if actor.name == f"user:{email}":
        raise FormError({"person": "Somebody else has to do this: your name would stand on the line about it."})
    await seal_lines(keys, thorough=True)
    async with database.transaction():
        await database.execute("SET LOCAL portal.audit_maintenance = on")
        holding = await _lines_holding(email)
        number = await database.fetch_value(_NUMBER)
        pseudonym = f"erased-{number}"
        by = await database.fetch(
            "UPDATE audit SET actor = $2 WHERE actor = $1 RETURNING pk", f"user:{email}", pseudonym
        )
        rows = await _name_elsewhere(f"user:{email}", pseudonym)
        if not by and not holding and not rows:
            raise NotFound("Nothing here says the name of this person.")
        await database.execute(
            "UPDATE audit_change SET before = NULL, after = NULL WHERE audit = ANY($1::bigint[])", holding
        )
        zeros = bytes(HALF)
        changes = await database.execute(_ERASE_CHANGES, holding, zeros)
        actors = await database.execute(_ERASE_ACTORS, [row["pk"] for row in by], zeros)
        said = {"pseudonym": pseudonym, "actors": actors, "changes": changes, "rows": rows}
        await record(actor, "audit.erase", "audit", pseudonym, after=said)
    return Erased(pseudonym, len(by), len(holding), rows)


async def _name_elsewhere(name: str, pseudonym: str) -> int:
    """In how many rows."""
    return sum([await database.execute(statement, name[:200], pseudonym) for statement in _NAMING])


async def _lines_holding(email: str) -> list[int]:
    account: Any = await database.fetch_row("SELECT id, name FROM account WHERE lower(email) = $1", email)
    name = account["name"] if account else ""
    rows = await database.fetch(
        _HOLDING,
        _in_json(email),
        f'"{_in_json(name)}"' if name else f'"{_in_json(email)}"',
        str(account["id"]) if account else "",
        f"user:{email}",
    )
    return [row["audit"] for row in rows]


def _in_json(text: str) -> str:
    """As PostgreSQL writes it between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
