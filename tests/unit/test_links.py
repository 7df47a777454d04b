from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from portal.errors import Gone
from portal.storage.links import Links

ID = UUID("01890a5d-ac96-774b-bcce-b302099a80c7")
OTHER = UUID("01890a5d-ac96-774b-bcce-b302099a80c8")
NOW = 1_700_000_100.0
LINKS = Links((b"k" * 32, b"old" * 12), frozenset({"invoices"}))


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_public_url_names_size_and_version_and_nothing_else():
    assert LINKS.rendition(ID, "companies", "card", 2, 5, NOW) == f"/api/images/serve/{ID}?size=card&v=2.5"


def test_a_private_url_is_signed_last_and_verifies():
    url = LINKS.rendition(ID, "invoices", "card", 2, 5, NOW)
    said = asked(url)
    assert url.rpartition("&")[2] == f"sig={said['sig']}"
    assert LINKS.check(ID, "card", "2.5", said["exp"], said["sig"], NOW)


def test_a_private_url_lasts_an_hour_and_stays_the_same_for_a_quarter():
    expiries = {
        int(asked(LINKS.rendition(ID, "invoices", "card", 1, 1, NOW + late))["exp"]) for late in range(0, 900, 7)
    }
    assert len(expiries) <= 2
    assert all(3600 <= expiry - NOW <= 3600 + 2 * 900 for expiry in expiries)


def test_every_flipped_character_of_the_signature_is_refused():
    said = asked(LINKS.signed(ID, "card", 1, 1, int(NOW) + 60))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=é\ud800"
    for place in range(len(said["sig"])):
        for letter in alphabet:
            forged = said["sig"][:place] + letter + said["sig"][place + 1 :]
            assert LINKS.check(ID, "card", "1.1", said["exp"], forged, NOW) == (forged == said["sig"])


@pytest.mark.parametrize(
    ("image", "name", "v", "change"),
    [
        (OTHER, "card", "1.1", 0),
        (ID, "large", "1.1", 0),
        (ID, "card", "1.2", 0),
        (ID, "card", "2.1", 0),
        (ID, "card", "1.1", 1),
        (ID, "card\n1.1", "", 0),
    ],
)
def test_a_signature_is_for_one_rendition_and_one_expiry(image: UUID, name: str, v: str, change: int):
    said = asked(LINKS.signed(ID, "card", 1, 1, int(NOW) + 60))
    assert not LINKS.check(image, name, v, str(int(said["exp"]) + change), said["sig"], NOW)


@pytest.mark.parametrize("exp", ["", "x", "-1", "9" * 5000, "١٢", "1e9", " 1"])
def test_an_odd_expiry_is_refused_and_not_an_error(exp: str):
    assert not LINKS.check(ID, "card", "1.1", exp, "AAAA", NOW)


def test_an_expired_signature_is_gone_but_only_if_it_was_ours():
    said = asked(LINKS.signed(ID, "card", 1, 1, int(NOW) - 1))
    with pytest.raises(Gone):
        LINKS.check(ID, "card", "1.1", said["exp"], said["sig"], NOW)
    assert not LINKS.check(ID, "card", "1.1", said["exp"], "A" * 43, NOW)


def test_keys_rotate_the_old_one_verifies_and_the_first_signs():
    old = Links((b"old" * 12,), frozenset()).signed(ID, "card", 1, 1, int(NOW) + 60)
    said = asked(old)
    assert LINKS.check(ID, "card", "1.1", said["exp"], said["sig"], NOW)
    assert LINKS.signed(ID, "card", 1, 1, int(NOW) + 60) != old
    assert not Links((b"new" * 12,), frozenset()).check(ID, "card", "1.1", said["exp"], said["sig"], NOW)


def test_no_link_outlives_the_page_it_was_made_for():
    soon, late = int(NOW) + 60, int(NOW) + 10**6
    assert asked(Links(LINKS.keys, LINKS.private_types, soon).rendition(ID, "invoices", "card", 1, 1, NOW))[
        "exp"
    ] == str(soon)
    forever = LINKS.rendition(ID, "invoices", "card", 1, 1, NOW)
    assert Links(LINKS.keys, LINKS.private_types, late).rendition(ID, "invoices", "card", 1, 1, NOW) == forever
