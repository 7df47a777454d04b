"""The form that turns, mirrors and crops: what it asks of the edits that stand."""

from __future__ import annotations

from typing import Any

import pytest

from portal.errors import FormError
from portal.gallery.forms import read_edit_form
from portal.imaging.edits import NONE, Crop, Edits

NOW = Edits(90, "horizontal", Crop(0.5, 0, 0.5, 1))
CROP = {"crop_x": "0,1", "crop_y": "0.2", "crop_width": "0.5", "crop_height": ".5"}


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ({"turn": "right"}, Edits(0, "vertical", NOW.crop)),
        ({"turn": "left"}, Edits(0, "horizontal", NOW.crop)),
        ({"mirror": "horizontal"}, Edits(270, None, NOW.crop)),
        ({"reset": "1", "rotate": "180"}, NONE),
        ({}, NOW),
        ({"rotate": "180"}, Edits(180, "horizontal", NOW.crop)),
        ({"rotate": " ", "flip": ""}, Edits(0, None, NOW.crop)),
        ({"flip": "vertical"}, Edits(90, "vertical", NOW.crop)),
        (CROP, Edits(90, "horizontal", Crop(0.1, 0.2, 0.5, 0.5))),
        (dict.fromkeys(CROP, " "), Edits(90, "horizontal", None)),
        ({"revision": "7", "csrf_token": "x", "turn": ""}, NOW),
    ],
)
def test_what_is_not_sent_stays(sent: dict[str, str], wanted: Edits):
    assert read_edit_form(sent)(NOW) == wanted


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ({"turn": "around"}, "left or right"),
        ({"mirror": "both"}, "left or right"),
        ({"reset": "yes"}, "left or right"),
        ({"rotate": "45"}, "clockwise"),
        ({"rotate": "-90"}, "clockwise"),
        ({"flip": "diagonal"}, "horizontal"),
        (CROP | {"crop_width": "1"}, "inside"),
        (CROP | {"crop_x": ""}, "all four"),
        ({"crop_x": "0.1"}, "all four"),
        (CROP | {"crop_y": "nan"}, "numbers"),
    ],
)
def test_what_cannot_be_is_said_of_the_edits(sent: dict[str, Any], word: str):
    with pytest.raises(FormError) as refused:
        read_edit_form(sent)
    assert word in refused.value.errors["edits"]
