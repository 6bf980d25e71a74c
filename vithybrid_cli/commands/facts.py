"""Facts about one thing, written for people or for programs: what `info` and `convert` say."""

import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TextIO

import typer

from vithybrid_cli.output import Format, visible
from vithybrid_cli.output.destination import opened
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json


class FactsFormat(StrEnum):
    """How facts are written."""

    TEXT = "text"
    JSON = "json"

    @classmethod
    def default(cls, stream: TextIO) -> "FactsFormat":
        """Text on a terminal, JSON into a pipe."""
        return cls.TEXT if stream.isatty() else cls.JSON


def write_facts(facts: dict[str, Any], chosen: FactsFormat | None, in_words: Mapping[str, str]) -> None:
    """Write facts by section to stdout; text has what ``in_words`` says in place of the sections that it names.

    Raises UsageError when the disk is full.
    """
    with opened(None, remedy="make room there"):
        if (chosen or FactsFormat.default(sys.stdout)) is FactsFormat.JSON:
            prepare_stream(Format.JSON, sys.stdout)
            typer.echo(to_json(facts, indent=2))
        else:
            _print_text({**facts, **in_words})


def _print_text(facts: Mapping[str, Any]) -> None:
    """One line for each fact, with everything escaped that could control the terminal or that it cannot show."""
    for line in _lines(facts):
        typer.secho(visible(line, sys.stdout.encoding), bold=line in facts)


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    names = [str(name) for content in facts.values() if isinstance(content, dict) for name in content]
    width = max(map(len, [*facts, *names])) + 2
    for section, content in facts.items():
        if not isinstance(content, dict):
            yield f"{section:<{width + 2}}{content}"
            continue
        yield section
        for name, value in content.items():
            yield f"  {name!s:<{width}}{_text(value)}"
        if not content:
            yield "  none"


def _text(value: Any) -> str:
    match value:
        case {"height": height, "width": width}:
            return f"{height}×{width}"
        case dict():
            return ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in value.items())
        case list():
            separator = "; " if any("," in str(part) for part in value) else ", "  # labels have commas of their own
            return separator.join(map(str, value))
        case float():
            return f"{value:.6g}"
        case int():
            return f"{value:,}"
    return str(value)
