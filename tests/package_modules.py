"""The package as text, for rules about all of it."""

import ast
import functools
from collections.abc import Sequence

from places import PACKAGE


@functools.cache
def modules() -> Sequence[tuple[str, ast.Module]]:
    """Each module's path in the package, and its syntax tree."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [(file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))) for file in files]
