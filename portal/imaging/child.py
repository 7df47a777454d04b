"""`python -m portal.imaging.child NICENESS`: a process that decodes pictures, one after the other, and may be killed.

It reads tasks from standard input and answers on standard output until the input ends, which it does when the server
ends, however that ends. Decoders are where hostile bytes do harm, so this process has little to lose: no secrets in
its environment, bounded memory and CPU, no new files.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from portal.errors import FileRefused, TooManyPixels
from portal.imaging import modern, render, stopwatch, verify, wire
from portal.imaging.anatomy import Anatomy, walk
from portal.imaging.decode import Image
from portal.imaging.formats import Format, sniff
from portal.imaging.presets import OPTIMIZED_MOST
from portal.imaging.sheet import draw_sheet

MEMORY_BYTES = 1024**3
HEAVY_PIXELS = 16_000_000
HEAVY_SCANS = 20  # cameras and programs write ten or so
MOST_DESCRIPTORS = 1 << 16
_PR_SET_PDEATHSIG = 1


def main() -> None:
    _confine(int(sys.argv[1]))
    os.closerange(3, MOST_DESCRIPTORS)  # an event loop may leave us more of the server's than it should
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _point_standard_streams_nowhere()
    Image.preinit()  # else the first picture pays for it
    while body := _read_task(tasks):
        answers.write(wire.TAKEN)
        answers.flush()
        answers.write(wire.pack(_answer(wire.unpack_task(body))))
        answers.flush()


def _confine(niceness: int) -> None:
    os.nice(niceness)
    for signum in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # sent to the whole group at the end, when pictures are still asked for
        signal.signal(signum, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also in the middle of a picture
    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit on memory
            resource.setrlimit(limit, (value, value))


def _point_standard_streams_nowhere() -> None:
    """A decoder that prints must not speak into our answers."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _read_task(tasks: BinaryIO) -> bytes:
    head = tasks.read(wire.LENGTH.size)
    return tasks.read(*wire.LENGTH.unpack(head)) if len(head) == wire.LENGTH.size else b""


def _answer(task: wire.Task) -> wire.Answer:
    _allow_cpu(task.cpu_seconds)
    try:
        return _done(task)
    except FileRefused as refusal:
        return wire.Refused(type(refusal).__name__, refusal.message, repr(refusal.__cause__))
    except MemoryError as error:  # before the decoder, which names its own
        return wire.Refused(TooManyPixels.__name__, verify.TOO_MUCH_MEMORY, repr(error))
    except OSError as error:  # of the file itself: what a decoder raises has become a refusal
        return wire.Failed(error.errno, str(error))
    except Exception as error:
        return wire.Failed(None, f"{type(error).__name__}: {error}")


def _done(task: wire.Task) -> wire.Answer:
    if isinstance(task, wire.VerifyTask):
        return _verify(task)
    return _render(task) if isinstance(task, wire.RenderTask) else _draw(task)


def _allow_cpu(seconds: int) -> None:
    """From now on. Beyond it the kernel ends this process by SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def _verify(task: wire.VerifyTask) -> wire.Answer:
    data = Path(os.fsdecode(task.path)).read_bytes()
    filename = task.filename.decode("utf-8", "surrogatepass")
    format, anatomy = verify.inspect(data, filename, task.limits)
    if not task.may_be_heavy and _is_heavy(format, anatomy, anatomy.frames):
        return wire.Heavy()
    return wire.VerifyDone(verify.verify_pixels(data, filename, format, anatomy, task.limits))


def _render(task: wire.RenderTask) -> wire.Answer:
    stopwatch.reset()
    data = Path(os.fsdecode(task.path)).read_bytes()
    format = sniff(data[:16])
    if format and not task.may_be_heavy and _is_heavy(format, walk(data, format), frames=1, is_whole=_is_scaled(task)):
        return wire.Heavy()
    if task.is_modern:
        wanted = (task.focal_point, task.edits, task.changes)
        made = (modern.render_modern(data, name, *wanted) for name in task.names)
        renditions = [each for both in made for each in both]
    else:
        renditions = render.render_bytes(data, task.names, task.focal_point, task.edits, task.changes)
    return wire.RenderDone(renditions, stopwatch.read())


def _is_scaled(task: wire.RenderTask) -> bool:
    """May the decoder leave out pixels? Not for a crop, and not for a larger box than the code's."""
    sides = (max(width, height) for name, (width, height, _) in task.changes.items() if name in task.names)
    return task.edits.crop is None and max(sides, default=0) <= OPTIMIZED_MOST


def _draw(task: wire.SheetTask) -> wire.Answer:
    return wire.SheetDone(draw_sheet(task.sheet, task.form, lambda number: _find_bytes(task.paths[number])))


def _find_bytes(path: bytes) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return Path(os.fsdecode(path)).read_bytes()
    return None


def _is_heavy(format: Format, anatomy: Anatomy, frames: int, *, is_whole: bool = True) -> bool:
    """In memory or in time. A JPEG is decoded to a quarter of its pixels or less, but a progressive one keeps all its
    coefficients first, and what is cropped may need every pixel."""
    pixels = anatomy.width * anatomy.height * frames
    scaled = is_whole and format.name == "JPEG" and not anatomy.progressive
    return (pixels // 4 if scaled else pixels) > HEAVY_PIXELS or anatomy.scans > HEAVY_SCANS


if __name__ == "__main__":
    main()
