"""The page of results as a file: what it holds of each entry, piece by piece."""

import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from vithybrid_cli.report.entries import About, Entry, Thumbnail
from vithybrid_cli.report.page import write_page
from vithybrid_cli.results import Answer, Prediction

TABBY = Prediction(281, "tabby", 0.93123456)
TENCH = Prediction(0, "tench", 0.0000004)
PICTURE = Thumbnail(b"content", "image/webp", 320, 240)


def page(*entries: Entry) -> str:
    stream = io.StringIO()
    write_page(stream, entries, About("Pictures"))
    return stream.getvalue()


def blocks(text: str) -> list[dict[str, Any]]:
    found = re.findall(r'<script type="application/json" id="entries-\d+">(.*?)</script>', text)
    return [json.loads(content) for content in found]


def test_an_entry_is_in_the_page_with_all_that_is_known() -> None:
    entry = Entry(
        "a/cat.jpg", Answer("tabby", 0.93123456, 281), (TABBY, TENCH), None, ("is gone",), PICTURE, "a/cat.jpg"
    )
    assert blocks(page(entry)) == [
        {
            "labels": [[281, "tabby"], [0, "tench"]],
            "entries": [
                {
                    "path": "a/cat.jpg",
                    "answer": [0, 0.931235],
                    "predictions": [0, 0.931235, 1, 0.0],
                    "notes": ["is gone"],
                    "thumbnail": [320, 240],
                    "original": "a/cat.jpg",
                }
            ],
        }
    ]


def test_what_there_is_not_takes_no_room() -> None:
    failed = Entry("b.jpg", error=("UnreadableImage", "It is cut off."))
    assert blocks(page(Entry("a.jpg"), failed))[0]["entries"] == [
        {"path": "a.jpg"},
        {"path": "b.jpg", "error": ["UnreadableImage", "It is cut off."]},
    ]


def test_a_thumbnail_is_in_an_element_of_its_own_under_the_number_of_its_entry() -> None:
    text = page(Entry("a.jpg"), Entry("b.jpg", thumbnail=PICTURE))
    address = "data:image/webp;base64,Y29udGVudA=="
    assert f'<script type="text/plain" id="thumbnail-1">{address}</script>' in text
    assert 'id="thumbnail-0"' not in text


def test_the_first_thumbnail_tells_whether_the_page_may_load_files() -> None:
    assert "'self' file:" in page(Entry("a.jpg"), Entry("b.jpg", thumbnail="page%20files/1.webp"))
    assert "file:;" not in page(Entry("a.jpg"), Entry("b.jpg", thumbnail=PICTURE))
    assert "file:;" not in page(Entry("a.jpg"))
    assert "file:;" not in page()


@pytest.mark.parametrize(
    ("address", "is_kept"),
    [
        ("a%20b.jpg", True),
        ("../a/b:c.jpg", True),
        ("file:///home/me/a.jpg", True),
        ("HTTPS://example.org/a.jpg", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
    ],
)
def test_links_lead_to_files_and_pages_alone(address: str, is_kept: bool) -> None:
    entry = blocks(page(Entry("a.jpg", original=address)))[0]["entries"][0]
    assert entry == ({"path": "a.jpg", "original": address} if is_kept else {"path": "a.jpg"})


def test_a_label_is_in_the_page_once_and_two_classes_of_one_text_are_two() -> None:
    entries = [Entry(f"{i}.jpg", predictions=(Prediction(i % 2, "crane", 0.5),)) for i in range(1200)]
    read = blocks(page(*entries))
    assert [block["labels"] for block in read] == [[[0, "crane"], [1, "crane"]], [], []]
    assert [len(block["entries"]) for block in read] == [500, 500, 200]
    assert read[2]["entries"][-1]["predictions"] == [1, 0.5]


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = [Entry(f"{i}.jpg", predictions=(TABBY,), thumbnail=PICTURE) for i in range(3)]
    assert page(*entries) == page(*entries)


class Kept(io.StringIO):
    """How much was written before each entry was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[int] = []

    def watched(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.before.append(self.tell())
            yield entry


def test_thumbnails_are_written_while_entries_come() -> None:
    stream = Kept()
    entries = (Entry(f"{i}.jpg", thumbnail=Thumbnail(bytes(900), "image/webp", 1, 1)) for i in range(20))
    write_page(stream, stream.watched(entries), About("Pictures"))
    growth = [later - earlier for earlier, later in zip(stream.before[1:-1], stream.before[2:], strict=True)]
    assert min(growth) > 1200  # the base64 of one
