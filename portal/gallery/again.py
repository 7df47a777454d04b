"""One picture's renditions made again, because somebody who looks at them asks."""

from __future__ import annotations

from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.gallery import places
from portal.gallery.rerender import want_anew
from portal.gallery.service import forget_given_up, queue_rendering


async def render_again(image_id: UUID, *, actor: Actor) -> None:
    """Before those of many; what was shown stays until they are there. Raises NotFound."""
    async with database.transaction():
        await places.lock_gallery_of(image_id)
        versions = await want_anew([image_id], bump=True)
        await record(actor, "image.rerender", "image", str(image_id))
        await queue_rendering(image_id, versions[image_id])
        await forget_given_up()
