from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from portal.errors import ExtensionMismatch, FileRefused, NotAnImage, TooManyPixels, Unavailable
from portal.imaging import pool as pool_module
from portal.imaging.edits import Crop, Edits
from portal.imaging.pool import ON_DEMAND, RENDITIONS, RenderPool
from portal.imaging.presets import READY
from portal.imaging.verify import Limits
from tests import samples
from tests.waiting import PATIENCE

LIMITS = Limits()


@asynccontextmanager
async def running(wall_seconds: float = 20) -> AsyncIterator[RenderPool]:
    before = set(children())
    pool = RenderPool(1, wall_seconds=wall_seconds)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()
        assert set(children()) <= before, "the pool left a child behind"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    async with running() as pool:
        yield pool


def children(process: psutil.Process | None = None) -> list[psutil.Process]:
    return [child for child in (process or psutil.Process()).children() if is_decoder(child)]


def is_decoder(process: psutil.Process) -> bool:
    try:
        return "portal.imaging.child" in process.cmdline()  # a zombie has none
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return samples.write(tmp_path, "photo", samples.noisy())


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Some seconds of decoding."""
    return samples.write(tmp_path, "slow", samples.many_scans(8000))


PATIENT = Limits(max_scans=1_000_000)


async def test_a_picture_is_verified_and_rendered_in_children_that_stay(pool: RenderPool, photo: Path):
    found = await pool.verify(photo, "a.jpg", LIMITS)
    first = await pool.render(photo, READY)
    kept = set(children())
    await pool.verify(photo, "a.jpg", LIMITS)
    assert await pool.render(photo, READY) == first
    assert set(children()) == kept
    assert (found.width, found.height) == (640, 480)
    assert [r.name for r in first] == list(READY)


async def test_refusals_keep_their_kind_and_words(pool: RenderPool, tmp_path: Path):
    with pytest.raises(ExtensionMismatch, match="this is a PNG"):
        await pool.verify(samples.write(tmp_path, "x", samples.png()), "a.jpg", LIMITS)
    with pytest.raises(TooManyPixels, match="60,000"):
        await pool.verify(samples.write(tmp_path, "y", samples.bomb()), "a\ud800\0.png", LIMITS)


async def test_a_missing_file_is_not_called_a_bad_picture(pool: RenderPool, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        await pool.verify(tmp_path / "nowhere", "a.jpg", LIMITS)
    with pytest.raises(FileNotFoundError):
        await pool.render(tmp_path / "nowhere", READY)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_child_that_dies_fails_only_its_picture(
    pool: RenderPool, photo: Path, slow: Path, signum: signal.Signals
):
    doomed = asyncio.create_task(pool.verify(slow, "a.jpg", PATIENT))
    busy = await busiest()
    busy.send_signal(signum)
    with pytest.raises(NotAnImage, match="breaks the decoder"):
        await doomed
    assert (await pool.verify(photo, "a.jpg", LIMITS)).width == 640


async def test_a_child_that_died_idle_fails_no_picture(pool: RenderPool, photo: Path):
    for _ in range(3):
        for child in children():
            os.kill(child.pid, signal.SIGKILL)
        assert (await pool.verify(photo, "a.jpg", LIMITS)).width == 640
        assert len(await pool.render(photo, ["small"])) == 1


async def test_too_long_a_picture_is_killed_and_refused(photo: Path, slow: Path):
    async with running(wall_seconds=0.5) as pool:
        with pytest.raises(FileRefused, match="takes too long"):
            await pool.verify(slow, "a.jpg", PATIENT)
        assert (await pool.verify(photo, "a.jpg", LIMITS)).width == 640


async def test_a_picture_of_too_much_work_is_ended_by_the_kernel(
    pool: RenderPool, photo: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pool_module, "VERIFY_CPU_SECONDS", 0)
    with pytest.raises(TooManyPixels, match="takes too long"):
        await pool.verify(slow, "a.jpg", PATIENT)
    monkeypatch.undo()
    assert (await pool.verify(photo, "a.jpg", LIMITS)).width == 640


async def test_what_a_child_died_of_is_known_though_its_pipe_ends_first(photo: Path):
    """A stand-in that begins, closes its pipe, and is ended by the kernel a moment later."""
    script = r"import os, signal, time; os.write(1, b'\6'); os.close(1); time.sleep(0.5); os.kill(os.getpid(), signal.SIGXCPU)"
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    late = await asyncio.create_subprocess_exec(sys.executable, "-c", script, **pipes)
    async with running() as pool:
        pool._verifying._idle.append(pool_module._Child(late))
        with pytest.raises(TooManyPixels, match="takes too long"):
            await pool.verify(photo, "a.jpg", LIMITS)
        assert (await pool.verify(photo, "a.jpg", LIMITS)).width == 640


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are read in /proc")
async def test_a_child_has_a_gibibyte_and_ten_seconds_and_writes_no_files(pool: RenderPool, photo: Path):
    assert (pool_module.VERIFY_CPU_SECONDS, pool._wall_seconds) == (10, 20)
    await pool.verify(photo, "a.jpg", LIMITS)
    for child in children():
        assert child.rlimit(psutil.RLIMIT_AS) == (1024**3, 1024**3)
        assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)


async def test_a_picture_of_more_memory_than_a_child_has_is_refused(pool: RenderPool, tmp_path: Path):
    """Before any decoder: parts by the million, each of them small."""
    crowd = samples.jpeg()[:2] + b"\xff\xfe\0\3x" * 3_000_000 + samples.jpeg()[2:]
    with pytest.raises(FileRefused):
        await pool.verify(samples.write(tmp_path, "crowd", crowd), "a.jpg", LIMITS)


async def test_a_cancelled_picture_gives_its_child_up(pool: RenderPool, photo: Path, slow: Path):
    abandoned = asyncio.create_task(pool.verify(slow, "a.jpg", PATIENT))
    busy = await busiest()
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    await asyncio.wait_for(pool.verify(photo, "a.jpg", LIMITS), PATIENCE)
    assert gone(busy)


async def test_small_pictures_pass_a_slow_one_and_verification_passes_renditions(
    pool: RenderPool, photo: Path, slow: Path
):
    stuck = asyncio.create_task(pool.verify(slow, "a.jpg", PATIENT))
    await busiest()
    waiting = [asyncio.create_task(pool.render(photo, READY)) for _ in range(8)]
    await asyncio.wait_for(pool.verify(photo, "a.jpg", LIMITS), PATIENCE)
    assert not stuck.done()
    assert not all(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    stuck.cancel()
    await asyncio.wait([stuck])


async def test_of_heavy_pictures_verification_goes_first(pool: RenderPool, tmp_path: Path):
    order: list[str] = []

    async def note(name: str, work: asyncio.Task[object]) -> None:
        await asyncio.wait([work])
        order.append(name)

    heavy = samples.write(tmp_path, "heavy", samples.png(4100, 4100, "L", compress_level=1))
    first = asyncio.create_task(pool.render(heavy, ["icon"]))
    await asyncio.sleep(0.05)
    late = [asyncio.create_task(pool.render(heavy, ["icon"])) for _ in range(2)]
    urgent = asyncio.create_task(pool.verify(heavy, "a.png", LIMITS))
    await asyncio.gather(note("first", first), note("late", late[0]), note("last", late[1]), note("urgent", urgent))
    assert order.index("urgent") < order.index("last")


async def test_what_somebody_looks_at_is_made_after_uploads_renditions(pool: RenderPool, photo: Path):
    order: list[str] = []

    async def render(name: str, priority: int) -> None:
        await pool.render(photo, ["icon"], priority=priority)
        order.append(name)

    looked_at = [asyncio.create_task(render("looked at", ON_DEMAND)) for _ in range(4)]
    await asyncio.sleep(0)
    uploads = [asyncio.create_task(render("upload", RENDITIONS)) for _ in range(4)]
    await asyncio.gather(*looked_at, *uploads)
    assert order == ["looked at", *["upload"] * 4, *["looked at"] * 3]  # the first had its place already


async def test_a_closed_pool_takes_nothing(photo: Path):
    async with running() as pool:
        pass
    with pytest.raises(Unavailable):
        await pool.verify(photo, "a.jpg", LIMITS)


async def test_children_know_nothing_of_the_servers_secrets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORTAL_SECRET_KEYS", "hush")
    async with running():
        for child in children():
            assert "PORTAL_SECRET_KEYS" not in child.environ()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
async def test_children_hold_none_of_the_servers_descriptors(pool: RenderPool, photo: Path):
    with photo.open("rb") as ours:
        os.set_inheritable(ours.fileno(), True)
        await pool.verify(photo, "photo.jpg", LIMITS)
        for child in children():
            assert child.num_fds() == 5  # three standard streams to nowhere, tasks, answers


def test_no_child_outlives_a_killed_server(slow: Path):
    program = """
        import asyncio, sys
        from pathlib import Path
        from portal.imaging.pool import RenderPool
        from portal.imaging.verify import Limits
        async def main():
            pool = RenderPool(1)
            await pool.start()
            print("started", flush=True)
            await pool.verify(Path(sys.argv[1]), "a.jpg", Limits(max_scans=10**6))
        asyncio.run(main())
    """
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), slow], stdout=subprocess.PIPE)
    with server:
        assert server.stdout
        assert server.stdout.readline() == b"started\n"
        time.sleep(0.3)  # into the middle of a picture, where nobody reads the pipe
        orphans = children(psutil.Process(server.pid))
        server.kill()
    assert orphans
    assert all(map(gone, orphans))


def gone(process: psutil.Process) -> bool:
    """Soon: a killed process takes a moment to end."""
    end = time.monotonic() + PATIENCE
    while is_decoder(process) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_decoder(process)


async def busiest() -> psutil.Process:
    """The child that is decoding, once one is: by more work than its own start costs."""
    first: dict[psutil.Process, float] = {}
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for child in children():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = sum(child.cpu_times()[:2])
                if spent - first.setdefault(child, spent) > 0.6:
                    return child
        await asyncio.sleep(0.02)
    raise AssertionError("no child is at work")


@pytest.mark.parametrize("format", ["WEBP", "PNG"])
async def test_what_is_as_large_and_clear_as_may_be_is_let_in_and_rendered(
    pool: RenderPool, tmp_path: Path, format: str
) -> None:
    large = samples.write(tmp_path, "large", samples.clear(8000, 8000, format))
    name = f"large.{format.lower()}"
    verified = await pool.verify(large, name, LIMITS)
    assert (verified.width, verified.height) == (8000, 8000)
    assert len(await pool.render(large, READY)) == len(READY)
    cut = Edits(90, "vertical", Crop(0.01, 0.01, 0.98, 0.98))
    assert len(await pool.render(large, READY, None, cut)) == len(READY)
    made, *_ = await pool.render(large, ["optimized"], None, cut, modern=True)
    assert (made.width, made.height) == (2048, 2048)
