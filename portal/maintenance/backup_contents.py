"""Looking for something in a backup, on its page: what is found fills the restore's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar import Router, get
from litestar.params import FromQuery
from litestar.response import Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.backups.contents import Contents, Hit, find_in_backup
from portal.backups.destination import destination_of
from portal.entities.kinds import KINDS
from portal.entities.queries import plain_query
from portal.errors import Conflict, FormError, Unavailable
from portal.settings import Settings
from portal.web.parameters import PathText, TheActor, TheSettings
from portal.web.rendering import AnyRequest, page

_ICON: Final = "image"
_newest: dict[tuple[str, str], object] = {}  # a person's last search in a backup: who types on waits for no other


@dataclass(frozen=True, slots=True)
class HitLine:
    """`wishes`: the query that fills the restore's form."""

    hit: Hit
    icon: str
    kind: str
    wishes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sought:
    """`hits`: None where nothing was asked. `problem`: why nobody can say what is there."""

    q: str
    hits: list[HitLine] | None = None
    has_more: bool = False
    is_whole: bool = True
    problem: str | None = None


async def sought_in(settings: Settings, id: str, q: str, actor: Actor) -> Sought:
    """Raises NotFound."""
    shown, mine, place = plain_query(q), object(), (actor.name, id)
    if not shown:
        return Sought("")
    _newest[place] = mine
    try:
        found = await find_in_backup(
            destination_of(settings), id, shown, is_over=lambda: _newest.get(place) is not mine
        )
    except FormError:
        return Sought(shown, hits=[])
    except (Conflict, Unavailable) as error:
        return Sought(shown, problem=error.message)
    finally:
        if _newest.get(place) is mine:
            del _newest[place]
    return _sought(shown, found)


def _sought(q: str, found: Contents) -> Sought:
    lines = [_line(each, q) for each in found.hits]
    return Sought(q, hits=lines, has_more=found.has_more, is_whole=found.is_whole)


def _line(hit: Hit, q: str) -> HitLine:
    kind = KINDS[hit.entity.type]
    if hit.image_id is not None:
        return HitLine(hit, _ICON, f"picture of {kind.singular} {hit.entity.id}", {"image_id": hit.image_id, "q": q})
    wishes = {"what": "entity", "entity_type": hit.entity.type, "entity_id": hit.entity.id, "q": q}
    return HitLine(hit, kind.icon, kind.singular, wishes)


@get("/maintenance/backups/{id:str}/contents", name="backups:contents", include_in_schema=False, **permit("admin"))
async def contents(
    request: AnyRequest, settings: TheSettings, actor: TheActor, id: PathText, q: FromQuery[str] = ""
) -> Template:
    return await page(request, "backups/_contents.html", id=id, sought=await sought_in(settings, id, q, actor))


router = Router("/", route_handlers=[contents])
