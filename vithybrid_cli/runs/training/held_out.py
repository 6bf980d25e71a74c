"""Pictures that a training run has held out, as a source for `vithybrid_cli.runs.measure`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vithybrid_cli.items import Item
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The pictures of ``data``, which come from ``where``, each with its label."""

    data: "LabelledPictures"
    where: str

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, by class index."""
        return self.data.labels

    def count(self) -> int:
        """How many pictures there are."""
        return len(self.data.items)

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str | None]]:
        """Each picture and its label."""
        survey.inputs = (self.where,)
        for item, target in zip(self.data.items, self.data.targets, strict=True):
            survey.found += 1
            yield item, self.data.labels[target]
