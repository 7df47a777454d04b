"""One embedded PostgreSQL a session, one migrated template, a clone for each worker, rows deleted between tests."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from portal import database, settings
from portal.embedded import EmbeddedServer
from portal.entities import lasting
from portal.imaging.pool import RenderPool
from portal.jobs import queue
from portal.maintenance.health import looking
from portal.settings import Settings
from portal.storage.store import Store
from portal.tables import TABLES
from tests.factories import Studio
from tests.waiting import PATIENCE
from tests.weed import BUCKET, Weed, running_weed

pytest_plugins = ["tests.drilling", "tests.restoring"]
TEMPLATE_LOCK = 7_310_099
EMPTIED = [*(table._meta.tablename for table in reversed(TABLES)), "pgqueuer", "pgqueuer_log"]
FILLED = " UNION ALL ".join(f"SELECT '{name}' AS name WHERE EXISTS (SELECT FROM {name})" for name in EMPTIED)


@pytest.fixture(scope="session", autouse=True)
def reachable_root(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run by root, an embedded server has another user, who must reach the tests' folders, else it lives elsewhere."""
    if os.geteuid() == 0:
        base = tmp_path_factory.getbasetemp()
        for folder in (base, base.parent, base.parent.parent):
            if folder.stat().st_uid == 0 and folder.name.startswith("pytest-"):
                folder.chmod(0o711)
        base.chmod(0o711)


@pytest.fixture(scope="session", autouse=True)
def unhurried_checks() -> None:
    """Of the portal's health: that this machine has much else to do is no finding."""
    looking.look.__defaults__ = (PATIENCE, looking.REST)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    if os.geteuid() == 0:
        tmp_path.chmod(0o711)
    return tmp_path


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "gw0")


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory, worker: str) -> Path:
    """One folder for all workers of this run."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
async def database_arguments(shared_root: Path, worker: str) -> AsyncIterator[dict[str, object]]:
    """How to reach this worker's own database: a clone of the migrated template."""
    url = os.environ.get("PORTAL_TEST_DATABASE_URL")
    server = None if url else EmbeddedServer(shared_root / "pg")
    if server is not None:
        (shared_root / "pg").mkdir(mode=0o700, exist_ok=True)
        server.start()
        base: dict[str, object] = {"host": str(server.socket_dir), "user": "portal"}
    else:
        base = {"dsn": url}
    run = f"portal_test_{os.getppid() if 'PYTEST_XDIST_WORKER' in os.environ else os.getpid()}"
    template, clone = f"{run}_template", f"{run}_{worker}"
    admin = await asyncpg.connect(**base, **({} if url else {"database": "portal"}))
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", TEMPLATE_LOCK)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
            await admin.execute(f'CREATE DATABASE "{template}"')
            database.DB.config = _of(base, template)
            await queue.migrate()
        await admin.execute(f'DROP DATABASE IF EXISTS "{clone}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{clone}" TEMPLATE "{template}"')
        await admin.execute(
            f'ALTER DATABASE "{clone}" SET synchronous_commit = off'
        )  # no test cuts this server's power
        await admin.execute("SELECT pg_advisory_unlock($1)", TEMPLATE_LOCK)
        yield _of(base, clone)
        await admin.execute(f'DROP DATABASE IF EXISTS "{clone}" WITH (FORCE)')
        if url:
            await admin.execute(f'DROP DATABASE IF EXISTS "{template}"')
    finally:
        await admin.close()
        if server is not None:
            server.release()
            if not (server.home / "socket-dir").exists():  # we were its last user
                shutil.rmtree(server.home, ignore_errors=True)


def _of(base: dict[str, object], name: str) -> dict[str, object]:
    if "dsn" in base:
        return {"dsn": urlunsplit(urlsplit(str(base["dsn"]))._replace(path=f"/{name}"))}
    return {**base, "database": name}


@pytest.fixture(scope="session")
async def pool(database_arguments: dict[str, object]) -> AsyncIterator[None]:
    database.DB.config = database_arguments
    database.DB.pool = await asyncpg.create_pool(**database_arguments, min_size=1, max_size=12, command_timeout=30)
    yield
    await database.DB.pool.close()
    database.DB.pool = None


@pytest.fixture
async def db(pool: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """An empty, migrated database behind the portal's engine. What a busy machine takes long to count is counted anew all the
    same: no test is shown figures of before."""
    monkeypatch.setattr(lasting, "QUICK", 3600.0)
    yield
    await empty_tables()


async def empty_tables() -> None:
    """Those that hold something, in one go: a test fills few of them."""
    if database._releasing:  # what was interrupted may be done yet, until its connection is free again
        await asyncio.wait(set(database._releasing))
    filled = {row["name"] for row in await database.fetch(FILLED)}
    if not filled:
        return
    names = [*(name for name in EMPTIED if name in filled), "stored_count"]  # again: what went was counted
    async with database.transaction():
        await database.execute("SET LOCAL portal.audit_maintenance = on")
        await database.execute("; ".join(f"DELETE FROM {name}" for name in names))


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    """Settings of a portal that lives in this test's own folder."""
    return settings.load({"PORTAL_DATA_DIR": str(tmp_path / "data"), "PORTAL_WORKERS": "1"}, None)


@pytest.fixture(scope="session")
async def render_pool() -> AsyncIterator[RenderPool]:
    pool = RenderPool(1)
    await pool.start()
    yield pool
    await pool.close()


@pytest.fixture
async def studio(db: None, config: Settings, render_pool: RenderPool) -> Studio:
    """An empty portal's store and pool, to add pictures with."""
    store = Store(config.storage_dir)
    await store.open_root()
    return Studio(store, render_pool)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """A real S3 server, the same for all tests; who stops it starts it again."""
    with running_weed(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture
def bucket_url(request: pytest.FixtureRequest) -> str:
    """A place of this test's own in its bucket."""
    return f"s3://{BUCKET}/{request.node.name[:40]} {uuid4()}"
