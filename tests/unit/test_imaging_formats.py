from __future__ import annotations

import re

import pytest

from portal.environment import CHECKOUT
from portal.errors import HostileContent, UnsupportedFormat
from portal.imaging import foreign
from portal.imaging.foreign import advice_for_content, advice_for_extension
from portal.imaging.formats import DANGEROUS, EXTENSIONS, FORMATS, check_filename, clean_filename, sniff
from tests.samples import FOREIGN, animated, gif, jpeg, png, webp


@pytest.mark.parametrize(
    ("data", "name"),
    [(jpeg(), "JPEG"), (png(), "PNG"), (webp(), "WEBP"), (gif(), "GIF"), (animated("PNG"), "PNG")],
)
def test_a_format_is_told_by_its_first_bytes(data: bytes, name: str):
    found = sniff(data[:16])
    assert found
    assert found.name == name


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_format_of_ours_is_named_in_the_refusal(name: str):
    assert sniff(FOREIGN[name][:16]) is None
    kind = {"pdf": "PDF", "heic": "HEIC", "avif": "AVIF", "svg": "SVG", "tiff": "TIFF", "bmp": "BMP"}
    kind |= {"zip": "archive", "html": "web page", "mp4": "video"}
    assert kind[name.rsplit(".")[-1]] in advice_for_content(FOREIGN[name])


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"msf1\0\0\0\0msf1hevc", "HEIC"),
        (b"mif1\0\0\0\0mif1miafavif", "AVIF"),
        (b"avif\0\0\0\0mif1miaf", "AVIF"),
        (b"avis\0\0\0\0", "AVIF"),
        (b"qt  \0\0\0\0qt  ", "video"),
        (b"mp42\0\0\0\0isomavif", "video"),
        (b"", "video"),
    ],
)
def test_a_still_of_an_iphone_is_told_from_its_relatives(brands: bytes, kind: str):
    assert kind in advice_for_content((len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + bytes(100))


def test_a_heic_is_answered_with_what_helps():
    for said in (advice_for_content(FOREIGN["photo.heic"]), advice_for_extension("heic")):
        assert said
        assert "Export it as JPEG and add it again" in said
        assert "Most Compatible" in said


def test_the_page_says_the_servers_sentences():
    """upload-checks.js looks before it sends; whoever is told by it is told the same."""
    script = (CHECKOUT / "static" / "js" / "upload-checks.js").read_text("utf-8")
    others = script[script.index("const OTHERS") : script.index("const HEAD_BYTES")]
    said = re.findall(r"(This is .*?)\"[,\]]", others) + re.findall(r"\?\? \"(This is not a picture.*?)\"", script)
    assert len(said) == 10
    assert set(said) <= {*foreign._ADVICE.values(), advice_for_content(b"\x93\x94\x95\x00")}
    known = {name: sorted(re.findall(r"\"(\w+)\"", extensions)) for name, extensions in _signs(script)}
    assert known == {str(each): sorted(each.extensions) for each in FORMATS}


def _signs(script: str) -> list[tuple[str, str]]:
    signs = re.findall(r"\[\"(JPEG|PNG|GIF)\", \[.*?\], \[(.*?)\]\]", script)
    return [*signs, *re.findall(r"name: \"(WebP)\", extensions: \[(.*?)\]", script)]


def test_an_unknown_kind_is_answered_with_what_we_take():
    assert "JPEG, PNG, WebP and GIF" in advice_for_content(b"\x93\x94\x95\x00" * 20)


def test_a_utf_8_text_cut_in_a_character_is_still_text():
    assert advice_for_content(("ä" * 300).encode()[:511]) == "This is text, not a picture."


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.jpg", "jpg"),
        ("A.JPEG", "jpeg"),
        ("C:\\fotos\\a.png", "png"),
        ("../../etc/a.gif", "gif"),
        ("a.jpg.", "jpg"),
        ("a.b.c.webp", "webp"),
        ("www.shop.com.jpg", "jpg"),
        ("clipboard", ""),
        ("php", ""),
        ("", ""),
    ],
)
def test_a_harmless_name_gives_its_extension(name: str, extension: str):
    assert check_filename(name, EXTENSIONS, DANGEROUS) == extension


@pytest.mark.parametrize(
    "name",
    [
        "a.php",
        "a.php.jpg",
        "a.jpg.php",
        "a.PhP5.png",
        "a.asp;.jpg",
        "a.phtml.",
        "a\0.php.jpg",
        ".htaccess.jpg",
        "a.exe",
    ],
)
def test_a_dangerous_extension_is_refused_in_every_place(name: str):
    with pytest.raises(HostileContent, match="Rename the file"):
        check_filename(name, EXTENSIONS, DANGEROUS)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.pdf", "PDF"), ("IMG_1.HEIC", "HEIC"), ("a.svg", "SVG"), ("a.html", "web page"), ("a.mov", "video")],
)
def test_a_name_of_a_known_kind_says_what_to_do(name: str, words: str):
    with pytest.raises(UnsupportedFormat, match=words):
        check_filename(name, EXTENSIONS, DANGEROUS)


def test_an_unknown_extension_is_answered_with_the_allowed_ones():
    with pytest.raises(UnsupportedFormat, match=r"“\.xyz”. Pictures end in \.jpg or \.png\."):
        check_filename("a.xyz", frozenset({"jpg", "png"}), DANGEROUS)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("mug.jpg", "mug.jpg"),
        ("/etc/cron.d/x.jpg", "x.jpg"),
        ("C:\\x.jpg", "x.jpg"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("photo\u202egnp.jpg", "photognp.jpg"),
        ("a\r\nX-Injected: 1.jpg", "a X-Injected: 1.jpg"),
        ("a\0b\x1b.jpg", "ab.jpg"),
        ("bad\ud800.jpg", "bad.jpg"),
        ("zero\u200bwidth.jpg", "zerowidth.jpg"),
        ("😀🔥.jpg", "😀🔥.jpg"),
        ("", "picture"),
        ("..", "picture"),
        (" \u202e ", "picture"),
    ],
)
def test_a_name_is_kept_without_what_nobody_sees(sent: str, kept: str):
    assert clean_filename(sent) == kept


def test_a_long_name_keeps_its_extension():
    kept = clean_filename("é" * 500 + ".jpeg")
    assert len(kept) == 200
    assert kept.endswith("é.jpeg")
