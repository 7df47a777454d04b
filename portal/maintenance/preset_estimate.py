"""What a change of a preset would come to, by really rendering some pictures that are picked at random. Nothing is kept."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog

from portal import database
from portal.errors import Busy, FileRefused
from portal.gallery.presets import changes_in_force, without_defaults
from portal.gallery.views import Recipe, decoded
from portal.imaging.pool import ON_DEMAND, RenderPool
from portal.imaging.presets import READY, Changes, Measure
from portal.imaging.render import MEDIA_TYPE, PLACEHOLDER, Rendered
from portal.maintenance.preset_changes import Box, known_preset
from portal.storage.keys import original_key
from portal.storage.store import Store

log = structlog.get_logger()

SAMPLE: Final = 12
SHOWN: Final = 3
MOST_SECONDS: Final = 12.0  # somebody waits: then those count that are done
LONGEST: Final = 25.0  # also where uploads keep us waiting
FEW: Final = 10_000  # up to here all are shuffled; of more some pages of the table are
PATIENCE: Final = 60.0  # a million pictures are summed in seconds
_COLUMNS: Final = """
    image.id, coalesce(image.alt_text, image.filename) AS title, image.version, image.extension, image.edits, image.focal_x,
    image.focal_y, image.renditions, entity.type
"""
_USABLE: Final = "status = 'ready' AND trashed_at IS NULL AND renditions ->> 'of' = version || '.' || rendering"


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture as it is and as it would be, in bytes and pixels."""

    image_id: str
    title: str
    bytes_now: int
    bytes_after: int
    size_now: tuple[int, int]
    size_after: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """A sample to be looked at: both as data URLs."""

    sample: Sample
    now: str
    after: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """`images` would be rendered anew, all sizes of each. Bytes are of this size alone, `least` to `most` with 95 % certainty.

    `minutes` with all workers on it, as long as nobody uploads. Of `print`, which is made on demand, bytes are what all would be.
    """

    name: str
    now: Box
    after: Box
    images: int
    bytes_now: int
    bytes_after: int
    bytes_least: int
    bytes_most: int
    seconds_each: float | None
    minutes: float | None
    samples: list[Sample]

    @property
    def saved(self) -> int:
        """Below 0 where it costs."""
        return self.bytes_now - self.bytes_after


@dataclass(frozen=True, slots=True)
class Estimated:
    estimate: Estimate
    looks: list[Look]


@dataclass(frozen=True, slots=True)
class _Tried:
    sample: Sample
    seconds: float
    now: bytes
    after: bytes


async def estimate_change(name: str, measure: Measure, *, store: Store, pool: RenderPool, workers: int) -> Estimated:
    """Raises NotFound for the preset; Busy and Unavailable when pictures cannot be rendered at the moment."""
    preset = known_preset(name)
    in_force = await changes_in_force()
    wanted = without_defaults({**in_force, name: measure})
    now = Box(*in_force.get(name, preset.measure))
    tried = await _try_some(name, in_force, wanted, store, pool)
    images, weight = await _all_of(name)
    if name not in READY:
        weight = round(images * _mean([each.sample.bytes_now for each in tried]))
    seconds = _mean([each.seconds for each in tried]) if tried else None
    estimate = Estimate(
        name,
        now,
        Box(*measure),
        images,
        weight,
        *_extrapolated(weight, [each.sample for each in tried]),
        seconds_each=None if seconds is None else round(seconds, 3),
        minutes=None if seconds is None else round(images * seconds / max(workers, 1) / 60, 1),
        samples=[each.sample for each in tried],
    )
    return Estimated(estimate, [_look(each) for each in tried[:SHOWN]])


def _look(tried: _Tried) -> Look:
    return Look(tried.sample, _data_url(tried.now), _data_url(tried.after))


def _data_url(jpeg: bytes) -> str:
    return f"data:{MEDIA_TYPE};base64,{base64.b64encode(jpeg).decode()}"


