"""What a search asks of each picture, as conditions that may be counted and joined in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.entities.queries import counts_by_type, prefix_query
from portal.gallery.counters import stored_counts
from portal.gallery.tags import tags_meant
from portal.overview.asked import Asked
from portal.paging import EXACT_UP_TO

FEW: Final = 20_000  # pictures of a type that are read by their galleries; galleries whose pictures are
_SAMPLE: Final = 2000  # galleries
_SAMPLES: Final = (
    f"SELECT search FROM entity ORDER BY pk DESC LIMIT {_SAMPLE}",  # noqa: S608 - a constant
    f"""SELECT search FROM entity WHERE pk = ANY (ARRAY(
            SELECT generate_series(min(pk), max(pk), greatest(1, (max(pk) - min(pk)) / {_SAMPLE // 2})) FROM entity))""",  # noqa: S608 - a constant
)
_STATES: Final = {
    "failed": "(i.status = 'failed' OR i.error IS NOT NULL)",
    "waiting": "(i.status IN ('pending', 'processing') AND i.status <> 'ready')",
    "ready": "i.status = 'ready'",
    "primary": "i.is_primary",
}
_SAID: Final = "i.search @@ lower({}::text)::tsquery"
_OWNED: Final = "e.search @@ lower({}::text)::tsquery"
# A list may be long: so it is hashed where rows are walked, else gone along; `= ANY` is only joined with another index.
_OWNERS: Final = "i.entity IN (SELECT unnest({}::bigint[]))"


@dataclass(frozen=True, slots=True)
class Condition:
    """On a picture `i` and, where it says so, its entity `e`; each `{}` stands for the next of `values`. `ways`: those that any
    one of is enough. `is_quick`: an index helps to tell it beside another one; `beside`: the clause that is best then."""

    clause: str
    values: tuple[Any, ...] = ()
    has_index: bool = False
    is_quick: bool = False
    ways: tuple[Condition, ...] = ()
    beside: str = ""

    @property
    def asks_owner(self) -> bool:
        return "e." in self.clause

    def sql(self, taken: int) -> str:
        """Its places begin behind so many that are taken."""
        return self.clause.format(*(f"${taken + place + 1}" for place in range(len(self.values))))


async def conditions_of(asked: Asked) -> list[Condition] | None:
    """None where nothing can fit: nobody has used such a tag."""
    found = await _of_words(asked)
    for tag in asked.tags:
        names = await tags_meant(tag)
        if not names:
            return None
        found.append(Condition("i.tags && {}::varchar[]", (names,), has_index=True, is_quick=True))
    if asked.missing:
        found.append(Condition("i.alt_text IS NULL AND NOT i.decorative", has_index=True, is_quick=True))
    found += [_of_state(state) for state in asked.states]
    if asked.types:
        found.append(await _of_types(list(asked.types)))
    return found


def _of_state(state: str) -> Condition:
    has_index = state in ("failed", "waiting")
    return Condition(_STATES[state], has_index=has_index, is_quick=has_index or state == "primary")


async def _of_types(types: list[str]) -> Condition:
    counts = await stored_counts()
    if sum(each.pieces for each in counts if each.part == "original" and each.entity_type in types) <= FEW:
        owners: list[int] | None = await database.fetch_value(
            "SELECT array_agg(entity) FROM entity_tally WHERE type = ANY($1::text[]) AND images > 0", types
        )
        return _of_owners(owners or [])
    return Condition("e.type = ANY({}::text[])", (types,))


async def _of_words(asked: Asked) -> list[Condition]:
    """Beside a filter, the words may be those of the gallery: its pictures that the filter means."""
    words = words_of(asked.words)
    if not (asked.tells_of_pictures or asked.missing):
        return [Condition(_SAID, (word,), has_index=True) for word in words]
    if not words:
        return []
    together = " & ".join(words)
    if await is_common(together, _SAMPLES[:1]):
        return [Condition(f"({_SAID} OR {_OWNED})", (together, together))]
    owners: list[int] | None = await database.fetch_value(
        f"SELECT array_agg(pk) FROM (SELECT pk FROM entity e WHERE {_OWNED.format('$1')} LIMIT {FEW + 1}) AS owners",  # noqa: S608 - constants
        together,
    )
    if len(owners or []) > FEW:
        return [Condition(f"({_SAID} OR {_OWNED})", (together, together))]
    ways = Condition(_SAID, (together,)), _of_owners(owners or [])
    either = f"({_SAID} OR {_OWNERS})"
    return [Condition(either, (together, owners or []), has_index=True, ways=ways)]


def _of_owners(owners: list[int]) -> Condition:
    return Condition(_OWNERS, (owners,), has_index=True, beside="i.entity = ANY({}::bigint[])")


def words_of(text: str) -> list[str]:
    """A tsquery for each word; none for what is no word, as the & of `mug & bowl`."""
    words = text.split()
    telling = [word for word in words if any(sign.isalnum() for sign in word)]
    return [query for word in telling or words if (query := prefix_query(word))]


async def is_common(words: str, samples: Sequence[str] = _SAMPLES) -> bool:
    """Surely more galleries than are ranked hold these words: to find them all by the index would take long."""
    total = sum((await counts_by_type()).values())
    if total <= _SAMPLE:
        return False
    least = 2 * EXACT_UP_TO / total
    for sample in samples:  # what was named by one rule for years may not be among the newest
        row = await database.fetch_row(
            f"SELECT count(*) FILTER (WHERE {_OWNED.format('$1')}), count(*) FROM ({sample}) AS e",  # noqa: S608 - constant clauses
            words,
        )
        seen, looked = row.values() if row else (0, 0)
        if seen > least * looked:
            return True
    return False
