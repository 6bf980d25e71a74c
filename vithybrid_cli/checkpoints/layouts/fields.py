"""Checked values out of a JSON object, with one error for what is wrong. No torch."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vithybrid_cli.errors import ModelError

_SHOWN = 60  # characters of a value in an error message


def field_error(where: str, problem: str) -> ModelError:
    """The error for a field that is wrong or not supported; ``where`` names its file or object."""
    return ModelError(
        f"{where}: {problem}.",
        "Use another checkpoint (`vithybrid models` lists some), or mend the file where it is wrong.",
    )


def shown(value: Any) -> str:
    """A value of a JSON file, for an error message: as JSON, but text in single quotes; a long one is cut."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Fields:
    """Reads checked values out of one JSON object; ``where`` names it in errors.

    ``null`` counts as absent only for fields without a default, as in transformers.
    """

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where

    def integer(self, name: str, default: int) -> int:
        return self._positive(name, self.config.get(name, default))

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        values = self.config.get(name, default)
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise field_error(self.where, f"{name} must be a list of positive integers, not {shown(values)}")
        return tuple(self._positive(name, value) for value in values)

    def size(self, name: str, default: int) -> tuple[int, int]:
        value = self.config.get(name, default)
        sides = self.integers(name, ()) if isinstance(value, Sequence) else (self._positive(name, value),) * 2
        if len(sides) != 2:
            raise field_error(self.where, f"{name} must be one length or height and width, not {shown(value)}")
        return sides[0], sides[1]

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise field_error(self.where, f"{name} must be a number that is not negative, not {shown(value)}")
        return float(value)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.config.get(name, default)
        if not isinstance(value, bool):
            raise field_error(self.where, f"{name} must be true or false, not {shown(value)}")
        return value

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        value = self.config.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise field_error(self.where, f"{name} must be an object, not {shown(value)}")
        return value

    def sequence(self, name: str) -> Sequence[Any] | None:
        value = self.config.get(name)
        if value is not None and (not isinstance(value, Sequence) or isinstance(value, str)):
            raise field_error(self.where, f"{name} must be a list, not {shown(value)}")
        return value

    def require(self, name: str, known: tuple[Any, ...], default: Any) -> Any:
        value = self.config.get(name, default)
        if value not in known:
            listed = ", ".join(shown(item) for item in known)
            raise field_error(self.where, f"{name} {shown(value)} is not supported; known: {listed}")
        return value

    def _positive(self, name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise field_error(self.where, f"{name} must be a positive integer, not {shown(value)}")
        return value
