"""What to say of pictures that a training run has several times: files that hold the same bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from vithybrid_cli.errors import are, counted, listed, short
from vithybrid_cli.items import Item

MANY = 1 / 10  # of all pictures; fewer copies within a label change little
_NAMED = 2  # pairs of pictures in a line

Labelled = tuple[Item, str]


@dataclass(frozen=True, slots=True)
class Copies:
    """What holds the same among so many ``pictures``.

    ``contradicting`` has a pair for each that is under several labels, ``within`` the names of each copy in a label,
    after that of the picture that it is a copy of. ``learnt`` has the names of each that chooses the epoch, before
    that of the same under its label that is trained on.
    """

    pictures: int = 0
    contradicting: tuple[tuple[Labelled, Labelled], ...] = ()
    within: tuple[tuple[str, str], ...] = ()
    learnt: tuple[tuple[str, str], ...] = ()

    def notes(self) -> Iterator[str]:
        """What to say of them before a training."""
        if self.contradicting:
            pairs = [
                f"{item.name} ({short(label)}) is also {other.name} ({short(other_label)})"
                for (item, label), (other, other_label) in self.contradicting
            ]
            yield (
                f"{counted(len(pairs), 'picture')} {are(len(pairs))} under several labels with the same "
                f"content, which contradict each other: {listed(pairs, _NAMED)}; remove what is under a wrong label"
            )
        if len(self.within) > MANY * self.pictures:
            first, copy = self.within[0]
            yield (
                f"{len(self.within):,} of {counted(self.pictures, 'picture')} are copies of others of their label, as "
                f"{copy} of {first}: these count several times; keep one of each"
            )
        if self.learnt:
            chooser, trained = self.learnt[0]
            yield (
                f"of the pictures that choose the epoch {len(self.learnt):,} {are(len(self.learnt))} trained on, too, "
                f"as {chooser}, which is also {trained}: on these it seems better than on others; keep one of each"
            )
