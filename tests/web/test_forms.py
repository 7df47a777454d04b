from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.accounts import tokens
from portal.audit.actors import SYSTEM
from portal.settings import Settings
from portal.web import admission
from tests.web.small_portal import csrf_of, sign_in

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


@pytest.fixture
async def bearer(app: Litestar) -> str:
    return f"Bearer {await tokens.create_token('uploads', 'editor', None, SYSTEM)}"


@pytest.fixture
async def script(browser: httpx.AsyncClient, bearer: str) -> httpx.AsyncClient:
    browser.headers["authorization"] = bearer
    return browser


def part(head: str | bytes, body: bytes) -> bytes:
    head = head.encode() if isinstance(head, str) else head
    return b"--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


def text(name: str, value: bytes, kind: str = "") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"' + (f"\r\nContent-Type: {kind}" if kind else ""), value)


def picture(filename: str = "a.jpg", body: bytes = JPEG, name: str = "file") -> bytes:
    return part(
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: image/jpeg', body
    )


END = b"--x--\r\n"
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
FILE_HEAD = b'Content-Disposition: form-data; name="file"; filename="a.jpg"'

GOOD: dict[str, bytes] = {
    "one file": text("entity_id", b"1") + picture() + END,
    "two files": picture() + picture("b.jpg") + END,
    "empty file": picture(body=b"") + END,
    "empty file field of a browser": picture(filename="", body=b"") + END,
    "control characters in the filename": picture(filename="a\tb\x01.jpg") + END,
    "markup": text("caption", b"<script>alert(1)</script>{{7*7}}") + END,
    "bidi and emoji": text("caption", "\u202egpj 👩‍👩‍👧".encode()) + END,
    "latin letters said to be utf-8": text("caption", "é".encode(), "text/plain; charset=UTF-8") + END,
    "64 KiB of text": text("caption", b"A" * 65536) + END,
    "something after the end": picture() + END + b"epilogue",
}
BROKEN: dict[str, tuple[int, bytes]] = {
    "nothing": (400, b""),
    "no boundary in the body": (400, b"xx"),
    "no end": (400, picture() + b"--x"),
    "cut in a header": (400, b"--x\r\nContent-Dispo"),
    "cut in a file": (400, picture()[:2000]),
    "no name": (400, part('Content-Disposition: form-data; filename="a.jpg"', JPEG) + END),
    "no disposition": (400, part("Content-Type: image/jpeg", JPEG) + END),
    "file under another name": (400, picture(name="other") + END),
    "too many files": (400, picture() * 4 + END),
    "200 files": (400, picture() * 90 + END),
    "3000 fields": (400, b"".join(text(f"x{n}", b"v") for n in range(3000)) + END),
    "1 MB header": (400, part(FILE_HEAD + b"\r\nX-A: " + b"a" * 1_000_000, b"b") + END),
    "100k headers": (400, b"--x\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\nb\r\n" + END),
    "base64": (400, part(FILE_HEAD + b"\r\nContent-Transfer-Encoding: base64", b"/9j/4AAQ") + END),
    "filename* only": (
        400,
        part("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''..%2fx.jpg", JPEG) + END,
    ),
    "filename in latin-1": (
        400,
        part(b'Content-Disposition: form-data; name="file"; filename="caf\xe9\xff.jpg"', JPEG) + END,
    ),
    "bytes without filename": (400, part('Content-Disposition: form-data; name="file"', JPEG) + END),
    "nested": (
        400,
        part('Content-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary=y', b"--y--")
        + END,
    ),
    "nul": (400, text("caption", b"a\0b") + END),
    "nul in a name": (400, part(b'Content-Disposition: form-data; name="a\0b"', b"x") + END),
    "bad utf-8": (400, text("caption", b"\xff\xfe\xfa") + END),
    "surrogate": (400, text("caption", b"\xed\xa0\x80") + END),
    "bogus charset": (400, text("caption", b"a", "text/plain; charset=bogus-9") + END),
    "utf-16": (400, text("caption", "a".encode("utf-16"), "text/plain; charset=utf-16") + END),
    "a wrong length": (400, part(FILE_HEAD + b"\r\nContent-Length: 99", b"b") + END),
    "a bare line break": (400, b"--x\n" + FILE_HEAD + b"\n\nb\n--x--\n"),
    "long text": (413, text("caption", b"A" * 65537) + END),
    "much text": (413, b"".join(text(f"x{n}", b"v" * 60_000) for n in range(20)) + END),
    "more than everything": (413, text("caption", b"A" * 2_000_000) + END),
}


