"""Tags in the text of a sidecar: they are found there, all else stays to the byte, and they come out again."""

import re
from collections.abc import Callable
from random import Random

import pytest
from sidecar_styles import DARKTABLE, DIGIKAM, DIGIKAM_STYLE, EXIFTOOL, LIGHTROOM, RDF, STYLES, described, written

from vithybrid_cli.actions.xmp_edit import EMPTY, is_tagged, tagged, untagged
from vithybrid_cli.actions.xmp_memory import PROPERTIES, Keyword, Tags, values
from vithybrid_cli.actions.xmp_structure import MOST_BYTES, UnusableSidecar, read

SUBJECT, HIERARCHY, TAGS_LIST = (one.name for one in PROPERTIES)
each_style = pytest.mark.parametrize("style", [pytest.param(text, id=name) for name, text in STYLES.items()])


def tags(*keywords: str, prefix: str = "auto", model: str | None = "google/vit", score: float = 0.5) -> Tags:
    found = tuple(Keyword(keyword, f"{keyword}, {keyword} of old", 7, score) for keyword in keywords)
    return Tags(found, (prefix,) if prefix else (), model, "1.0")


def listed(content: bytes) -> tuple[list[str], list[str], list[str]]:
    """What a sidecar lists in the three properties."""
    sidecar = read(content)
    return values(sidecar, SUBJECT), values(sidecar, HIERARCHY), values(sidecar, TAGS_LIST)


def lines_of(content: bytes) -> set[bytes]:
    return set(re.split(rb"[\r\n]+", content))


@each_style
def test_labels_are_listed_after_what_was_there(style: bytes) -> None:
    before, after = listed(style), listed(tagged(style, tags("dog", "<&>")))
    new = ["dog", "<&>"], ["auto|dog", "auto|<&>"], ["auto/dog", "auto/<&>"]
    assert after == tuple(was + more for was, more in zip(before, new, strict=True))


@each_style
def test_what_is_taken_out_leaves_the_bytes_that_were_there(style: bytes) -> None:
    assert untagged(tagged(style, tags("cat", "dog"))) == style
    assert untagged(style) == style


@each_style
def test_a_second_run_changes_nothing(style: bytes) -> None:
    once = tagged(style, tags("cat", "dog"))
    assert once != style
    assert tagged(once, tags("cat", "dog")) == once


@each_style
def test_another_run_leaves_no_trace_of_the_first(style: bytes) -> None:
    first = tagged(style, tags("cat", "dog", prefix="", score=0.75))
    second = tagged(first, tags("lynx", model="another", prefix="mine"))
    assert second == tagged(style, tags("lynx", model="another", prefix="mine"))
    assert tagged(second, Tags()) == style


@each_style
def test_new_text_is_put_in_and_none_is_changed(style: bytes) -> None:
    """All of the old text is there in its order: only what closes an empty tag has become another."""
    new, place = tagged(style, tags("dog")), 0
    for part in re.split(rb"\s*/>", style) if b"VithybridOpened" in new else [style]:
        for piece in re.findall(rb"[^<>]+|[<>]", part):
            found = new.find(piece, place)
            assert found >= place
            place = found + len(piece)


@each_style
def test_line_breaks_are_those_of_the_sidecar(style: bytes) -> None:
    breaks = [b"\r\n", b"\n", b"\r"]
    rest = [style.replace(b"\r\n", b"")]
    used = {one for one in breaks if one in (style if one == b"\r\n" else rest[0])}
    new = tagged(style, tags("dog"))
    bare = new.replace(b"\r\n", b"")
    assert {one for one in breaks if one in (new if one == b"\r\n" else bare)} <= used


@each_style
def test_white_space_comments_and_repeated_items_anywhere_come_back(style: bytes) -> None:
    random = Random(0)
    for _ in range(10):
        text = style
        for _ in range(3):
            place = random.choice([one.start() for one in re.finditer(rb"(?<=>)(?=\s*<)", text)])
            text = (
                text[:place]
                + random.choice([b" ", b"\r\n", b"\t", b"<!-- > -->", b"<?a b?>", b"\n\n  "])
                + text[place:]
            )
        if found := [one.span() for one in re.finditer(rb"<rdf:li>[^<]*</rdf:li>", text)]:
            begin, end = random.choice(found)
            text = text[:begin] + text[begin:end] * random.choice([0, 2]) + text[end:]
        new = tagged(text, tags("cat", "dog"))
        assert tagged(new, tags("cat", "dog")) == new
        assert untagged(new) == text


def test_damage_is_refused_or_comes_back() -> None:
    random, texts = Random(0), list(STYLES.values())
    for _ in range(2_000):
        text = bytearray(random.choice(texts))
        place, other = random.randrange(len(text)), random.randrange(len(text))
        match random.randrange(3):
            case 0:
                text[place] = random.choice(b"<>/\"'=: &;#r\n\0")
            case 1:
                del text[place : place + 20]
            case _:
                text[place:place] = text[other : other + 40]
        try:
            new = tagged(bytes(text), tags("dog"))
        except UnusableSidecar:
            continue
        assert tagged(new, tags("dog")) == new
        assert untagged(new) == text


