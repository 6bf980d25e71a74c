"""Pages that the tests of this folder write."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from entries_to_show import MIXED, Write

from vithybrid_cli.report.entries import About, Entry
from vithybrid_cli.report.page import write_page


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a page and gives its address as a file."""

    def address(entries: Iterable[Entry] = MIXED, about: About | None = None) -> str:
        file = tmp_path / "page.html"
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            write_page(stream, entries, about or About("Pictures"))
        return file.as_uri()

    return address