@pytest.fixture
def nothing_left(settings: Settings) -> Callable[[], None]:
    def check() -> None:
        assert list(settings.temp_dir.iterdir()) == []

    return check


@pytest.mark.parametrize("case", GOOD)
async def test_good_uploads_are_read(script: httpx.AsyncClient, nothing_left: Callable[[], None], case: str) -> None:
    answer = await script.post("/api/upload", content=GOOD[case], headers=MULTIPART)
    assert answer.status_code == 201, answer.text
    nothing_left()


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("chunk", [1 << 20, 7], ids=["whole", "in small pieces"])
async def test_broken_uploads_get_a_reason(
    script: httpx.AsyncClient, nothing_left: Callable[[], None], case: str, chunk: int
) -> None:
    status, body = BROKEN[case]
    if chunk == 7 and len(body) > 50_000:
        chunk = 5003

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    answer = await script.post("/api/upload", content=pieces(), headers=MULTIPART)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10
    nothing_left()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=" + "b" * 2000, 400),
        ("multipart/form-data; boundary=\xe9", 400),
        ('multipart/form-data; boundary="a\tb"', 400),
        ("application/json", 415),
        ("image/jpeg", 415),
        ("application/x-www-form-urlencoded", 415),
        (';;;=,"', 415),
        ("", 415),
    ],
)
async def test_other_content_types_are_refused(script: httpx.AsyncClient, kind: str, status: int) -> None:
    answer = await script.post("/api/upload", content=b"file=abc", headers={"content-type": kind.encode("latin-1")})
    assert answer.status_code == status, answer.text


async def test_a_file_is_hashed_private_and_gone_at_the_end(
    script: httpx.AsyncClient, nothing_left: Callable[[], None]
) -> None:
    answer = await script.post("/api/upload", content=GOOD["one file"], headers=MULTIPART)
    assert answer.json() == {
        "fields": {"entity_id": "1"},
        "files": [
            {
                "filename": "a.jpg",
                "bytes": len(JPEG),
                "sha256": hashlib.sha256(JPEG).hexdigest(),
                "mode": "0o600",
                "refused": None,
            }
        ],
    }
    nothing_left()


async def test_a_file_that_is_too_large_is_dropped_and_the_others_go_on(
    script: httpx.AsyncClient, nothing_left: Callable[[], None]
) -> None:
    limit = picture(body=b"a" * 100_000)
    body = picture("big.jpg", b"a" * 100_001) + limit + picture("c.jpg") + END
    files = (await script.post("/api/upload", content=body, headers=MULTIPART)).json()["files"]
    assert [(file["filename"], file["refused"], file["mode"]) for file in files] == [
        ("big.jpg", "too_large", None),
        ("a.jpg", None, "0o600"),
        ("c.jpg", None, "0o600"),
    ]
    nothing_left()


