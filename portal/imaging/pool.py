"""Child processes that decode pictures: kept, bounded, replaced when they die.

Three lanes, so that a person who uploads waits neither for renditions nor for somebody's huge picture: one verifies, at
a better niceness, one renders, and a single child decodes all that is heavy, one after the other. In each of them
verification goes first, then uploads' renditions, then what is made because somebody looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from portal.errors import Busy, FileRefused, NotAnImage, TooManyPixels, Unavailable
from portal.histogram import Timings
from portal.imaging import wire
from portal.imaging.edits import NONE, Edits
from portal.imaging.presets import UNCHANGED, Changes
from portal.imaging.render import Rendered
from portal.imaging.sheet import Drawn, Form, Sheet
from portal.imaging.turnstile import Turnstile
from portal.imaging.verify import Limits, Verified

VERIFY_NICE = 5  # before renditions (10), behind the server's own loop (0)
VERIFY_CPU_SECONDS = 10
VERIFY_PATIENCE = 30  # seconds for which somebody's upload may wait for a child
START_SECONDS = 30  # 0.2 on an idle machine
LAST_BREATH = 3  # seconds from the end of a child's pipe to its death; on a busy machine
VERIFICATION, RENDITIONS, ON_DEMAND = range(3)  # priorities
RENDER_PATIENCE = 3  # a rendition may take so many times the CPU and the wall time of a verification
_ROOT = Path(__file__).resolve().parents[2]


class RenderPool:
    """`workers` children render; half as many, at least one, verify. `wall_seconds` bounds one verification.

    `timings` are told how long a verification takes with its wait, and of what is rendered the stages.
    """

    def __init__(
        self, workers: int, *, nice: int = 10, wall_seconds: float = 20, timings: Timings | None = None
    ) -> None:
        self._wall_seconds = wall_seconds
        self._timings = Timings() if timings is None else timings
        self._verifying = _Lane((workers + 1) // 2, min(VERIFY_NICE, nice))
        self._rendering = _Lane(workers, nice)
        self._heavy = _Lane(1, nice)
        self._heavy_turn = Turnstile()

    async def start(self) -> None:
        """One child to verify, one to render; more come as they are needed."""
        await asyncio.gather(self._verifying.warm_up(), self._rendering.warm_up())

    async def close(self) -> None:
        await asyncio.gather(self._verifying.close(), self._rendering.close(), self._heavy.close())

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Of each lane, how many places are busy and how many there are."""
        turns = {"verify": self._verifying.turns, "render": self._rendering.turns, "heavy": self._heavy_turn}
        return {name: (turn.busy, turn.places) for name, turn in turns.items()}

    async def verify(self, path: Path, filename: str, limits: Limits) -> Verified:
        """Raises a FileRefused; Busy when too many others wait; Unavailable or OSError when it is not the picture's fault."""

        def task(may_be_heavy: bool) -> wire.Task:
            name = filename.encode("utf-8", "surrogatepass")
            return wire.VerifyTask(_absolute(path), name, limits, VERIFY_CPU_SECONDS, may_be_heavy)

        how = (self._verifying, task(False), task(True), self._wall_seconds)
        with self._timings.timed("stage verify"):
            answer = await self._ask(*how, priority=VERIFICATION, patience=VERIFY_PATIENCE)
        assert isinstance(answer, wire.VerifyDone)
        return answer.verified

    async def render(
        self,
        path: Path,
        names: Sequence[str],
        focal_point: tuple[float, float] | None = None,
        edits: Edits = NONE,
        *,
        changes: Changes = UNCHANGED,
        modern: bool = False,
        priority: int = RENDITIONS,
    ) -> list[Rendered]:
        """As JPEG; `modern`: as WebP, and as AVIF where that is smaller; `changes` of the presets. Raises as `verify` does."""

        def task(may_be_heavy: bool) -> wire.Task:
            cpu_seconds = VERIFY_CPU_SECONDS * RENDER_PATIENCE
            wanted = (tuple(names), focal_point, edits, changes, modern)
            return wire.RenderTask(_absolute(path), *wanted, cpu_seconds, may_be_heavy)

        wall_seconds = self._wall_seconds * RENDER_PATIENCE
        answer = await self._ask(self._rendering, task(False), task(True), wall_seconds, priority=priority)
        assert isinstance(answer, wire.RenderDone)
        self._timings["stage render"].add(sum(answer.seconds.values()))
        for stage, seconds in answer.seconds.items():
            self._timings[f"stage {stage}"].add(seconds)
        return answer.renditions

    async def draw_sheet(self, sheet: Sheet, form: Form, pictures: Sequence[Path]) -> Drawn:
        """`pictures` in the order of their captions. Raises what is not the pictures' fault: a missing one leaves a gap."""
        paths = tuple(_absolute(path) for path in pictures)
        task = wire.SheetTask(sheet, form, paths, VERIFY_CPU_SECONDS * RENDER_PATIENCE)
        wall_seconds = self._wall_seconds * RENDER_PATIENCE
        answer = await self._ask(self._rendering, task, task, wall_seconds, priority=ON_DEMAND)
        assert isinstance(answer, wire.SheetDone)
        return answer.drawn

    async def _ask(
        self,
        lane: _Lane,
        light: wire.Task,
        heavy: wire.Task,
        wall_seconds: float,
        *,
        priority: int,
        patience: float | None = None,
    ) -> wire.Answer:
        """The child itself says whether a picture is heavy: it reads the header anyway, off our event loop."""
        began = time.perf_counter()
        async with _no_longer_than(patience, lane.slot(priority)):
            self._timings["stage wait"].add(time.perf_counter() - began)
            answer = await lane.ask(light, wall_seconds)
        if isinstance(answer, wire.Heavy):
            async with _no_longer_than(patience, self._heavy_turn.turn(priority)):
                answer = await self._heavy.ask(heavy, wall_seconds)
        if isinstance(answer, wire.Refused):
            raise _refusal(answer)
        if isinstance(answer, wire.Failed):
            raise _failure(answer)
        return answer


