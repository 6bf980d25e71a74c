"""The frame of a page: its policy fits its texts, and nothing that is put into it is markup."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import pytest

from vithybrid_cli.report.document import data_block, data_url, document, escaped, heading, json_text
from vithybrid_cli.report.entries import About, Thumbnail

HOSTILE = (
    "</script><script>",
    "<!--",
    "&lt;&amp;",
    "\"quoted\" and 'quoted'",
    "a\u2028b\u2029c",
    "name\udc80.jpg",
    "\x00\x1b[31m\r\n",
    "{{7*7}} {policy} %s \\",
    "虎斑猫 قطة",
)


def page(title: str = "Pictures", *, linked: bool = False) -> str:
    stream = io.StringIO()
    document(
        stream, title, [heading(About(title))], styles=["page.css", "large.css"], scripts=["page.js"], linked=linked
    )
    return stream.getvalue()


def policy(text: str) -> dict[str, list[str]]:
    """The directives with their sources."""
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert found is not None
    return {name: sources for name, *sources in (part.split() for part in found[1].split("; "))}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class Texts(HTMLParser):
    """What stands in the elements of a page, as a browser finds it, and the attributes that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("", {}, ""))  # what comes now is not in it

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)


def elements(text: str) -> list[tuple[str, dict[str, str | None], str]]:
    parser = Texts()
    parser.feed(text)
    return [element for element in parser.found if element[0]]


def test_the_policy_names_the_style_and_the_scripts_that_are_there_and_no_others() -> None:
    text = page()
    scripts = [content for tag, _, content in elements(text) if tag == "script"]
    styles = [content for tag, _, content in elements(text) if tag == "style"]
    assert policy(text)["script-src"] == [digest(script) for script in scripts]
    assert policy(text)["style-src"] == [digest(style) for style in styles]


def test_the_policy_lets_nothing_be_loaded() -> None:
    allowed = policy(page())
    assert allowed["default-src"] == ["'none'"]
    assert allowed["img-src"] == ["data:"]
    assert allowed["base-uri"] == allowed["form-action"] == allowed["trusted-types"] == ["'none'"]
    assert allowed["require-trusted-types-for"] == ["'script'"]


def test_pictures_beside_the_page_are_let_in_where_there_are_some() -> None:
    assert policy(page(linked=True))["img-src"] == ["data:", "'self'", "file:"]


def test_the_policy_stands_before_all_that_it_is_for() -> None:
    names = [tag for tag, _, _ in elements(page())]
    assert names[:4] == ["html", "head", "meta", "meta"]  # the encoding, and the policy


def test_no_attribute_is_one_that_the_policy_stops() -> None:
    attributes = {name for _, names, _ in elements(page()) for name in names}
    assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_is_text(text: str) -> None:
    plain = [tag for tag, _, _ in elements(page())]
    assert [tag for tag, _, _ in elements(page(text))] == plain
    page(text).encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_facts_are_text(text: str) -> None:
    plain = [tag for tag, _, _ in elements(heading(About("t", (("a", "b"),), "c")))]
    assert [tag for tag, _, _ in elements(heading(About(text, ((text, text),), text)))] == plain


@pytest.mark.parametrize("text", HOSTILE)
def test_data_is_read_back_as_it_was(text: str) -> None:
    block = data_block("data", {"text": text})
    (tag, attributes, content), *others = elements(block)
    assert (tag, attributes, others) == ("script", {"type": "application/json", "id": "data"}, [])
    assert json.loads(content) == {"text": text}
    assert block.isascii()
    assert not set("<>&") & set(json_text({"text": text}))


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_what_cannot_be_seen_is_shown_as_its_code_in_markup() -> None:
    assert escaped("a\udc80\u202e<b>'\"") == "a\\udc80\\u202e&lt;b&gt;&#x27;&quot;"


def test_a_thumbnail_is_an_address_that_holds_it() -> None:
    assert data_url(Thumbnail(b"\x00\xff", "image/webp", 1, 1)) == "data:image/webp;base64,AP8="
