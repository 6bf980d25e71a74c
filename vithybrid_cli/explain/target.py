"""The number that a map explains: the logit of a label, or by how much it is above that of another label."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vithybrid_cli.errors import NonFiniteLogits, UsageError


@dataclass(frozen=True, slots=True)
class Target:
    """``index`` is the class index of the label, None the best one; ``against`` that of another label."""

    index: int | None = None
    against: int | None = None

    def require_among(self, labels: int) -> None:
        """Raise UsageError if these are no two of so many ``labels``."""
        for index in (self.index, self.against):
            if index is not None and not 0 <= index < labels:
                raise UsageError(
                    f"The network has no label {index}, since it has {labels}.",
                    f"Give an index from 0 to {labels - 1}.",
                )
        if self.against is not None and self.against == self.index:
            raise _same(self.against)

    def settled(self, logits: Tensor) -> "Target":
        """The same with the best label's index by name: that of the first row of logits [B, C]."""
        return self if self.index is not None else Target(int(logits[0].argmax()), self.against)

    def of(self, logits: Tensor) -> Tensor:
        """Logits [B, C] → the number to explain for each [B]; which label it is, the first row decides.

        Raises NonFiniteLogits, and UsageError if the best label is the one to hold it against.
        """
        if not torch.isfinite(logits).all():
            raise NonFiniteLogits(
                "The network's outputs for this picture are not finite.", "Use {dtype=float32}, or check the weights."
            )
        index = self.settled(logits).index
        if self.against is None:
            return logits[:, index]
        if index == self.against:
            raise _same(self.against)
        return logits[:, index] - logits[:, self.against]


def _same(index: int) -> UsageError:
    return UsageError(
        f"Label {index} cannot be explained against itself.", "Give another label, or another one {against} it."
    )