@pytest.mark.parametrize("path", ["/api/upload", "/api/editors"])
async def test_what_announces_too_much_is_refused_unread(script: httpx.AsyncClient, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {**MULTIPART, "content-length": "99999999999999"}
    answer = await script.post(path, content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_what_turns_out_too_much_is_cut_off(browser: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"a" * 65536

    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await browser.post("/login", content=endless(), headers=kind)
    assert answer.status_code == 413
    assert sent < 2**21


async def test_compressed_bodies_are_refused(script: httpx.AsyncClient) -> None:
    headers = {**MULTIPART, "content-encoding": "gzip"}
    assert (await script.post("/api/upload", content=GOOD["one file"], headers=headers)).status_code == 415


def sending(app: Litestar, bearer: str, messages: list[Any]) -> Any:
    """One request straight into the app; a message may be a coroutine function to wait for."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/upload",
        "raw_path": b"/api/upload",
        "query_string": b"",
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "headers": [
            (b"host", b"localhost"),
            (b"authorization", bearer.encode()),
            (b"content-type", MULTIPART["content-type"].encode()),
        ],
    }
    answers: list[Any] = []
    left = iter(messages)

    async def receive() -> Any:
        message = next(left)
        return await message() if callable(message) else message

    async def send(message: Any) -> None:
        answers.append(message)

    async def run() -> list[Any]:
        await app(scope, receive, send)  # type: ignore[arg-type]
        return answers

    return run()


def piece(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": True}


START = picture(body=b"a" * 90_000)[:-10]


async def test_a_visitor_who_goes_away_leaves_no_file(
    app: Litestar, bearer: str, nothing_left: Callable[[], None]
) -> None:
    big = picture(body=b"a" * 99_000) * 2 + START
    answers = await sending(app, bearer, [piece(big), piece(b"a"), {"type": "http.disconnect"}])
    assert answers[0]["status"] == 400
    nothing_left()


async def test_a_stalled_upload_is_given_up(
    app: Litestar, bearer: str, nothing_left: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IDLE_SECONDS", 0.05)
    answers = await sending(app, bearer, [piece(START), asyncio.Event().wait])
    assert answers[0]["status"] == 408
    nothing_left()


async def test_an_upload_that_only_dribbles_is_given_up_and_one_that_keeps_its_pace_is_not(
    app: Litestar, bearer: str, nothing_left: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dribble() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return piece(b"a")

    monkeypatch.setattr(admission, "BODY_SECONDS", 0.1)
    answers = await sending(app, bearer, [piece(START[:200]), *[dribble] * 100])
    assert answers[0]["status"] == 408
    nothing_left()
    monkeypatch.setattr(admission, "PACE", 1)
    answers = await sending(app, bearer, [piece(START), *[dribble] * 10, {**piece(b"\r\n" + END), "more_body": False}])
    assert answers[0]["status"] == 201
    nothing_left()


async def test_a_cancelled_upload_leaves_no_file(
    app: Litestar, bearer: str, settings: Settings, nothing_left: Any
) -> None:
    whole = picture(body=b"a" * 99_000)
    for delay in (0.0, 0.001, 0.005, 0.02, 0.05):
        arrived = asyncio.Event()

        async def stall(arrived: asyncio.Event = arrived) -> None:
            arrived.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(sending(app, bearer, [piece(whole * 2), piece(whole), stall]))
        await asyncio.wait([asyncio.create_task(arrived.wait())], timeout=delay or None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        nothing_left()


async def test_a_form_of_a_browser_must_begin_with_its_sessions_token(
    browser: httpx.AsyncClient, invite: Callable[..., Any], nothing_left: Callable[[], None]
) -> None:
    await sign_in(browser, await invite())
    token = await csrf_of(browser)
    field = text("csrf_token", token.encode())
    for body, headers, status in [
        (picture() + END, {}, 403),
        (picture() + field + END, {}, 403),
        (text("caption", b"x") + field + picture() + END, {}, 403),
        (text("csrf_token", b"wrong") + picture() + END, {}, 403),
        (text("csrf_token", "ü".encode()) + picture() + END, {}, 403),
        (END, {}, 403),
        (field + picture() + END, {}, 201),
        (picture() + END, {"x-csrf-token": token}, 201),
        (field + picture() + END, {"x-csrf-token": "wrong"}, 403),
    ]:
        answer = await browser.post("/api/upload", content=body, headers={**MULTIPART, **headers})
        assert answer.status_code == status, (body[:80], answer.text)
        nothing_left()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"email=%FF&password=x", "application/x-www-form-urlencoded", 400),
        (b"email=%ED%A0%80&password=x", "application/x-www-form-urlencoded", 400),
        (b"email=a%00b&password=x", "application/x-www-form-urlencoded", 400),
        (b"email=\xff", "application/x-www-form-urlencoded", 400),
        (b"email=a", "application/x-www-form-urlencoded; charset=utf-16", 400),
        (b"&".join(b"a=b" for _ in range(1001)), "application/x-www-form-urlencoded", 400),
        (b"email=" + b"a" * 2**20, "application/x-www-form-urlencoded", 413),
        (b'{"email": "a"}', "application/json", 415),
        (b"", "application/x-www-form-urlencoded", 422),
        (b"", "", 422),
        (b"email=" + b"9" * 5000 + b"&password=x", "application/x-www-form-urlencoded", 422),
        (b"email=a@b.c&password=" + b"x" * 5000, "application/x-www-form-urlencoded", 422),
    ],
)
async def test_odd_forms_get_a_reason_not_an_error(
    browser: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await browser.post("/login", content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status
    assert await database.fetch_value("SELECT count(*) FROM session") == 0
