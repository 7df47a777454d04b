"""The pictures that became the smallest and the largest by compression, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.maintenance.statistics import Extreme, extremes
from portal.storage.links import Links

MOST: Final = 5
_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_IMAGES: Final = (
    f"SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id FROM image i JOIN entity e ON e.pk = i.entity"  # noqa: S608 - constant columns
    " WHERE i.id = ANY($1::uuid[])"
)


@dataclass(frozen=True, slots=True)
class Squeezed:
    """`saved_percent`: how much smaller its large rendition is; below 0 it is larger."""

    image: ImageView
    optimized_bytes: int
    saved_percent: float


async def best_and_worst(links: Links) -> tuple[list[Squeezed], list[Squeezed]]:
    """The best first, the worst first. None is in both."""
    best, worst = await extremes(MOST)
    named = {each.image_id for each in best}
    worst = [each for each in worst if each.image_id not in named]
    rows = await database.fetch(_IMAGES, [each.image_id for each in (*best, *worst)])
    images = {str(row["id"]): row for row in rows}
    return [_squeezed(each, images, links) for each in best if each.image_id in images], [
        _squeezed(each, images, links) for each in worst if each.image_id in images
    ]


def _squeezed(extreme: Extreme, images: dict[str, Any], links: Links) -> Squeezed:
    row = images[extreme.image_id]
    view = image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links)
    optimized = view.renditions.get("optimized")
    return Squeezed(view, optimized.bytes if optimized else 0, extreme.saved_percent)
