"""What a job is part of: the request that asked for it, the schedule that started it.

One grep leads from an upload to its render.
It travels beside the payload, in the queue's headers, and is bound to the log and to the audit while the job runs.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

import structlog
from pgqueuer.domain.models import Job

from portal.audit.service import request_id

log = structlog.get_logger()

LONG_SECONDS: Final = 1.0

# Set by who starts what runs by the clock, so that its end can be noted.
schedule_name: Final[ContextVar[str | None]] = ContextVar("schedule_name", default=None)

_KEYS: Final = (("request_id", request_id), ("schedule", schedule_name))


def headers_now() -> dict[str, str] | None:
    """For a job that is enqueued here; what a job enqueues belongs to the same request, but to no schedule."""
    return {key: value for key, variable in _KEYS if (value := variable.get()) is not None} or None


@contextlib.contextmanager
def told(job: Job) -> Iterator[None]:
    """The log tells when the job begins and how it ends; every line meanwhile carries its id, kind and request."""
    headers = job.headers or {}
    mark = request_id.set(_text(headers, "request_id"))
    began, outcome = time.perf_counter(), "done"
    try:
        with structlog.contextvars.bound_contextvars(job=job.id, kind=job.entrypoint, **_bound(job, headers)):
            log.debug("job begins", attempt=job.attempts + 1)
            try:
                yield
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                seconds = round(time.perf_counter() - began, 3)
                is_usual = outcome == "done" and seconds < LONG_SECONDS  # there may be hundreds of thousands
                (log.debug if is_usual else log.info)("job ends", outcome=outcome, seconds=seconds)
    finally:
        request_id.reset(mark)


def _text(headers: dict[str, Any], key: str) -> str | None:
    value = headers.get(key)
    return value[:40] if isinstance(value, str) else None


def _bound(job: Job, headers: dict[str, Any]) -> dict[str, str]:
    """The ids in its payload too: of an image, of a job that somebody follows."""
    found = {key: value for key, _ in _KEYS if (value := _text(headers, key)) is not None}
    payload = json.loads(job.payload or b"{}")
    followed = {"followed": payload["job"]} if "job" in payload else {}
    return found | followed | ({"image": payload["image"]} if "image" in payload else {})
