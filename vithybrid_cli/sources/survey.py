"""What was found on the way through the inputs of a run, and what of it was left out."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Survey:
    """Counts while paths are taken: how many were ``found``, and the files that were left out, by suffix."""

    found: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def line(self) -> str | None:
        """What was left out, in words; None for nothing."""
        if not self.left_out:
            return None
        counted = sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
        return "left out: " + ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in counted)
