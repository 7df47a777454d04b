"""Restore into an empty portal: everything is what it was."""

from __future__ import annotations

from tests import samples
from tests.factories import make_entity
from tests.restoring import MUG, Bench, furnish


async def test_everything_comes_back_as_it_was(bench: Bench) -> None:
    await furnish(bench.studio)
    assert await bench.breaches() == []
    before = await bench.state()
    root = await bench.back_up()
    await bench.wipe()
    done = await bench.restore(root)
    assert await bench.state() == before
    assert done.restore_point is None
    assert done.is_into_empty


async def test_every_format_that_an_upload_may_have_comes_back(bench: Bench) -> None:
    await make_entity(id="MUG")
    kinds = {
        "a.jpg": samples.exif_rotated(6),
        "b.jpg": samples.mpo(),
        "c.jpg": samples.cmyk(),
        "d.jpg": samples.motion_photo(),
        "e.png": samples.transparent(),
        "f.png": samples.animated("PNG"),
        "g.webp": samples.webp(),
        "h.webp": samples.animated("WEBP"),
        "i.gif": samples.gif(),
        "j.gif": samples.animated("GIF"),
    }
    for name, data in kinds.items():
        await bench.studio.add(MUG, data, filename=name)
    before = await bench.state()
    root = await bench.back_up()
    await bench.wipe()
    await bench.restore(root)
    assert await bench.state() == before