async def _all_of(name: str) -> tuple[int, int]:
    """How many pictures have renditions, and what those of this name weigh together."""
    with database.patience(PATIENCE):
        row = await database.fetch_row(
            """SELECT count(*) AS images, coalesce(sum((renditions #>> ARRAY['items', $1, 'bytes'])::bigint), 0)::bigint AS bytes
               FROM image WHERE renditions <> '{}'""",
            name,
        )
    return (row["images"], row["bytes"]) if row else (0, 0)


def _extrapolated(weight: int, samples: Sequence[Sample]) -> tuple[int, int, int]:
    """What all would weigh, at least and at most: by the ratio of the samples' sums, and twice its standard error."""
    now = sum(each.bytes_now for each in samples)
    if not now:
        return weight, weight, weight
    ratio, count = sum(each.bytes_after for each in samples) / now, len(samples)
    if count < 2:
        return round(weight * ratio), 0, round(2 * weight * ratio)
    squares = sum((each.bytes_after - ratio * each.bytes_now) ** 2 for each in samples)
    error = 2 * math.sqrt(squares / (count * (count - 1))) / (now / count)
    return round(weight * ratio), round(weight * max(ratio - error, 0)), round(weight * (ratio + error))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


async def _try_some(name: str, now: Changes, wanted: Changes, store: Store, pool: RenderPool) -> list[_Tried]:
    """Raises Busy when none was done in time."""
    began, tried = time.monotonic(), list[_Tried]()
    try:
        async with asyncio.timeout(LONGEST):
            for row in await _random_pictures():
                if time.monotonic() - began > MOST_SECONDS:
                    break
                try:
                    tried.append(await _try(row, name, now, wanted, store, pool))
                except (FileRefused, FileNotFoundError) as error:  # its own page says what is wrong with it
                    log.info("a sample could not be rendered", image=str(row["id"]), cause=repr(error))
    except TimeoutError as error:
        if not tried:
            raise Busy("Many pictures are being made. Try it again in a minute.", retry_after=60) from error
    return tried


async def _try(
    row: Mapping[str, Any], name: str, now: Changes, wanted: Changes, store: Store, pool: RenderPool
) -> _Tried:
    recipe, path = Recipe.of_row(row), _original(row, store)
    how = (recipe.focal_point, recipe.edits)
    names = (*READY, PLACEHOLDER, *([] if name in READY else [name]))
    (before,) = await pool.render(path, [name], *how, changes=now, priority=ON_DEMAND)
    began = time.monotonic()
    made = await pool.render(path, names, *how, changes=wanted, priority=ON_DEMAND)
    seconds = time.monotonic() - began
    after = next(each for each in made if each.name == name)
    stored = decoded(row["renditions"])["items"].get(name)
    return _Tried(_sample(row, before, after, stored), seconds, before.data, after.data)


def _sample(row: Mapping[str, Any], before: Rendered, after: Rendered, stored: Mapping[str, Any] | None) -> Sample:
    """Now: as it is stored, which may be by an earlier preset; what is made on demand, as it would be now."""
    size = (stored["width"], stored["height"]) if stored else (before.width, before.height)
    weight = stored["bytes"] if stored else len(before.data)
    return Sample(str(row["id"]), row["title"], weight, len(after.data), size, (after.width, after.height))


def _original(row: Mapping[str, Any], store: Store) -> Any:
    image_id: UUID = row["id"]
    return store.path_of(original_key(row["type"], image_id, row["version"], row["extension"]))


async def _random_pictures() -> list[Mapping[str, Any]]:
    about = await database.fetch_value("SELECT reltuples::bigint FROM pg_class WHERE oid = 'image'::regclass")
    source = "image"
    if about > FEW:
        source = f"image TABLESAMPLE SYSTEM ({100 * 50 * SAMPLE / about:.6f})"
    rows = await database.fetch(
        f"""SELECT {_COLUMNS} FROM (SELECT * FROM {source} WHERE {_USABLE} ORDER BY random() LIMIT {SAMPLE}) AS image
            JOIN entity ON entity.pk = image.entity"""  # noqa: S608 - constant columns, a number of ours
    )
    return list(rows)
