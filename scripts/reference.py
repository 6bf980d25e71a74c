"""Write the reference of all commands, as Markdown, from the program itself: `python scripts/reference.py FILE`.

It reads what the commands' own signatures say, which every version of typer reads too; typer's inner classes change
from one version to the next.
"""

import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo

from vithybrid_cli.commands.app import app

HEAD = """\
# Commands

All commands with all their options. This page is generated from the program by `make docs`, and
`vithybrid COMMAND --help` prints the same. An option means the same in every command that has it.
"""
ROOT = """\
`vithybrid` without a command takes these, and every command takes `--help`, `-h`:

| option | meaning |
|---|---|
| `--version`, `-V` | Print the version. |
| `--install-completion` | Teach bash, zsh, fish or PowerShell to complete commands and options. |
| `--show-completion` | Print what that would install. |
"""
NO_PANEL = "Options"  # those that name no panel, as in --help
OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")  # not in backticks yet
EXAMPLE = re.compile(r"(?:Example: )?((?:vithybrid|find) .*)")


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command, as its signature declares it."""

    name: str
    kind: Any  # the type of one value
    info: Any  # typer's OptionInfo or ArgumentInfo
    default: Any
    required: bool
    several: bool

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, ArgumentInfo)

    @property
    def placeholder(self) -> str:
        """The word that stands for its value."""
        return str(self.info.metavar or {Path: "PATH", int: "N", float: "NUMBER"}.get(self.kind, self.name.upper()))

    def row(self) -> list[str]:
        """Spellings, what value it takes, the default, and what it means."""
        meaning = OPTION.sub(r"`\g<0>`", " ".join((self.info.help or "").split()))
        return [self._names(), self._value(), self._default(), meaning]

    def _names(self) -> str:
        if self.is_argument:
            return f"`{self.placeholder}`"
        given = [self.info.default, *(self.info.param_decls or ())]  # within Annotated the first is no default
        names = [name for name in given if isinstance(name, str)] or [f"--{self.name.replace('_', '-')}"]
        return ", ".join(f"`{name}`" for name in sorted(names, key=len, reverse=True))

    def _value(self) -> str:
        if self.is_argument or self.kind is bool:
            return ""
        if issubclass(self.kind, Enum):
            return ", ".join(f"`{choice.value}`" for choice in self.kind)
        return self.placeholder + self._bounds()

    def _bounds(self) -> str:
        low, high = self.info.min, self.info.max
        if low is None:
            return ""
        return f", at least {low}" if high is None else f", {low} to {high}"

    def _default(self) -> str:
        shown = self.info.show_default
        if self.required:
            return "required"
        if isinstance(shown, str):
            return shown
        if self.default is None or self.default is False or not shown:
            return ""
        return f"`{self.default.value if isinstance(self.default, Enum) else self.default}`"


def parameters(command: Callable[..., Any]) -> Iterator[Parameter]:
    """What a command takes, in the order of its signature."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        annotation, info = get_args(hints[name])[:2] if get_origin(hints[name]) is Annotated else (hints[name], None)
        kind = without_none(annotation)
        several = get_origin(kind) is list
        required = parameter.default is inspect.Parameter.empty
        one = get_args(kind)[0] if several else kind
        yield Parameter(name, one, info, None if required else parameter.default, required, several)


def without_none(annotation: Any) -> Any:
    """``X | None`` → ``X``."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    [kind] = [part for part in get_args(annotation) if part is not type(None)]
    return kind


def section(name: str, command: Callable[..., Any]) -> Iterator[str]:
    """A heading, the help text, how the command is called, and a table for each group of options."""
    prose, examples = split_examples(inspect.getdoc(command) or "")
    found = list(parameters(command))
    arguments = [parameter for parameter in found if parameter.is_argument]
    yield f"## {name}\n"
    yield OPTION.sub(r"`\g<0>`", prose) + "\n"
    yield f"```text\n{' '.join(['vithybrid', name, '[OPTIONS]', *map(usage, arguments)])}\n```\n"
    if examples:
        yield "```console\n" + "".join(f"$ {example}\n" for example in examples) + "```\n"
    if arguments:
        yield table("argument", [argument.row() for argument in arguments])
    for panel, options in panels(found).items():
        if panel != NO_PANEL:
            yield f"{panel}:\n"
        yield table("option", [option.row() for option in options])


def split_examples(text: str) -> tuple[str, list[str]]:
    """A help text without its examples, and the examples."""
    lines = [line.strip() for line in text.splitlines()]
    examples = [match[1] for match in map(EXAMPLE.fullmatch, lines) if match]
    prose = [line for line in lines if not EXAMPLE.fullmatch(line) and line not in ("Example:", "Examples:")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip(), examples


def usage(argument: Parameter) -> str:
    """An argument in the line that says how a command is called; in brackets where it may be left out."""
    name = argument.placeholder + ("..." if argument.several else "")
    return name if argument.required else f"[{name}]"


def panels(found: list[Parameter]) -> dict[str, list[Parameter]]:
    """Options by their panel, those without one first."""
    groups: dict[str, list[Parameter]] = {NO_PANEL: []}
    for parameter in found:
        if not parameter.is_argument:
            groups.setdefault(parameter.info.rich_help_panel or NO_PANEL, []).append(parameter)
    return {panel: options for panel, options in groups.items() if options}


def table(heading: str, rows: list[list[str]]) -> str:
    """A Markdown table, without columns that are empty."""
    kept = [column for column in range(4) if any(row[column] for row in rows)]
    lines = [[heading, "value", "default", "meaning"], *rows]
    cells = [[line[column].replace("|", r"\|") for column in kept] for line in lines]
    head, *body = [f"| {' | '.join(line)} |\n" for line in cells]
    return "".join([head, "|---" * len(kept) + "|\n", *body])


def all_commands(group: typer.Typer, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """The commands of a group and those of its groups, by what is typed."""
    for info in group.registered_commands:
        if info.callback is not None:
            yield before + (info.name or info.callback.__name__), info.callback
    for within in group.registered_groups:
        if within.typer_instance is not None:
            yield from all_commands(within.typer_instance, f"{before}{within.typer_instance.info.name} ")


def reference() -> str:
    """The whole page."""
    commands = dict(all_commands(app))
    contents = [f"- [`{name}`](#{name.replace(' ', '-')}): {summary(command)}\n" for name, command in commands.items()]
    sections = [part for name, command in commands.items() for part in section(name, command)]
    return "\n".join([HEAD, "".join(contents), ROOT, *sections])


def summary(command: Callable[..., Any]) -> str:
    """The first paragraph of its help text."""
    return " ".join((inspect.getdoc(command) or "").split("\n\n")[0].split())


def main() -> None:
    """Write the page to the file that the argument names."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
