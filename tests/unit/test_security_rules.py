from __future__ import annotations

import errno
from typing import Any

import asyncpg
import pytest
from litestar import exceptions

from portal import errors
from portal.accounts.guards import may_see, permit
from portal.accounts.service import browser_name, csrf_token_of
from portal.audit.actors import Actor
from portal.web.exceptions import as_portal_error, problem
from portal.web.headers import content_security_policy, frame_ancestors
from portal.web.rendering import Reader, local_path
from portal.web.security import is_loopback, redacted


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (errors.Duplicate("There already.", image_id="1"), 409, "duplicate"),
        (exceptions.NotFoundException(), 404, "not_found"),
        (exceptions.MethodNotAllowedException(), 405, "method_not_allowed"),
        (exceptions.ValidationException(extra=[{"key": "limit", "message": "Expected int"}]), 422, "bad_field"),
        (exceptions.ClientException("{'secret': 1}"), 400, "bad_request"),
        (exceptions.HTTPException(status_code=413), 413, "too_large"),
        (exceptions.NotAuthorizedException(), 401, "unauthenticated"),
        (exceptions.PermissionDeniedException(), 403, "forbidden"),
        (exceptions.InternalServerException("secret"), 500, "failed"),
        (ConnectionRefusedError("secret"), 503, "unavailable"),
        (TimeoutError(), 503, "unavailable"),
        (asyncpg.ConnectionDoesNotExistError("secret"), 503, "unavailable"),
        (asyncpg.InterfaceError("secret"), 503, "unavailable"),
        (asyncpg.InternalClientError("secret"), 503, "unavailable"),
        (asyncpg.TooManyConnectionsError("secret"), 503, "unavailable"),
        (asyncpg.QueryCanceledError("secret"), 503, "unavailable"),
        (asyncpg.CharacterNotInRepertoireError("secret"), 422, "bad_field"),
        (asyncpg.NumericValueOutOfRangeError("secret"), 422, "bad_field"),
        (asyncpg.StringDataRightTruncationError("secret"), 422, "bad_field"),
        (asyncpg.DeadlockDetectedError("secret"), 409, "conflict"),
        (asyncpg.UniqueViolationError("secret"), 409, "conflict"),
        (asyncpg.DiskFullError("secret"), 507, "disk_full"),
        (OSError(errno.ENOSPC, "secret"), 507, "disk_full"),
        (OSError(errno.EIO, "secret"), 500, "failed"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "secret"), 400, "bad_request"),
        (LookupError("unknown encoding: secret"), 400, "bad_request"),
        (KeyError("secret"), 500, "failed"),
        (ValueError("secret"), 500, "failed"),
    ],
)
def test_every_error_has_a_status_a_code_and_no_internals(raised: Exception, status: int, code: str) -> None:
    error = as_portal_error(raised)
    body = problem(error, "r1")
    assert (error.status, error.code) == (status, code)
    assert {"status", "title", "detail", "code", "request_id"} <= set(body)
    assert len(body["detail"]) > 5
    assert "secret" not in str(body)
    if status == 503:
        assert error.retry_after


