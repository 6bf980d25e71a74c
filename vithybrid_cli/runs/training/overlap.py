"""Which pictures to test on are trained on, or choose the epoch, too: by their bytes, not by what they show."""

from dataclasses import dataclass

from vithybrid_cli.errors import are


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many pictures of a test are trained on, and how many choose the epoch: the files, or copies of them."""

    trained_on: int = 0
    choosing: int = 0

    def words(self) -> str:
        """Such as ``3 are trained on and 1 chooses the epoch``; nothing if there are none."""
        parts = []
        if self.trained_on:
            parts.append(f"{self.trained_on:,} {are(self.trained_on)} trained on")
        if self.choosing:
            parts.append(f"{self.choosing:,} {'chooses' if self.choosing == 1 else 'choose'} the epoch")
        return " and ".join(parts)