def _absolute(path: Path) -> bytes:
    return os.fsencode(path.absolute())


def _refusal(answer: wire.Refused) -> FileRefused:
    kinds = {kind.__name__: kind for kind in FileRefused.__subclasses__()}
    refusal = kinds.get(answer.error, NotAnImage)(answer.message)
    refusal.__cause__ = RuntimeError(answer.detail)
    return refusal


def _failure(answer: wire.Failed) -> Exception:
    if answer.errno is not None:
        return OSError(answer.errno, answer.detail)
    return RuntimeError(f"decoding child: {answer.detail}")


@contextlib.asynccontextmanager
async def _no_longer_than(
    seconds: float | None, turn: contextlib.AbstractAsyncContextManager[None]
) -> AsyncGenerator[None]:
    """`turn`, waited for so long at most. Raises Busy: who holds a connection open should know, and come back."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(seconds):
                await stack.enter_async_context(turn)
        except TimeoutError as error:
            raise Busy("Many pictures are being checked. This one can be added in a moment.", retry_after=5) from error
        yield


class _Child:
    """One process and its pipes. Not shared: who holds it has it alone."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process, self._to, self._from = process, process.stdin, process.stdout

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def begin(self, message: bytes) -> None:
        """Raises _NotTaken when the child is dead or does not come up. Its start is not on the picture's time."""
        try:
            async with asyncio.timeout(START_SECONDS):
                self._to.write(message)
                await self._to.drain()
                await self._from.readexactly(len(wire.TAKEN))
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise _NotTaken from error

    async def finish(self) -> wire.Answer:
        """Raises what asyncio raises when the child dies."""
        (length,) = wire.LENGTH.unpack(await self._from.readexactly(wire.LENGTH.size))
        if length > wire.LONGEST:
            raise ConnectionError("the child's answer is no answer")
        return wire.unpack_answer(await self._from.readexactly(length))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self._to.close()


class _NotTaken(Exception):
    """The child never began: no picture's fault."""


class _Lane:
    """At most `size` children of one niceness. The one used last goes first, so that spare ones stay asleep."""

    def __init__(self, size: int, nice: int) -> None:
        self._nice = nice
        self.turns = Turnstile(size)
        self._idle: list[_Child] = []
        self._dying: list[_Child] = []
        self._closed = False

    async def warm_up(self) -> None:
        self._idle.append(await _spawn(self._nice))

    async def close(self) -> None:
        self._closed = True
        for child in self._idle:
            child.kill()
        for child in [*self._idle, *self._dying]:
            await child.process.wait()
        self._idle, self._dying = [], []

    def slot(self, priority: int) -> contextlib.AbstractAsyncContextManager[None]:
        """To be held while one asks."""
        return self.turns.turn(priority)

    async def ask(self, task: wire.Task, wall_seconds: float) -> wire.Answer:
        message = wire.pack(task)
        for _ in range(3):
            with contextlib.suppress(_NotTaken):
                return await self._ask_one(message, wall_seconds)
        raise Unavailable("Pictures can't be opened at the moment. Add it again in a minute.", retry_after=30)

    async def _ask_one(self, message: bytes, wall_seconds: float) -> wire.Answer:
        child = await self._take()
        try:
            await child.begin(message)
            async with asyncio.timeout(wall_seconds):
                answer = await child.finish()
        except TimeoutError as error:
            self._bury(child)
            raise _too_slow() from error
        except _NotTaken:
            self._bury(child)
            raise
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            code = await self._end_of(child)
            raise _death_of(code) from RuntimeError(f"decoding child ended with {code}")
        except BaseException:  # cancelled: the child is in the middle of a picture that nobody wants any more
            self._bury(child)
            raise
        self._put_back(child)
        return answer

    async def _take(self) -> _Child:
        if self._closed:
            raise Unavailable("The portal is stopping. Add the picture again in a minute.", retry_after=30)
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            self._bury(child)
        return await _spawn(self._nice)

    def _put_back(self, child: _Child) -> None:
        if self._closed:
            self._bury(child)
        else:
            self._idle.append(child)

    async def _end_of(self, child: _Child) -> int:
        """What it died of. Its own death is waited for before it is killed: its pipe closes a little earlier."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_BREATH):
                    await child.process.wait()
        finally:
            self._bury(child)
        return await child.process.wait()

    def _bury(self, child: _Child) -> None:
        child.kill()
        self._dying = [c for c in self._dying if c.is_alive]
        self._dying.append(child)


async def _spawn(nice: int) -> _Child:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "portal.imaging.child", str(nice)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1024 * 1024,
        env={"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])},  # and none of the server's secrets
    )
    return _Child(process)


def _death_of(code: int) -> FileRefused:
    if code == -signal.SIGXCPU:
        return _too_slow()
    return NotAnImage("The picture breaks the decoder and was refused.")


def _too_slow() -> FileRefused:
    return TooManyPixels("The picture takes too long to open. Save it anew, smaller or as a plain JPEG, and add that.")