def test_a_validation_error_names_its_fields() -> None:
    error = as_portal_error(exceptions.ValidationException(extra=[{"key": "limit", "message": "Expected int"}]))
    assert problem(error, None)["errors"] == [{"field": "limit", "message": "Expected int"}]


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        (b"/embed/k/abc", b"", "/embed/k/…"),
        (b"/embed/k/abc/sheet.pdf", b"limit=3", "/embed/k/…/sheet.pdf?limit=3"),
        (b"/cards/k/abc", b"", "/cards/k/…"),
        (b"/password/abc", b"", "/password/…"),
        (b"/setup", b"token=abc", "/setup?token=…"),
        (b"/api/images/serve/1%3fexp=1&sig=abc&v=1", b"", "/api/images/serve/1%3Fexp%3D1%26sig=…%26v%3D1"),
        (b"/api/images/serve/1!sig=abc", b"x=1", "/api/images/serve/1%21sig=…?x=1"),
        (b"/api/images/serve/1", b"size=card&exp=1&sig=abc", "/api/images/serve/1?size=card&exp=1&sig=…"),
        (b"/a%0Ab", b"assignment=1", "/a%0Ab?assignment=1"),
        (b"/qr/k/abc.svg", b"", "/qr/k/…"),
        (b"/embed/%6b/abc", b"", "/embed/k/…"),
        (b"/%65mbed/k/abc%0Ax/sheet.jpg", b"", "/embed/k/…/sheet.jpg"),
        (b"//embed///k/abc", b"", "/embed/k/…"),
        (b"/embed/k/abc/x%0Ay", b"", "/embed/k/…/x%0Ay"),
        (b"/EMBED/K/abc", b"", "/EMBED/K/…"),
        (b"/embed/invoices/k", b"", "/embed/invoices/k"),
        (b"/oembed", b"url=https%3A%2F%2Fa.example%2Fembed%2Fk%2Fabc&format=json", "/oembed?url=…&format=json"),
        (b"/oembed", b"url=https://a.example/cards/k/abc", "/oembed?url=…"),
        (b"/oembed", b"url=%2Fembed%252Fk%252Fabc", "/oembed?url=…"),
        (b"/oembed", b"url=%2Fembed%2Finvoices%2FA-1", "/oembed?url=%2Fembed%2Finvoices%2FA-1"),
        (b"/login", b"next=%2Fapi%2Fimages%2Fserve%2F1%3Fsize%3Dcard%26sig%3Dabc", "/login?next=…"),
        (b"/api/images/serve/1", b"%73ig=abc&SIG=abc&sig=&v=1.1", "/api/images/serve/1?%73ig=…&SIG=…&sig=&v=1.1"),
    ],
)
def test_keys_and_tokens_stay_out_of_the_log(path: bytes, query: bytes, shown: str) -> None:
    scope: Any = {"path": path.decode(), "raw_path": path, "query_string": query}
    assert redacted(scope) == shown


def test_loopback_is_what_browsers_take_for_safe() -> None:
    assert all(map(is_loopback, ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "")))


def test_the_policy_allows_no_inline_code() -> None:
    policy = content_security_policy()
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "frame-src 'self'" in content_security_policy(frame_src="'self'")
    assert frame_ancestors("https://a.example, https://b.example") == "https://a.example https://b.example 'self'"
    assert ";" not in frame_ancestors("*; script-src *")


def test_paths_that_leave_us_are_not_local() -> None:
    for bad in ("//a", "/\\a", "a", "http://a", "/ a", "/\n", "/a\x7f", "/a\x85", "", None, "/" + "a" * 2001):
        assert local_path(bad) == "/"
    for good in ("/", "/a/b?c=d&e=//f", "/a:b@c", "/é"):
        assert local_path(good) == good


def test_private_types_need_a_reader() -> None:
    ana = Actor("user:ana", "viewer")
    assert may_see(None, "companies", {"invoices"})
    assert not may_see(None, "invoices", {"invoices"})
    assert may_see(ana, "invoices", {"invoices"})


def test_a_permission_can_carry_options() -> None:
    assert permit("editor", upload=True)["opt"] == {"permission": "editor", "upload": True}
    assert permit("public")["guards"] == []


def test_a_form_token_belongs_to_one_session() -> None:
    assert csrf_token_of("a") == csrf_token_of("a") != csrf_token_of("b")
    assert "a" * 10 not in csrf_token_of("a" * 43)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140 Safari/604", "Chrome on iPhone"),
        ("curl/8.0", "curl/8.0"),
        ("", ""),
    ],
)
def test_browsers_are_named_as_people_call_them(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_initials_of_every_kind_of_name() -> None:
    names = ("Ana Berg", "ana", "Åse von Ü", "", "!!")
    assert [Reader(name, "", "viewer").initials for name in names] == ["AB", "A", "ÅÜ", "?", "?"]
