"""What a written page holds, read back out of its text."""

import base64
import html
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image

_DATA = re.compile(r'<script type="application/json" id="entries-(\d+)">(.*?)</script>', re.DOTALL)
_INLINE = re.compile(r'<script type="text/plain" id="thumbnail-(\d+)">data:([^;]*);base64,(.*?)</script>', re.DOTALL)
_FACT = re.compile(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", re.DOTALL)


@dataclass(frozen=True)
class ReadPage:
    """The entries as the script finds them, the labels, and the thumbnails that are in the page by their number."""

    text: str
    entries: list[dict[str, Any]]
    labels: list[tuple[int | None, str]]
    inline: dict[int, tuple[str, bytes]]

    @classmethod
    def of(cls, page: Path) -> "ReadPage":
        text = page.read_text(encoding="utf-8")
        blocks = [json.loads(block) for _, block in sorted(_DATA.findall(text), key=lambda found: int(found[0]))]
        return cls(
            text,
            [entry for block in blocks for entry in block["entries"]],
            [tuple(label) for block in blocks for label in block["labels"]],
            {int(number): (kind, base64.b64decode(data)) for number, kind, data in _INLINE.findall(text)},
        )

    @property
    def paths(self) -> list[str]:
        return [entry["path"] for entry in self.entries]

    @property
    def notes(self) -> list[list[str]]:
        return [entry.get("notes", []) for entry in self.entries]

    @property
    def facts(self) -> dict[str, str]:
        return {html.unescape(name): html.unescape(value) for name, value in _FACT.findall(self.text)}

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.text, re.DOTALL)
        assert found is not None
        return html.unescape(found[1])

    @property
    def left_out(self) -> str | None:
        found = re.search(r'<p class="left-out">(.*?)</p>', self.text)
        return None if found is None else html.unescape(found[1])

    def thumbnail(self, number: int, page: Path | None = None) -> Image.Image:
        """One that is in the page, or in a file beside ``page``."""
        if page is None:
            return Image.open(io.BytesIO(self.inline[number][1]))
        return Image.open(page.parent / unquote(self.entries[number]["thumbnail"]))
