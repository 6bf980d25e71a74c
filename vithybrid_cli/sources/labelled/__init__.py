"""Labelled pictures: folders of folders, archives of such or with labels beside the pictures, and tables."""

from collections.abc import Iterator
from typing import Protocol

from vithybrid_cli.errors import UsageError
from vithybrid_cli.items import Item
from vithybrid_cli.sources.survey import Survey

# What the parts of data sets are called, in lower case.
PARTS = frozenset(
    {
        *("train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"),
        *("holdout", "held-out", "held_out"),
    }
)


class DataSetRoot(UsageError):
    """What was named holds the parts of a data set, as ``train`` and ``val``, and each of those its own labels."""


class Labelled(Protocol):
    """Pictures with their labels, which can be gone through several times."""

    @property
    def where(self) -> str:
        """What the user named, in words."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, in the order of their class indices; none where they are class indices themselves."""
        ...

    def count(self) -> int | None:
        """How many pictures there are; None where that takes as long as to read them."""
        ...

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str | None]]:
        """Each picture and its label, lazily; ``survey`` counts what is left out.

        Without a label there is only what says that the rest of a container cannot be read.
        """
        ...
