"""What owns pictures, pictures, their versions, pins and counts."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    Date,
    DoublePrecision,
    ForeignKey,
    Integer,
    Numeric,
    OnDelete,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from portal.database import DB


class Entity(Table, db=DB):
    """What owns pictures. (type, id) is the host system's own name for it; parents may be unknown here."""

    pk = BigSerial(primary_key=True)
    type = Varchar(length=32)
    id = Varchar(length=64)
    name = Varchar(length=300)
    reference = Varchar(length=200, null=True, default=None)
    parent_type = Varchar(length=32, null=True, default=None)
    parent_id = Varchar(length=64, null=True, default=None)
    attributes = JSONB(default="{}")
    number = Varchar(length=100, null=True, default=None)
    date = Date(null=True, default=None)
    currency = Varchar(length=3, null=True, default=None)
    total = Numeric(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class EntityTally(Table, db=DB, tablename="entity_tally"):
    """What an entity's gallery has, kept by triggers on `entity` and `image`; the trash does not count.

    `unsaid`: pictures that want an alt text. `primary_width` and `_height`: what is shown of the primary one, in pixels.
    """

    entity = ForeignKey(Entity, on_delete=OnDelete.cascade, primary_key=True, null=False, index=False)
    type = Varchar(length=32)
    images = Integer(default=0)
    unsaid = Integer(default=0)
    primary_width = Integer(null=True, default=None)
    primary_height = Integer(null=True, default=None)


class InvoiceLine(Table, db=DB, tablename="invoice_line"):
    """`item` is an inventory item's id and may not exist (yet)."""

    pk = BigSerial(primary_key=True)
    invoice = ForeignKey(Entity, on_delete=OnDelete.cascade, null=False, index=True)
    position = Integer()
    item = Varchar(length=64, null=True, default=None)
    description = Varchar(length=500)
    quantity = Numeric()
    unit_price = Numeric(null=True, default=None)


class Image(Table, db=DB):
    """One picture of one entity.

    `version` counts the bytes, `rendering` what is wanted of them; `renditions` holds the last whole set
    ({"of": "1.2", "made_of": {extension, edits, focal_point}, "items": {name: {width, height, bytes, sha256, media_type}}}):
    it serves until the next one is whole, and may be of an older version; `made_of` names `presets` ({name: [width, height,
    quality]}) that were not the code's then. `edits` holds only what differs from nothing.
    `sort_order` is NULL in the trash; `last_order` and `was_primary` lead back from there. `fingerprint` is a dHash of
    64 bits (signed): pictures that look alike differ in few of them.
    """

    id = UUID(primary_key=True)
    entity = ForeignKey(Entity, on_delete=OnDelete.cascade, null=False, index=False)
    filename = Varchar(length=200)
    media_type = Varchar(length=20)
    extension = Varchar(length=4)
    bytes = BigInt()
    width = Integer()
    height = Integer()
    frames = Integer(default=1)
    sha256 = Varchar(length=64)
    status = Varchar(length=12, default="pending")
    error = JSONB(null=True, default=None)
    tries = Integer(default=0)
    alt_text = Text(null=True, default=None)
    decorative = Boolean(default=False)
    caption = Text(null=True, default=None)
    tags = Array(base_column=Varchar(length=100), default=list)
    is_primary = Boolean(default=False)
    sort_order = Integer(null=True, default=None)
    last_order = Integer(default=0)
    was_primary = Boolean(default=False)
    focal_x = DoublePrecision(null=True, default=None)
    focal_y = DoublePrecision(null=True, default=None)
    edits = JSONB(default="{}")
    placeholder = Text(null=True, default=None)
    version = Integer(default=1)
    rendering = Integer(default=1)
    revision = Integer(default=1)
    renditions = JSONB(default="{}")
    attributes = JSONB(default="{}")
    exif = JSONB(default="{}")
    fingerprint = BigInt(null=True, default=None)
    uploaded_by = Varchar(length=200, null=True, default=None)
    trashed_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class Tag(Table, db=DB):
    """Every tag that a picture had once, noted by a trigger: what is offered while one is typed."""

    name = Varchar(length=100, primary_key=True)


class ImageVersion(Table, db=DB, tablename="image_version"):
    """Bytes that an image had before it was given others: their facts, and what was wanted of them then.

    `renditions` is the last whole set that was made of them, as in `image`; empty when none ever was.
    """

    pk = BigSerial(primary_key=True)
    image = ForeignKey(Image, on_delete=OnDelete.cascade, null=False, index=False)
    version = Integer()
    filename = Varchar(length=200)
    media_type = Varchar(length=20)
    extension = Varchar(length=4)
    bytes = BigInt()
    width = Integer()
    height = Integer()
    frames = Integer(default=1)
    sha256 = Varchar(length=64)
    placeholder = Text(null=True, default=None)
    exif = JSONB(default="{}")
    fingerprint = BigInt(null=True, default=None)
    focal_x = DoublePrecision(null=True, default=None)
    focal_y = DoublePrecision(null=True, default=None)
    edits = JSONB(default="{}")
    rendering = Integer(default=1)
    renditions = JSONB(default="{}")
    uploaded_by = Varchar(length=200, null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    replaced_at = Timestamptz(default=TimestamptzNow())


class ObjectPurge(Table, db=DB, tablename="object_purge"):
    """Keys whose rows are gone: the bytes follow after the commit, by a job that may run twice."""

    pk = BigSerial(primary_key=True)
    key = Varchar(length=300)
    created_at = Timestamptz(default=TimestamptzNow())


class EmbedKey(Table, db=DB, tablename="embed_key"):
    """What an iframe's URL carries: scope, presets, parents, expiry. Only the SHA-256 of the key is kept."""

    id = UUID(primary_key=True)
    key_hash = Bytea()
    scope_type = Varchar(length=32)
    scope_id = Varchar(length=64, null=True, default=None)
    presets = Array(base_column=Varchar(length=20), null=True, default=None)
    parents = Array(base_column=Varchar(length=200), default=list)
    captions = Boolean(default=True)
    created_by = Varchar(length=200)
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class InvoicePin(Table, db=DB, tablename="invoice_pin"):
    """An invoice that shows the pictures it was issued with. `items` are those of its lines then; later ones show live."""

    pk = BigSerial(primary_key=True)
    invoice = ForeignKey(Entity, on_delete=OnDelete.cascade, null=False, index=False)
    items = Array(base_column=Varchar(length=64), default=list)
    pinned_by = Varchar(length=200)
    pinned_at = Timestamptz(default=TimestamptzNow())


class PinnedPicture(Table, db=DB, tablename="pinned_picture"):
    """One picture of a pinned invoice: of its own gallery (`item` NULL, in the order of `position`), or its item's primary.

    `renditions` is the set it shows, as in `image`: neither these objects nor the version's original go while the pin stands.
    """

    pk = BigSerial(primary_key=True)
    pin = ForeignKey(InvoicePin, on_delete=OnDelete.cascade, null=False, index=False)
    image = ForeignKey(Image, on_delete=OnDelete.cascade, null=False, index=True)
    item = Varchar(length=64, null=True, default=None)
    position = Integer()
    version = Integer()
    renditions = JSONB(default="{}")


class ImageUsage(Table, db=DB, tablename="image_usage"):
    """How often a rendition of an image was sent on a day (UTC), and how many bytes that were. Nothing of who asked."""

    pk = BigSerial(primary_key=True)
    image = ForeignKey(Image, on_delete=OnDelete.cascade, null=False, index=False)
    preset = Varchar(length=20)
    day = Date()
    served = BigInt(default=0)
    bytes = BigInt(default=0)


class ServedDay(Table, db=DB, tablename="served_day"):
    """What all processes sent on a day (UTC), by size and format. `hits`: out of memory or the cache, 304s included."""

    pk = BigSerial(primary_key=True)
    day = Date()
    preset = Varchar(length=20)
    format = Varchar(length=10)
    hits = BigInt(default=0)
    misses = BigInt(default=0)
    bytes = BigInt(default=0)


class EdgePurge(Table, db=DB, tablename="edge_purge"):
    """Images that caches in front of the portal shall forget; noted by a trigger while `portal_state` has a row `edge`."""

    pk = BigSerial(primary_key=True)
    image = UUID()
    entity_type = Varchar(length=32)
    noted_at = Timestamptz(default=TimestamptzNow())
