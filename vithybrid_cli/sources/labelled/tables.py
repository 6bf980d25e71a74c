"""Labelled pictures in tables: a column has the labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vithybrid_cli.errors import listed
from vithybrid_cli.items import Failure, Item
from vithybrid_cli.sources.containers import Wanted
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import natural_key

_NAMED = 3


@dataclass(frozen=True, slots=True)
class LabelledTables:
    """Tables of which a column has the labels; see `vithybrid_cli.sources.labelled.Labelled`."""

    paths: tuple[str, ...]
    wanted: Wanted
    label_column: str | None
    names: tuple[str, ...]

    @classmethod
    def open(cls, paths: Sequence[str], wanted: Wanted, label_column: str | None) -> "LabelledTables":
        """Reads the labels. Raises UsageError as `vithybrid_cli.sources.tables.labels.labelled_rows` does."""
        from vithybrid_cli.sources.tables.labels import labelled_rows

        found = [labelled_rows(path, wanted, label_column)[0] for path in paths]
        names = found[0]
        if any(other != names for other in found):
            names = tuple(sorted({name for some in found for name in some}, key=natural_key))
        return cls(tuple(paths), wanted, label_column, names)

    @property
    def where(self) -> str:
        """The tables."""
        return listed(self.paths, _NAMED)

    def count(self) -> int | None:
        """By what the tables say of themselves."""
        from vithybrid_cli.sources.tables.kinds import pictures_in_table

        counts = [pictures_in_table(path, self.wanted) for path in self.paths]
        return None if None in counts else sum(filter(None, counts))

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str | None]]:
        """Table by table, in the order of their rows."""
        from vithybrid_cli.sources.tables.labels import labelled_rows

        survey.inputs, survey.unlabelled_as = self.paths, "without a label"
        for path in self.paths:
            for item, label in labelled_rows(path, replace(self.wanted, survey=survey), self.label_column)[1]:
                if label is None and not isinstance(item, Failure):
                    survey.unlabelled += 1
                else:
                    survey.found += 1
                    yield item, None if label is None else str(label)
