"""The one file of a form, as it comes: for what is too large to lie in a temporary folder first."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

from multipart import MultipartError, MultipartSegment

from portal.errors import BadRequest, Forbidden, TooLarge
from portal.web.forms import MAX_FIELD, OTHER_SESSION, AnyRequest, multipart_parser, sent_pieces


async def sent_file(request: AnyRequest) -> AsyncIterator[bytes]:
    """Its bytes, of any number. For routes whose opt says `upload`; where no header brought the session's token, it must be
    the first field. Raises BadRequest for a broken form or one without a file, Forbidden, TooLarge for a long text.
    """
    parser, form, found = multipart_parser(request), _Fields(request.scope.get("csrf_due")), False
    try:
        async for chunk in sent_pieces(request):
            for event in parser.parse(chunk):
                piece = form.take(event)
                if piece:
                    found = True
                    yield piece
        parser.close()
    except MultipartError as error:
        raise BadRequest("The upload cannot be read: it is cut off or not valid multipart/form-data.") from error
    if form.due is not None:
        raise Forbidden(OTHER_SESSION)
    if not found:
        raise BadRequest("Choose a file first.")


class _Fields:
    """Lets a file's bytes through once the token has come; `due`: the one that must still come."""

    def __init__(self, due: Any) -> None:
        self.due: str | None = due
        self._head: MultipartSegment | None = None
        self._text = bytearray()
        self._files = 0

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> bytes:
        """What of it belongs to the file."""
        if event is None:
            self._end()
        elif isinstance(event, MultipartSegment):
            self._begin(event)
        elif self._head is not None and self._head.filename is not None:
            return bytes(event)
        else:
            self._text += event
            if len(self._text) > MAX_FIELD:
                raise TooLarge("A text field is longer than 64 KB.")
        return b""

    def _begin(self, head: MultipartSegment) -> None:
        self._head, self._text = head, bytearray()
        if head.filename is None:
            return
        if self.due is not None:
            raise Forbidden(OTHER_SESSION)
        self._files += 1
        if self._files > 1:
            raise BadRequest("Send one file at once.")

    def _end(self) -> None:
        if self._head is None or self._head.filename is not None or self.due is None:
            return
        if self._head.name != "csrf_token" or not secrets.compare_digest(bytes(self._text), self.due.encode()):
            raise Forbidden(OTHER_SESSION)
        self.due = None
