"""The embedded PostgreSQL: begun, shared, adopted, restarted and left, in private folders and for one user alone."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from portal.embedded import NOTE, EmbeddedServer
from portal.environment import CHECKOUT
from portal.errors import Unavailable
from tests.waiting import eventually

IS_ROOT = os.geteuid() == 0
OWNER = """
import sys, time
from pathlib import Path
from portal.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.socket_dir, flush=True)
sys.stdin.read()
server.release()
"""


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One for all tests of this file, since making a cluster takes seconds. Where root runs them, `nobody` may pass."""
    folder = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    yield folder
    _remove(folder)


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(data_dir)
    server.start()
    yield server
    server.release()


def _remove(folder: Path) -> None:
    """The folder, and its cluster where that lies elsewhere; stopped first, should a test have failed."""
    left = EmbeddedServer(folder)
    if (folder / "postgres").exists() or (folder / "postgres-is-elsewhere.txt").exists():
        left.start()
        left.release()
        shutil.rmtree(left.home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def pid_of(server: EmbeddedServer) -> int:
    return int((server.home / "cluster" / "postmaster.pid").read_text().split()[0])


def is_running(server: EmbeddedServer) -> bool:
    return (server.home / "cluster" / "postmaster.pid").exists() and _is_alive(pid_of(server))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def connect(server: EmbeddedServer, database: str = "portal") -> asyncpg.Connection:
    return await asyncpg.connect(host=str(server.socket_dir), user="portal", database=database)


async def answers(server: EmbeddedServer) -> bool:
    try:
        connection = await connect(server)
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        return await connection.fetchval("SELECT true")
    finally:
        await connection.close()


def open_to_others(folder: Path) -> list[str]:
    """What of `folder`, itself included, others than its owner may read, write or pass."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    return [str(path) for path in paths if path.stat().st_mode & 0o077]


async def test_it_starts_answers_and_stops(server: EmbeddedServer) -> None:
    assert await answers(server)
    assert is_running(server)
    socket_dir = server.socket_dir
    server.release()
    assert not is_running(server)
    assert not socket_dir.exists()


async def test_everything_of_it_is_private(server: EmbeddedServer, data_dir: Path) -> None:
    assert open_to_others(server.home) == []
    assert open_to_others(server.socket_dir) == []
    allowed = 0o711 if IS_ROOT else 0o700
    assert stat.S_IMODE(os.stat(data_dir).st_mode) == allowed
    connection = await connect(server)
    try:
        assert await connection.fetchval("SHOW listen_addresses") == ""
        assert await connection.fetchval("SHOW data_checksums") == "on"
    finally:
        await connection.close()


def test_parents_keep_their_modes() -> None:
    """Below a folder that nobody else may enter, root's server lives elsewhere; nothing is opened for it."""
    closed = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    folder = closed / "a" / "data"
    folder.mkdir(parents=True, mode=0o700)
    closed.chmod(0o700)
    before = {path: stat.S_IMODE(path.stat().st_mode) for path in (closed, closed / "a", folder)}
    server = EmbeddedServer(folder)
    try:
        server.start()
        assert {path: stat.S_IMODE(path.stat().st_mode) for path in before} == before
        assert open_to_others(server.home) == []
        if IS_ROOT:
            assert str(server.home) in (folder / NOTE).read_text()
    finally:
        server.release()
        _remove(folder)
        shutil.rmtree(closed)


async def started(folder: Path) -> tuple[Path, bool]:
    """Where the database of this data directory lies, and whether it knew us already. It is stopped again."""
    server = EmbeddedServer(folder)
    server.start()
    try:
        connection = await connect(server)
        knew = await connection.fetchval("SELECT to_regclass('been_here') IS NOT NULL")
        await connection.execute("CREATE TABLE IF NOT EXISTS been_here ()")
        await connection.close()
    finally:
        server.release()
    return server.home, knew


@pytest.mark.skipif(not IS_ROOT, reason="only root's server is somebody else, who cannot reach each folder")
async def test_a_database_elsewhere_goes_with_its_data_directory() -> None:
    closed = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    data, moved, copied = closed / "data", closed / "moved", closed / "copied"
    data.mkdir()
    homes: list[Path] = []
    try:
        homes.append((await started(data))[0])
        data.rename(moved)
        assert await started(moved) == (homes[0], True)
        shutil.copytree(moved, copied)
        with pytest.raises(Unavailable, match=f"is a copy of {moved}, whose database lies in {homes[0]}"):
            EmbeddedServer(copied).start()
        assert await started(moved) == (homes[0], True)
        shutil.rmtree(moved)
        moved.mkdir()
        home, knew = await started(moved)
        homes.append(home)
        assert not knew, "who removed a data directory found its old database under the pictures of a new one"
    finally:
        for home in homes:
            shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(closed)


@pytest.mark.skipif(not IS_ROOT, reason="only root's server is somebody else, who cannot reach each folder")
def test_a_database_that_its_user_cannot_reach_any_more_is_not_replaced_by_an_empty_one(
    server: EmbeddedServer, data_dir: Path
) -> None:
    server.release()
    above = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    data_dir.rename(above / "data")
    try:
        with pytest.raises(Unavailable, match="a folder above it is closed"):
            EmbeddedServer(above / "data").start()
        above.chmod(0o711)
        reached = EmbeddedServer(above / "data")
        reached.start()
        reached.release()
    finally:
        (above / "data").rename(data_dir)
        above.rmdir()


async def test_it_stops_when_the_last_user_leaves_and_not_before(data_dir: Path) -> None:
    users = [EmbeddedServer(data_dir) for _ in range(3)]
    for user in users:
        user.start()
    pid = pid_of(users[0])
    assert {pid_of(user) for user in users} == {pid}
    for user in users[:-1]:
        user.release()
        assert await answers(users[-1])
    users[-1].release()
    assert not is_running(users[-1])


async def test_starts_at_once_make_one_server(data_dir: Path) -> None:
    users = [EmbeddedServer(data_dir) for _ in range(4)]
    await asyncio.gather(*(asyncio.to_thread(user.start) for user in users))
    assert len({pid_of(user) for user in users}) == 1
    await asyncio.gather(*(asyncio.to_thread(user.release) for user in users))
    assert not is_running(users[0])


async def test_a_server_that_outlived_its_owner_is_adopted(data_dir: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(data_dir)),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    socket_dir = (await asyncio.wait_for(owner.stdout.readline(), 60)).decode().strip()
    owner.kill()
    await owner.wait()
    heir = EmbeddedServer(data_dir)
    heir.start()
    try:
        assert str(heir.socket_dir) == socket_dir
        assert await answers(heir)
    finally:
        heir.release()
    assert not is_running(heir)


async def test_it_is_started_again_when_it_is_killed_under_us(server: EmbeddedServer) -> None:
    watch = asyncio.create_task(server.keep_alive())
    killed = pid_of(server)
    os.kill(killed, signal.SIGKILL)
    try:
        await eventually(lambda: is_running(server) and pid_of(server) != killed)
        await eventually(lambda: answers(server))
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_nothing_is_lost_when_it_is_killed(server: EmbeddedServer, data_dir: Path) -> None:
    connection = await connect(server)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (what text); INSERT INTO kept VALUES ('this')")
    os.kill(pid_of(server), signal.SIGKILL)
    connection.terminate()
    server.release()
    again = EmbeddedServer(data_dir)
    await eventually(lambda: _starts(again))  # its orphaned processes may need a moment to notice
    try:
        connection = await connect(again)
        assert await connection.fetchval("SELECT what FROM kept") == "this"
        await connection.execute("DROP TABLE kept")
        await connection.close()
    finally:
        again.release()


def _starts(server: EmbeddedServer) -> bool:
    try:
        server.start()
    except Unavailable:
        return False
    return True


def test_another_major_version_is_named_and_nothing_is_touched(data_dir: Path, server: EmbeddedServer) -> None:
    server.release()
    note = server.home / "cluster" / "PG_VERSION"
    right = note.read_text()
    note.write_text("12\n")
    try:
        with pytest.raises(Unavailable, match=r"made by PostgreSQL 12, the installed server is \d+"):
            EmbeddedServer(data_dir).start()
        assert not is_running(server)
    finally:
        note.write_text(right)


async def test_a_path_longer_than_a_sockets_may_be() -> None:
    folder = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    if IS_ROOT:
        os.chmod(folder, 0o711)
    long = folder / "long folder name".ljust(60, "x") / "another one".ljust(60, "y")
    for step in (long.parent, long):
        step.mkdir(mode=0o711 if IS_ROOT else 0o700)
    assert len(str(long)) > 107
    server = EmbeddedServer(long)
    try:
        server.start()
        assert await answers(server)
    finally:
        server.release()
        _remove(long)
        shutil.rmtree(folder)


def _as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """Run our code as `nobody`, with the first Python of our version that it may run."""
    nobody = pwd.getpwnam("nobody")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, *filter(None, [shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")])]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), *sys.path])), "PATH": "/usr/bin:/bin"}
    done = None
    for python in candidates:
        try:
            done = subprocess.run(
                [python, "-c", *words],
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                cwd="/",
                env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=100,
            )
        except PermissionError:
            continue
        if "No module named" not in done.stderr:
            return done
    pytest.skip(f"`nobody` can reach no Python {version} with this checkout" + (f": {done.stderr}" if done else ""))


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
def test_another_user_is_refused(server: EmbeddedServer) -> None:
    """Even the server's own user: the cluster's one person is the one who runs the portal."""
    attempt = f"""
import asyncio, asyncpg
async def main():
    await asyncpg.connect(host={str(server.socket_dir)!r}, user="portal", database="portal")
asyncio.run(main())
"""
    done = _as_nobody(attempt)
    assert done.returncode != 0
    assert "Peer authentication failed" in done.stderr or "PermissionError" in done.stderr, done.stderr


@pytest.mark.skipif(not IS_ROOT, reason="the other tests of this file run it without root then")
def test_it_works_for_an_ordinary_user() -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="portal-test-", dir="/tmp"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        done = _as_nobody(OWNER, str(folder))
        assert done.returncode == 0, done.stderr
        assert (folder / "postgres" / "cluster" / "PG_VERSION").exists()
        assert open_to_others(folder) == []
    finally:
        shutil.rmtree(folder)
