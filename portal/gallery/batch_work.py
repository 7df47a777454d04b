"""A batch as pages, API and scripts ask for it: to each action its verb, with what that needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Forbidden
from portal.gallery.batch import Outcome, change_many
from portal.gallery.batch_copies import copy_many
from portal.gallery.batch_forms import Asked
from portal.gallery.batch_moves import Moving, Place, move_many
from portal.gallery.batch_undo import Undone, undo_batch
from portal.gallery.intake import rules_of
from portal.settings import Settings
from portal.storage.store import Store


@dataclass(frozen=True, slots=True)
class Bench:
    """Who does it, and with what."""

    settings: Settings
    store: Store
    actor: Actor

    def moving(self, target: EntityRef, back: Mapping[UUID, Place] | None = None, *, twice: bool = False) -> Moving:
        rules = rules_of(self.settings, target.type)
        return Moving(self.store, rules, self.settings.free_space_bytes, self.actor, twice or bool(back), back or {})


async def run_batch(ids: Sequence[UUID], asked: Asked, bench: Bench) -> list[Outcome]:
    """An outcome for each, in the order of `ids`. Raises Forbidden, NoSuchEntity for a target that is not there, and what keeps
    all of them from anything (a full disk, a database that is away)."""
    if asked.action == "delete" and not bench.actor.may("admin"):
        raise Forbidden(f"Only an admin deletes many at once; your role is {bench.actor.role}. Move them to the trash.")
    if asked.target is not None:
        verb = move_many if asked.action == "move" else copy_many
        return await verb(ids, asked.target, bench.moving(asked.target, twice=asked.allow_duplicate))
    return await change_many(ids, asked, actor=bench.actor, deletes_per_hour=bench.settings.deletes_per_hour)


async def take_back(request: str, bench: Bench) -> Undone:
    """What this request did. Raises NotFound when nothing of it is left to be undone."""
    limits = bench.settings.deletes_per_hour
    return await undo_batch(request, actor=bench.actor, deletes_per_hour=limits, moving=bench.moving)
