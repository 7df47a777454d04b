"""A connection on which a request's head is bounded in bytes and time: its server by itself bounds neither."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024  # bytes of address and headers
HEAD_SECONDS: Final = 20.0


class Connection(HttpToolsProtocol):
    """`_unread` counts the bytes of a head that is not complete; None between a request's head and the next one's."""

    _unread: int | None = None
    _whole = 0  # bytes of those parts of the head that are complete
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unread = self._whole = 0
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._unread
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread is not None or self.cycle is None or self.cycle.response_complete:
            self._start_timer()  # also after an empty line, or what is left of a body: there is no keep-alive timer any more
        if before is None or self._unread is None:
            return
        self._unread = before + len(data)
        if self._unread > MAX_HEAD:
            self.send_400_response("The head of this request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unread = self._whole = 0  # the timer starts only when the head does not come in one piece

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unread = None
        self._stop_timer()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _measure(self, length: int) -> None:
        """Raises ValueError, which the parser takes for a request that cannot be read."""
        self._whole += length
        if self._whole > MAX_HEAD:
            raise ValueError("the head of this request is too long")