def test_each_label_has_a_line_of_its_own_where_others_have() -> None:
    new = tagged(DIGIKAM_STYLE, tags("dog"))
    assert b"     <rdf:li>cat</rdf:li>\n     <rdf:li>dog</rdf:li>\n    </rdf:Bag>" in new
    assert lines_of(DIGIKAM_STYLE) <= lines_of(new)


def test_a_packet_keeps_its_wrapper_and_its_padding() -> None:
    new = tagged(LIGHTROOM, tags("dog"))
    assert new.startswith(LIGHTROOM[:60])
    assert new.endswith(LIGHTROOM[LIGHTROOM.index(b"</x:xmpmeta>") :])


def test_our_description_is_of_the_same_picture_as_the_others() -> None:
    new = tagged(LIGHTROOM, tags("dog"))
    assert new.count(b'rdf:about="uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"') == 2


def test_what_is_remembered_is_model_version_label_class_and_score() -> None:
    new = tagged(EMPTY, tags("dog", score=0.123456789)).decode()
    for name, value in (("Model", "google/vit"), ("Version", "1.0")):
        assert f"<vithybrid:Vithybrid{name}>{value}<" in new
    for name, value in (("Labels", "dog, dog of old"), ("Classes", "7"), ("Scores", "0.123457")):
        assert re.search(rf"<vithybrid:Vithybrid{name}>\s*<rdf:Seq>\s*<rdf:li>{value}<", new)


def test_a_model_that_is_not_known_is_not_named() -> None:
    assert b"VithybridModel" not in tagged(EMPTY, tags("dog", model=None))


def test_a_keyword_of_the_users_stays_theirs() -> None:
    new = tagged(DIGIKAM_STYLE, tags("cat"))
    assert listed(new)[0] == ["Lake", "cat"]
    assert listed(tagged(new, tags("dog")))[0] == ["Lake", "cat", "dog"]
    assert listed(untagged(new))[0] == ["Lake", "cat"]


def test_where_all_is_there_already_nothing_is_written() -> None:
    style = described(
        f'<dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject><d:TagsList xmlns:d="{DIGIKAM}"><rdf:Seq>'
        "<rdf:li>cat</rdf:li></rdf:Seq></d:TagsList><l:hierarchicalSubject "
        'xmlns:l="http://ns.adobe.com/lightroom/1.0/"><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></l:hierarchicalSubject>'
    )
    assert tagged(style, tags("cat", prefix="")) == style


def without(text: str) -> Callable[[bytes], bytes]:
    """What somebody does who takes an item out by hand."""
    return lambda content: re.sub(rb"\s*<rdf:li>" + re.escape(text.encode()) + rb"</rdf:li>", b"", content, count=1)


def test_a_keyword_that_somebody_took_out_is_not_written_again() -> None:
    new = without("dog")(tagged(DARKTABLE, tags("dog")))
    again = tagged(new, tags("dog"))
    assert listed(again) == ([], [], [])
    assert tagged(again, tags("dog")) == again
    assert listed(tagged(again, tags("lynx", "dog")))[0] == ["lynx"]
    assert listed(tagged(tagged(again, tags("lynx")), tags("dog")))[0] == []


def test_a_path_that_somebody_took_out_is_not_written_again_where_the_keyword_is_theirs() -> None:
    new = without("auto|cat")(tagged(DIGIKAM_STYLE, tags("cat")))
    again = tagged(new, tags("cat"))
    assert listed(again) == (["Lake", "cat"], ["Places|Lake"], ["Places/Lake", "cat"])
    assert tagged(again, tags("cat")) == again
    assert untagged(again) == DIGIKAM_STYLE
    assert listed(tagged(again, tags("cat", prefix="")))[1] == ["Places|Lake", "cat"]


def test_a_keyword_that_somebody_wrote_again_is_theirs() -> None:
    gone = tagged(without("dog")(tagged(DARKTABLE, tags("dog"))), tags("lynx"))
    theirs = gone.replace(b"<rdf:li>lynx</rdf:li>", b"<rdf:li>lynx</rdf:li><rdf:li>dog</rdf:li>", 1)
    assert listed(tagged(theirs, tags("dog"))) == (["dog"], ["auto|dog"], ["auto/dog"])
    assert listed(untagged(tagged(theirs, tags("dog"))))[0] == ["dog"]


def test_after_all_is_taken_out_nothing_is_known_of_what_somebody_took_out() -> None:
    new = untagged(tagged(without("dog")(tagged(DARKTABLE, tags("dog"))), tags("dog")))
    assert b"vithybrid" not in new
    assert listed(tagged(new, tags("dog")))[0] == ["dog"]


