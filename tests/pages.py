"""Reads the pages of the documentation: their blocks of code, tables, headings and links."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from places import ROOT

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)  # a command, and the lines below it


@dataclass(frozen=True, slots=True)
class Command:
    """A line after ``$``, what is shown below it, and the exit code that a following ``echo $?`` shows.

    ``where``: from and to which character of the page the output stands.
    """

    text: str
    output: str
    where: tuple[int, int]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of Python and what it prints: the text block that follows it, if one does; ``where`` as of a command."""

    text: str
    output: str
    where: tuple[int, int]


@dataclass(frozen=True)
class Page:
    """One Markdown file of the repository."""

    path: Path

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """All but the fenced blocks."""
        return FENCED.sub("", self.text)

    @cached_property
    def fenced(self) -> list[tuple[str, str]]:
        """Language and text of each fenced block, in their order."""
        return [(block[1], block[2]) for block in self._blocks]

    @cached_property
    def commands(self) -> list[Command]:
        """The commands of all console blocks, in their order."""
        return [command for block in self._blocks if block[1] == "console" for command in _commands(block)]

    @cached_property
    def snippets(self) -> list[Snippet]:
        """The blocks of Python, in their order."""
        blocks = [*self._blocks, None]
        return [_snippet(block, after) for block, after in pairwise(blocks) if block and block[1] == "python"]

    @cached_property
    def _blocks(self) -> list[re.Match[str]]:
        return list(FENCED.finditer(self.text))

    @cached_property
    def anchors(self) -> set[str]:
        """What links may name behind ``#``: the headings, as GitHub turns them into anchors."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def links(self) -> list[str]:
        """Where its links and pictures lead, other than to the web."""
        targets = re.findall(r"\]\(((?:[^()]|\([^()]*\))+)\)", self.prose)
        return [target for target in targets if not target.startswith("https://")]

    def target(self, link: str) -> tuple[Path, str]:
        """The file that a link names, and the anchor in it."""
        file, _, anchor = link.partition("#")
        return ((self.path.parent / file).resolve() if file else self.path), anchor

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the table whose first column has this heading, without its head."""
        table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        assert table is not None, f"{self.name} has no table {heading!r}"
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]


def code(text: str) -> list[str]:
    """What stands in backticks within a line."""
    return re.findall("`([^`]+)`", text)


def _commands(block: re.Match[str]) -> list[Command]:
    found: list[Command] = []
    for shown in SHOWN.finditer(block.string, *block.span(2)):
        text, output = shown.groups()
        if text == "echo $?":
            found[-1] = replace(found[-1], exit_code=int(output))
        else:
            found.append(Command(text, output, shown.span(2)))
    return found


def _snippet(block: re.Match[str], after: re.Match[str] | None) -> Snippet:
    if after is None or after[1] != "text":
        return Snippet(block[2], "", (block.end(), block.end()))
    return Snippet(block[2], after[2], after.span(2))


README = Page(ROOT / "README.md")
CONTRIBUTING = Page(ROOT / "CONTRIBUTING.md")
REFERENCE = Page(ROOT / "docs" / "commands.md")
DOCS = [Page(path) for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = [README, CONTRIBUTING, *DOCS]
