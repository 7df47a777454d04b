"""Every error that reaches a person or a script.

PortalError                 status 500
├── NotFound                404  not_found
│   ├── NoSuchEntity        404  no_such_entity
│   └── NotReady            404  not_ready        + retry_after
├── Gone                    410  gone             row there, bytes missing or link expired
├── Unauthenticated         401  unauthenticated
├── Forbidden               403  forbidden
├── BadRequest              400  bad_request
├── FormError               422  bad_field        + errors per field
├── FileRefused             422  not_an_image
│   ├── TooLarge            413  too_large
│   ├── UnsupportedFormat   415  unsupported_format
│   ├── NotAnImage          422  not_an_image
│   ├── ExtensionMismatch   422  extension_mismatch
│   ├── TooManyPixels       422  too_many_pixels
│   ├── TooManyFrames       422  too_many_frames
│   ├── HostileContent      422  hostile_content
│   ├── Infected            422  infected         known to the virus scanner
│   └── EmptyFile           422  empty_file
├── Conflict                409  conflict
│   ├── Duplicate           409  duplicate        + image_id
│   ├── Pinned              409  pinned           + invoices that show it
│   └── Running             409  conflict         somebody else is at it
├── Stale                   412  stale
├── KeyReused               422  bad_request      an Idempotency-Key with another body
├── Busy                    429  busy             + retry_after
├── RateLimited             429  rate_limited     + retry_after
├── Unavailable             503  unavailable      + retry_after
│   └── Restoring           503  restoring        nothing is taken in while a restore writes
└── DiskFull                507  disk_full

`message` is written for staff and safe to show; what only the log should know travels in `__cause__`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class PortalError(Exception):
    """What went wrong, in words for people.

    `extra` holds members that a script needs beside the message (as `image_id` of a duplicate); it is shown.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "failed"
    title: ClassVar[str] = "The portal could not do this"
    report: ClassVar[bool] = False  # worth a line at error level in the log
    is_denial: bool = False  # the audit hears of it

    def __init__(self, message: str, *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.extra = extra

    def as_denial(self) -> Self:
        """It says that nothing is there, or what to correct; in truth somebody was kept out."""
        self.is_denial = True
        return self


class NotFound(PortalError):
    status, code, title = 404, "not_found", "Not found"


class NoSuchEntity(NotFound):
    code, title = "no_such_entity", "No such entity"


class NotReady(NotFound):
    code, title = "not_ready", "Not ready yet"


class Gone(PortalError):
    status, code, title = 410, "gone", "Gone"


class Unauthenticated(PortalError):
    status, code, title = 401, "unauthenticated", "Sign in first"
    is_denial = True


class Forbidden(PortalError):
    status, code, title = 403, "forbidden", "Not allowed"
    is_denial = True


class BadRequest(PortalError):
    status, code, title = 400, "bad_request", "The request cannot be read"


class FormError(PortalError):
    """`errors` maps a field's name to what to do about it."""

    status, code, title = 422, "bad_field", "Some fields need another look"

    def __init__(self, errors: dict[str, str], message: str = "") -> None:
        super().__init__(message or " ".join(dict.fromkeys(errors.values())))
        self.errors = errors


class FileRefused(PortalError):
    """An upload that is not a safe picture. Final: the same bytes are refused again."""

    status, code, title = 422, "not_an_image", "This file was refused"


class TooLarge(FileRefused):
    status, code = 413, "too_large"


class UnsupportedFormat(FileRefused):
    status, code = 415, "unsupported_format"


class NotAnImage(FileRefused):
    code = "not_an_image"


class ExtensionMismatch(FileRefused):
    code = "extension_mismatch"


class TooManyPixels(FileRefused):
    code = "too_many_pixels"


class TooManyFrames(FileRefused):
    code = "too_many_frames"


class HostileContent(FileRefused):
    code = "hostile_content"


class Infected(FileRefused):
    code, report = "infected", True


class EmptyFile(FileRefused):
    code = "empty_file"


class Conflict(PortalError):
    status, code, title = 409, "conflict", "Somebody or something else was first"


class Duplicate(Conflict):
    code, title = "duplicate", "Already in this gallery"


class Pinned(Conflict):
    code, title = "pinned", "Pinned on an invoice"


class Running(Conflict):
    title = "Already running"


class Stale(PortalError):
    status, code, title = 412, "stale", "Changed in the meantime"


class KeyReused(PortalError):
    status, code, title = 422, "bad_request", "This Idempotency-Key belongs to another request"


class Busy(PortalError):
    status, code, title = 429, "busy", "Busy"
    is_denial = True


class RateLimited(PortalError):
    status, code, title = 429, "rate_limited", "Too many at once"
    is_denial = True


class Unavailable(PortalError):
    status, code, title, report = 503, "unavailable", "Away for a moment", True


class Restoring(Unavailable):
    code, title, report = "restoring", "The portal is being restored", False


class DiskFull(PortalError):
    status, code, title, report = 507, "disk_full", "The disk is full", True
