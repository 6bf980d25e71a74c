"""What is told while files are sorted, or put back."""

from typing import Protocol


class Watch(Protocol):
    """Who is told."""

    def failed(self, path: str, reason: str) -> None:
        """Nothing, or not all, could be done for this file; the reason is a sentence."""

    def advance(self) -> None:
        """One more is done."""
