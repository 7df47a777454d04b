"""Buckets that are away, refuse, say nothing or break off: one sentence without a secret, soon, and nothing half."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portal.backups.bucket import Bucket
from portal.backups.destination import Destination, destination_of
from portal.errors import DiskFull, Unavailable
from portal.settings import load
from tests.ports import free_port
from tests.weed import BUCKET, Weed

SECRET = "a-secret-that-nobody-may-read"
CALLS: list[Callable[[Destination], Coroutine[Any, Any, object]]] = [
    lambda bucket: bucket.open_root(),
    lambda bucket: bucket.check(),
    lambda bucket: bucket.stat("backups/x"),
    lambda bucket: bucket.read("backups/x"),
    lambda bucket: bucket.put("backups/x", b"1"),
    lambda bucket: bucket.delete(["backups/x"]),
    lambda bucket: names(bucket),
]


async def names(bucket: Destination) -> list[str]:
    return [entry.key async for chunk in bucket.listed() for entry in chunk]


def bucket_at(endpoint: str, name: str = BUCKET, **access: str) -> Bucket:
    said = {"AWS_ACCESS_KEY_ID": "portal", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint, **access}
    return Bucket(f"s3://{name}/place", tuple(said.items()))


async def told(call: Coroutine[Any, Any, object], words: str) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable, match=words) as found:
            await call
    assert f"s3://{BUCKET}" in found.value.message or "s3://none" in found.value.message
    assert len(found.value.message.splitlines()) == 1
    for text in (found.value.message, str(found.value.__cause__)):
        assert SECRET not in text
        assert "X-Amz-Signature" not in text


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncGenerator[str]:
    """A server that says the same to everybody, or nothing; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_is_not_there(call: Callable[[Destination], Coroutine[Any, Any, object]]) -> None:
    bucket = bucket_at(f"http://127.0.0.1:{free_port()}")
    await told(call(bucket), "does not answer")
    assert await bucket.is_away()


async def test_a_server_that_takes_calls_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.storage.bucket.SOON", 0.3)
    async with answering(None) as address:
        bucket = bucket_at(address)
        for call in CALLS[:3]:
            await told(call(bucket), "does not answer")
        assert await bucket.is_away()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("403 Forbidden", "access key"),
        ("401 Unauthorized", "access key"),
        ("500 Internal Server Error", "answers with error 500"),
    ],
)
async def test_a_server_that_refuses(status: str, words: str) -> None:
    async with answering(http(status)) as address:
        for call in CALLS:
            await told(call(bucket_at(address)), words)


@pytest.mark.parametrize(
    "answer",
    [
        http("507 Insufficient Storage"),
        http("403 Forbidden", b"<Error><Code>QuotaExceeded</Code></Error>"),
        http("500 Internal Server Error", b"<Error><Message>write: no space left on device</Message></Error>"),
    ],
)
async def test_a_bucket_without_room(answer: bytes) -> None:
    async with answering(answer) as address:
        with pytest.raises(DiskFull, match="no more room in s3://"):
            await bucket_at(address).put("backups/x", b"1")


async def test_bytes_that_break_off_are_no_object_and_no_reading() -> None:
    half = http("200 OK", b"x" * 1000)[:-500].replace(
        b"\r\n\r\n", b'\r\nETag: "a"\r\nLast-Modified: Mon, 23 Nov 2026 06:00:00 GMT\r\n\r\n'
    )
    async with answering(half) as address:
        await told(bucket_at(address).read("backups/x"), "does not answer")


async def test_a_bucket_that_is_not_there_and_a_key_that_is_wrong(weed: Weed) -> None:
    endpoint = weed.access["AWS_ENDPOINT_URL"]
    nowhere = bucket_at(endpoint, "none", **weed.access)
    for call in (CALLS[0], CALLS[1], CALLS[3], CALLS[4], CALLS[6]):
        await told(call(nowhere), "does not exist")
    assert await nowhere.is_away()
    for call in CALLS:
        await told(call(bucket_at(endpoint)), "access key")
    anonymous = Bucket(
        f"s3://{BUCKET}/place", (("AWS_ENDPOINT_URL", endpoint), ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1"))
    )
    with pytest.raises(Unavailable):
        await anonymous.check()


async def test_settings_of_a_bucket_come_from_one_place_and_tell_nothing(
    tmp_path: Path, weed: Weed, bucket_url: str
) -> None:
    env = tmp_path / "env"
    env.write_text("".join(f"{name}={value}\n" for name, value in {**weed.access, "AWS_PAGER": "less"}.items()))
    data = tmp_path / "data"
    pictures = {"PORTAL_STORAGE_URL": str(data / "backups" / "images")}  # free where backups lie in a bucket
    config = load({"PORTAL_DATA_DIR": str(data), "PORTAL_BACKUP_URL": bucket_url, **pictures}, env)
    destination = destination_of(config)
    assert destination is destination_of(config), "it keeps its connections"
    await destination.open_root()
    await destination.put("backups/x", b"1")
    assert await destination.read("backups/x") == b"1"
    assert destination.words == bucket_url
    assert await destination.free_bytes() is None
    assert weed.access["AWS_SECRET_ACCESS_KEY"] not in repr(config)
    assert not config.backup_dir.exists()


@pytest.mark.parametrize(
    "endpoint", ["not an address", "ftp://example.com", "http://", "http://example.com:99999", "s3.example.com"]
)
def test_an_endpoint_that_is_no_address(endpoint: str) -> None:
    with pytest.raises(Unavailable, match="is no address") as found:
        bucket_at(endpoint)
    assert SECRET not in str(found.value)


async def test_other_providers_are_asked_by_their_own_names() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    azure = {
        "AZURE_STORAGE_ACCOUNT_NAME": "shop",
        "AZURE_STORAGE_ACCOUNT_KEY": "a2V5",
        "AZURE_STORAGE_ENDPOINT": nobody,
    }
    with pytest.raises(Unavailable, match="az://container/place does not answer"):
        await Bucket("az://container/place", tuple(azure.items())).check()
    with pytest.raises(Unavailable, match="cannot be used"):
        Bucket("az://container/place")
    keys = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    account = json.dumps({"gcs_base_url": nobody, "disable_oauth": True, **keys})
    google = {"GOOGLE_SERVICE_ACCOUNT_KEY": account}
    with pytest.raises(Unavailable, match="gs://bucket/place does not answer"):
        await Bucket("gs://bucket/place", tuple(google.items())).check()


async def test_where_other_things_lie_nothing_is_begun(weed: Weed, bucket_url: str) -> None:
    bucket = Bucket(bucket_url, tuple(weed.access.items()))
    await bucket.put("somebody/elses", b"1")
    with pytest.raises(Unavailable, match="does not hold the object"):
        await bucket.open_root()