def test_a_keyword_that_somebody_added_to_our_list_stays_when_ours_goes() -> None:
    new = tagged(DARKTABLE, tags("dog")).replace(
        b"<rdf:li>dog</rdf:li>", b"<rdf:li>dog</rdf:li><rdf:li>Rex</rdf:li>", 1
    )
    assert listed(untagged(new)) == (["Rex"], [], [])
    assert tagged(new, tags("dog")) == new


def test_what_another_program_put_into_our_description_stays() -> None:
    new = tagged(DARKTABLE, tags("dog"))
    place = new.index(b'xmlns:vithybrid="')
    mixed = new[:place] + b'xmlns:q="urn:q/" q:r="1" ' + new[place:]
    left = untagged(mixed)
    assert b'q:r="1"' in left
    assert b"ithybrid" not in left


def test_memory_is_found_when_it_is_written_as_attributes() -> None:
    text = written(
        '<rdf:Description rdf:about="" xmlns:v="http://vithybrid/ns/1.0/" v:VithybridModel="m" a:b="c" '
        'xmlns:a="urn:a/"/>'
    )
    assert is_tagged(text)
    assert untagged(text) == written('<rdf:Description rdf:about="" a:b="c" xmlns:a="urn:a/"/>')


@pytest.mark.parametrize("text", ["a]]>b", "\ttab", "S\xe9e", "\U0001f431", "&amp;", "'\"", "a,b;c", "\u2028"])
def test_any_text_is_written_and_read_as_it_was(text: str) -> None:
    new = tagged(EXIFTOOL, Tags((Keyword(f"x{text}x", text, None, 1.0),), (), None, None))
    assert listed(new)[0][-1] == f"x{text}x"
    assert tagged(new, Tags((Keyword(f"x{text}x", text, None, 1.0),), (), None, None)) == new
    assert untagged(new) == EXIFTOOL


def test_what_xml_cannot_hold_is_replaced() -> None:
    new = tagged(EMPTY, Tags((Keyword("x", "\x00\x1b\ufffe\udcff", None, 1.0),), (), "\x07", None))
    assert "\ufffd\ufffd\ufffd\ufffd" in new.decode()
    assert tagged(new, Tags((Keyword("x", "\x00\x1b\ufffe\udcff", None, 1.0),), (), "\x07", None)) == new


BOMB = b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'
REFUSED = {
    "empty": (b"", "empty"),
    "white space": (b" \n", "empty"),
    "zeros": (b"\0" * 512, "empty"),
    "a picture": (b"\xff\xd8\xff\xe0\0\x10JFIF", "UTF-8"),
    "Latin-1": (EXIFTOOL.replace(b"one", b"S\xe9e"), "UTF-8"),
    "a declared Latin-1": (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + written("<!-- -->"), "ISO-8859-1"),
    "UTF-16": (DARKTABLE.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (DARKTABLE.decode().encode("utf-16-le"), "UTF-16"),
    "a document type": (BOMB + written("&b;"), "document type"),
    "an external document type": (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + written(""), "document type"),
    "an entity": (written("&nbsp;"), "well-formed"),
    "cut off": (EXIFTOOL[:400], "well-formed"),
    "two roots": (DARKTABLE + b"<x/>", "well-formed"),
    "text after its end": (DARKTABLE + b"\0\0", "well-formed"),
    "no XMP": (b"<html><body/></html>", "no XMP"),
    "RDF within another document": (f'<svg><rdf:RDF xmlns:rdf="{RDF}"/></svg>'.encode(), "no XMP"),
    "JSON": (b"{}", "well-formed"),
    "several RDF": (
        written("").replace(b"</x:xmpmeta>", f'<rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()),
        "several",
    ),
    "an unknown prefix": (described("<nobody:x/>"), "prefix"),
    "too large": (EXIFTOOL + b" " * MOST_BYTES, "MB"),
    "labels as one text": (described("<dc:subject>Lake</dc:subject>"), "list"),
    "labels as an attribute": (
        written('<rdf:Description xmlns:d="http://purl.org/dc/elements/1.1/" d:subject="x"/>'),
        "list",
    ),
    "labels as a structure": (described('<dc:subject rdf:parseType="Resource"/>'), "list"),
    "labels elsewhere": (described('<dc:subject rdf:resource="urn:x"/>'), "list"),
    "two arrays": (described("<dc:subject><rdf:Bag><rdf:li/></rdf:Bag><rdf:Bag/></dc:subject>"), "list"),
}


@pytest.mark.parametrize(("content", "why"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_what_cannot_be_edited_is_refused_with_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnusableSidecar, match=why):
        tagged(content, tags("dog"))


def test_depth_does_not_matter() -> None:
    deep = written("<rdf:Description>" + "<rdf:x>" * 100_000 + "</rdf:x>" * 100_000 + "</rdf:Description>")
    assert untagged(tagged(deep, tags("dog"))) == deep
