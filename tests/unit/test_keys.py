from __future__ import annotations

from typing import get_args
from uuid import UUID

import pytest

from portal.storage.keys import (
    CacheFormat,
    ParsedKey,
    cache_key,
    is_cache_key,
    original_key,
    parse_key,
    rendition_key,
)

ID = UUID("01890a5d-ac96-774b-bcce-b302099a80c7")


def test_originals_lie_in_the_shard_of_the_ids_last_two_digits():
    assert original_key("invoices", ID, 3, "png") == f"invoices/c7/{ID}-v3.png"


def test_optimized_and_thumbnails_lie_in_folders_of_their_own():
    assert rendition_key("companies", ID, 1, 2, "optimized") == f"companies/optimized/c7/{ID}-v1.2.jpg"
    assert rendition_key("companies", ID, 1, 2, "icon") == f"companies/thumbnails/c7/{ID}-v1.2-icon.jpg"


def test_what_was_named_is_read_back():
    original = original_key("inventory_items", ID, 12, "gif")
    assert parse_key(original) == ParsedKey("inventory_items", ID, 12, "gif")
    for name in ("icon", "optimized", "print"):
        key = rendition_key("inventory_items", ID, 12, 7, name)
        assert parse_key(key) == ParsedKey("inventory_items", ID, 12, "jpg", 7, name)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "temp/0.part",
        ".portal-root",
        f"pets/c7/{ID}-v1.jpg",
        f"invoices/00/{ID}-v1.jpg",
        f"invoices/c7/{ID}-v0.jpg",
        f"invoices/c7/{ID}-v1.svg",
        f"invoices/c7/{str(ID).upper()}-v1.jpg",
        f"invoices/c7/{ID}-v1.jpg\n",
        f"invoices/c7/../c7/{ID}-v1.jpg",
        f"invoices/optimized/c7/{ID}-v1.1-icon.jpg",
        f"invoices/thumbnails/c7/{ID}-v1.1.jpg",
        f"invoices/thumbnails/c7/{ID}-v1.1-optimized.jpg",
        f"invoices/thumbnails/c7/{ID}-v1.1-icon.png",
        f"invoices/c7/{ID}-v1.1.jpg",
    ],
)
def test_a_foreign_name_is_no_key(key: str):
    assert parse_key(key) is None


@pytest.mark.parametrize("format", get_args(CacheFormat))
def test_a_cached_file_is_told_by_its_name(format: CacheFormat):
    key = cache_key("invoices", ID, 12, 7, "card", format)
    assert key == f"invoices/c7/{ID}-v12.7-card.{format}"
    assert is_cache_key(key)


@pytest.mark.parametrize("end", ["gif", "png", "webp2", "avif\n", "jpg/x", "svg"])
def test_a_foreign_name_in_the_cache_is_left_alone(end: str):
    assert not is_cache_key(f"invoices/c7/{ID}-v12.7-card.{end}")
