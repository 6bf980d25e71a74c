"""Messages as a rule: a sentence for the cause and one for the next step, which names options but spells no flags."""

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from package_modules import modules
from typer.main import get_command

from vithybrid_cli.commands.app import app
from vithybrid_cli.commands.guard import as_flag

# Causes that go without a remedy, by how they begin: they are made of other errors, which have theirs.
WITHOUT_REMEDY = ("\0 of \0 models could not be fetched. ",)
# Causes that end with the cause of another error.
WRAPPING = ("\0 cannot be used: \0", "\0 cannot be labelled: \0", "\0 of \0 models could not be fetched. \0")
# Raised for those who catch it, who know the file and the remedy.
CAUGHT = "NotThisLayout"

PLACEHOLDER = "\0"  # stands for a value in an f-string
OPTION = re.compile(r"\{\$?([a-z_0-9]+)(?:=[^{}]*)?\}")  # as in `vithybrid_cli.errors`
FLAG = re.compile(r"(?<![\w-])--[a-z]")


@dataclass(frozen=True)
class Message:
    """One call of an error class: what each argument may read, as far as it is written there."""

    place: str
    arguments: tuple[tuple[str, ...], ...]

    @property
    def causes(self) -> tuple[str, ...]:
        return self.arguments[0] if self.arguments else ()

    @property
    def remedies(self) -> tuple[str, ...]:
        return self.arguments[1] if len(self.arguments) > 1 else ()


def test_the_rule_sees_the_messages_of_each_form() -> None:
    source = """
class Refusal(UsageError): pass

WAIT = "Wait a while."

def first(path, late):
    cause = f"{path} is empty."
    if late:
        cause = "It " "is too late."
    raise errors.UsageError(cause, "Give another." if late else f"Use {path}.")

def second(error):
    return Refusal("No.", WAIT), ValueError("lower"), Refusal(str(error), *error.args)
"""
    assert [message.arguments for message in messages("x.py", ast.parse(source), {"UsageError", "Refusal"})] == [
        (("\0 is empty.", "It is too late."), ("Give another.", "Use \0.")),
        (("No.",), ("Wait a while.",)),
        ((), ()),
    ]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("The file is empty.", True),
        ("\0 is empty.", True),
        ('"crane" is two labels.', True),
        ("`vithybrid models` lists them.", True),
        ("3 files are missing.", True),
        ("{resume} continues it.", True),
        ("Wait…", True),
        ("the file is empty.", False),
        ("The file is empty", False),
        ("Because of \0", False),
        ("", False),
    ],
)
def test_a_sentence_begins_and_ends_as_one(text: str, good: bool) -> None:
    assert is_sentence(text) is good


def test_errors_have_a_cause_and_a_remedy() -> None:
    lacking = [
        f"{message.place}: {' | '.join(message.causes)}"
        for message in all_messages()
        if len(message.arguments) != 2 and not all(cause.startswith(WITHOUT_REMEDY) for cause in message.causes)
    ]
    assert lacking == []


def test_cause_and_remedy_are_sentences() -> None:
    others = [
        f"{message.place}: {text}"
        for message in all_messages()
        for text in (*message.causes, *message.remedies)
        if not is_sentence(text) and text not in WRAPPING
    ]
    assert others == []


def test_no_text_below_the_commands_spells_a_flag() -> None:
    spelt = [
        f"{path}:{line}: {text}"
        for path, tree in modules()
        if room(path) != "commands"
        for line, text in texts(tree)
        if FLAG.search(text) and " " in text
    ]
    assert spelt == []


def test_each_option_that_a_remedy_names_is_one_of_the_command_line() -> None:
    flags = known_flags()
    unknown = [
        f"{message.place}: {option}"
        for message in all_messages()
        for remedy in message.remedies
        for option in OPTION.findall(remedy)
        if as_flag(option, None) not in flags
    ]
    assert unknown == []


@functools.cache
def all_messages() -> Sequence[Message]:
    """Those that users may see."""
    trees = dict(modules())
    classes = error_classes(list(trees.values())) - {CAUGHT}
    return [message for path, tree in trees.items() for message in messages(path, tree, classes)]


def room(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def error_classes(trees: Sequence[ast.Module]) -> set[str]:
    """The names of VitHybridError and all classes derived from it."""
    bases = {
        node.name: {name_of(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    classes = {"VitHybridError"}
    while more := {name for name, those in bases.items() if those & classes} - classes:
        classes |= more
    return classes


def messages(path: str, tree: ast.Module, classes: set[str]) -> Iterator[Message]:
    """The calls of ``classes``; names in them stand for what is assigned to them there or in the module."""
    constants = assignments(list(within(tree)))
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)):
        own = list(within(scope))
        values = constants | assignments(own)
        for node in own:
            if isinstance(node, ast.Call) and name_of(node.func) in classes:
                yield Message(f"{path}:{node.lineno}", tuple(tuple(readings(a, values)) for a in node.args))


def within(scope: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a scope but for those of functions within it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from within(child)


def assignments(nodes: Sequence[ast.AST]) -> dict[str, list[ast.expr]]:
    values: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                values.setdefault(name_of(target), []).append(node.value)
    return values


def readings(node: ast.expr, values: dict[str, list[ast.expr]]) -> Iterator[str]:
    """What an argument may read, with a placeholder for each value in it; nothing for what is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from readings(body, values)
            yield from readings(orelse, values)
        case ast.Name(id=name):
            for value in values.get(name, []):
                yield from readings(value, {})


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """All strings of a module but for its docstrings, each with its line."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def name_of(node: ast.expr) -> str:
    """``UsageError``, and also of ``errors.UsageError``."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def is_sentence(text: str) -> bool:
    """Whether it begins with a capital, quote, backtick, number or value, and ends with a full stop."""
    return bool(re.match(rf"[\"'`{{{PLACEHOLDER}]|\d", text) or text[:1].isupper()) and text.endswith((".", "…"))


def known_flags() -> set[str]:
    """What the options of all commands are called on the command line."""
    commands = [get_command(app)]
    flags: set[str] = set()
    while commands:
        command = commands.pop()
        commands.extend(getattr(command, "commands", {}).values())
        flags.update(flag for parameter in command.params for flag in parameter.opts)
    return flags
