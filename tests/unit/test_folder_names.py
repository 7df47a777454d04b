"""Names in an exported folder: every disk keeps them, and they lead back to what they were."""

from __future__ import annotations

import itertools
import random

import pytest

from portal.backups.folder_names import folder_of, id_of, in_order, parts_of
from portal.gallery.file_names import LONGEST_STEM, file_name
from portal.spreadsheets import guarded, is_formula, unguarded

IDS = ["MUG-1", "a:b", "~x~", ".hidden", "end.", "con", "CON.1", "lpt1", "nul.txt", "Console", "x" * 64, "-1", "_"]


@pytest.mark.parametrize("entity_id", IDS)
@pytest.mark.parametrize("has_twin", [False, True])
def test_an_id_comes_back_from_its_folder_and_every_disk_keeps_that(entity_id: str, has_twin: bool) -> None:
    folder = folder_of(entity_id, has_twin=has_twin)
    assert id_of(folder) == entity_id
    assert not set(folder) & set('<>:"/\\|?*~')
    assert not folder.startswith(".")
    assert not folder.endswith(".")
    assert folder.partition(".")[0].casefold() not in {"con", "lpt1", "nul"}


def test_ids_that_differ_in_capitals_alone_differ_on_a_disk_that_knows_none() -> None:
    ids = ["".join(word) for word in itertools.product("aA", "bB", "cC")]
    assert len({folder_of(each, has_twin=True).casefold() for each in ids}) == len(ids)


@pytest.mark.parametrize("folder", ["RE 2026", "%zz", "%2F", "%2E%2E", "ä", "x" * 65])
def test_a_folder_that_is_no_id_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        id_of(folder)


@pytest.mark.parametrize(
    ("filename", "extension", "name"),
    [
        ("front.jpg", "jpg", "01-front.jpg"),
        ("front.JPEG", "jpg", "01-front.JPEG"),
        ("front", "png", "01-front.png"),
        ("front.png", "jpg", "01-front.png.jpg"),
        ('a:b?"<c>|*.jpg', "jpg", "01-a_b___c___.jpg"),
        ("CON.jpg", "jpg", "01-CON.jpg"),
        ("... .jpg", "jpg", "01-picture.jpg"),
        (".jpg", "jpg", "01-jpg.jpg"),
    ],
)
def test_a_file_is_called_as_it_was_as_far_as_disks_allow(filename: str, extension: str, name: str) -> None:
    assert file_name(0, 8, filename, extension) == name


def test_places_sort_as_text_and_long_names_are_cut() -> None:
    assert [file_name(place, 123, "a.jpg", "jpg") for place in (0, 9, 123)] == ["001-a.jpg", "010-a.jpg", "124-a.jpg"]
    assert len(file_name(0, 1, "ü" * 200 + ".jpg", "jpg").encode()) <= LONGEST_STEM + len("01-.jpg")


@pytest.mark.parametrize(
    "path", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "C:\\x.jpg", "C:/x.jpg", "..\\x.jpg", "", "a\0b", ".", "/"]
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"leads out|no path"):
        parts_of(path)


def test_a_path_is_read_with_either_slash() -> None:
    for path in ("a/b/c.jpg", "a\\b\\c.jpg", "./a/b//c.jpg"):
        assert parts_of(path) == ["a", "b", "c.jpg"]
    assert parts_of("a/b\\c.jpg") == ["a", "b\\c.jpg"]


def test_names_are_in_the_order_in_which_people_count() -> None:
    names = ["2.jpg", "10.jpg", "1.jpg", "b2.jpg", "b10.jpg", "B1.jpg", "a.jpg", "٣.jpg"]
    assert sorted(names, key=in_order) == ["1.jpg", "2.jpg", "10.jpg", "a.jpg", "B1.jpg", "b2.jpg", "b10.jpg", "٣.jpg"]


def test_any_text_comes_back_from_a_cell_and_no_cell_is_computed() -> None:
    chance = random.Random(6)
    texts = ["".join(chance.choices("'=+-@ \ta＝", k=chance.randrange(6))) for _ in range(5000)]
    assert [unguarded(guarded(text)) for text in texts] == texts
    assert not [text for text in texts if is_formula(guarded(text))]
