"""A measure as plain values, before it becomes Prometheus' text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from portal.histogram import Histogram

Labels = tuple[str, ...]


@dataclass(slots=True)
class Family:
    """`values` by the labels' values; of a histogram, `histograms`. Its name carries its unit, without `_total`."""

    name: str
    help: str
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)
    histograms: dict[Labels, Histogram] = field(default_factory=dict)


def gauge(name: str, help: str, value: float) -> Family:
    return Family(name, help, values={(): value})


def by_label(
    name: str, help: str, label: str, values: Mapping[str, float], kind: Literal["gauge", "counter"] = "gauge"
) -> Family:
    return Family(name, help, kind, (label,), {(key,): value for key, value in values.items()})


def histogram(name: str, help: str, labels: Labels, found: Iterable[tuple[Labels, Histogram]]) -> Family:
    return Family(name, help, "histogram", labels, histograms=dict(found))
