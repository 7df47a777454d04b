"""How long the stages of one picture take, in a process that makes one after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator

_seconds: dict[str, float] = {}
_began = [0.0]


def reset() -> None:
    _seconds.clear()
    _began[0] = time.perf_counter()


@contextlib.contextmanager
def stage(name: str) -> Generator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        _seconds[name] = _seconds.get(name, 0.0) + time.perf_counter() - began


def read() -> dict[str, float]:
    """Since `reset`: each stage, and under `resize` all that is neither decoding nor encoding."""
    rest = time.perf_counter() - _began[0] - sum(_seconds.values())
    return {"decode": 0.0, "encode": 0.0, **_seconds, "resize": max(rest, 0.0)}
