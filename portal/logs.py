"""Structured logs: JSON lines for machines, colours on a terminal; on stderr, so that commands print results alone."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

from portal.settings import Settings


class _Forgiving:
    """A log that cannot be written, as on a full disk, must not fail what it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure(settings: Settings) -> None:
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last = _last_steps(as_json)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_stderr()),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_stderr())
    handler.setFormatter(_of_libraries(shared, last))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))


def _last_steps(as_json: bool) -> list[Any]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the pretty one prints form values
        )
    ]


def _of_libraries(shared: list[Any], last: list[Any]) -> logging.Formatter:
    """What libraries log by Python's own means comes in the same lines, with the request's id."""
    name = structlog.stdlib.add_logger_name
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*shared, name], processors=[remove, *last])


def _stderr() -> TextIO:
    return cast(TextIO, _Forgiving(sys.stderr))


def configure_for_scripts() -> None:
    """Warnings on stderr and nothing else, unless the script has set up its own logs: stdout belongs to it."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.WriteLoggerFactory(_stderr()),
        )
