"""Results as JSON: one array, or one object per line.

Both are UTF-8 with letters as they are; control characters and the lone surrogates of undecodable file names are
written as ``\\uXXXX``, so ``json.loads`` gives every path back exactly (``os.fsencode`` then gives its bytes).
"""

import json
from typing import Any, TextIO

from vithybrid_cli.output.escape import visible_json
from vithybrid_cli.output.formats import Writer
from vithybrid_cli.results import Outcome


def to_json(record: dict[str, Any], indent: int | None = None) -> str:
    """``record`` as JSON; on one line unless ``indent`` is given."""
    text = json.dumps(record, ensure_ascii=False, indent=indent)
    if indent is None:
        return visible_json(text)
    return "\n".join(visible_json(line) for line in text.split("\n"))


class JsonLinesWriter(Writer[Outcome]):
    """One object per line and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: Outcome) -> None:
        self._stream.write(to_json(result.record()) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class JsonWriter(Writer[Outcome]):
    """One array with one object per line; ``[]`` when there is none. ``continued``: the stream stands after one."""

    def __init__(self, stream: TextIO, *, continued: bool = False) -> None:
        self._stream = stream
        self._before = ",\n" if continued else "\n"
        self._closed = False
        if not continued:
            stream.write("[")

    def write(self, result: Outcome) -> None:
        # One call to write, and the state after it: an interrupt at any point leaves an array that can be closed.
        self._stream.write(self._before + to_json(result.record()))
        self._before = ",\n"
        self._stream.flush()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stream.write("]\n" if self._before == "\n" else "\n]\n")
        self._stream.flush()
