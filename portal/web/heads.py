"""HEAD for every address that takes GET, in one place: answered as GET is, without the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from litestar.types import Message, Scope, Send

# Pictures answer HEAD themselves, without reading their bytes.
_OWN: Final = "/api/images/serve"


def as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """The request and its way back as the router knows them: Litestar answers 405 to HEAD on a GET route."""
    if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(_OWN):
        return scope, send
    asked: Any = {**scope, "method": "GET", "is_head": True}

    async def send_without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = cast("Message", {**message, "body": b""})
        await send(message)

    return asked, send_without_body


def method_of(scope: Scope) -> str:
    """The method as it was asked."""
    return "HEAD" if scope.get("is_head") else str(scope.get("method"))
