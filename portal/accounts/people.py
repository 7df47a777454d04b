"""People as the page of users shows them: whether they are in, and by which of their browsers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from portal import database
from portal.accounts.service import ALIVE
from portal.accounts.users import UserView
from portal.errors import NotFound
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor

State = Literal["active", "invited", "disabled"]
# What a role may, as it is chosen.
ROLES_IN_WORDS: Final = {
    "viewer": "look at every gallery",
    "editor": "add, describe and order pictures",
    "admin": "do everything, also look after people and delete for good",
}
_PERSON: Final = f"""
    SELECT id, email, name, role, disabled, password_hash IS NULL AS invited, created_at, signed_in_at,
           (SELECT count(*) FROM session WHERE account = account.id AND {ALIVE}) AS sessions,
           (SELECT max(expires_at) FROM password_link
            WHERE account = account.id AND used_at IS NULL AND expires_at > now()) AS link_until
    FROM account
"""  # noqa: S608 - joined from constants


@dataclass(frozen=True, slots=True)
class PersonView:
    """`sessions`: how many browsers are signed in; `link_until`: a one-time link is out until then."""

    user: UserView
    sessions: int
    link_until: datetime | None

    @property
    def state(self) -> State:
        if self.user.disabled:
            return "disabled"
        return "invited" if self.user.invited else "active"

    @property
    def initials(self) -> str:
        words = (self.user.name or self.user.email).split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


async def list_people(cursor: str | None, limit: int = 50) -> Page[PersonView]:
    """By address. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str])
    rows = await database.fetch(
        f"{_PERSON} WHERE lower(email) > $1 ORDER BY lower(email) LIMIT $2", after[0] if after else "", limit + 1
    )
    total = await database.fetch_value(
        "SELECT count(*) FROM (SELECT FROM account LIMIT $1) AS counted", EXACT_UP_TO + 1
    )
    people = [_view(row) for row in rows[:limit]]
    return Page(people, total, encode_cursor([people[-1].user.email.lower()]) if len(rows) > limit else None)


async def get_person(id: UUID) -> PersonView:
    """Raises NotFound."""
    row = await database.fetch_row(f"{_PERSON} WHERE id = $1", id)
    if row is None:
        raise NotFound("There is no such account.")
    return _view(row)


def _view(row: Any) -> PersonView:
    values = dict(row)
    sessions, link_until = values.pop("sessions"), values.pop("link_until")
    return PersonView(UserView(**values), sessions, link_until)
