"""How a worker runs on its machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """None is what the job says. ``threads`` are those of the network, where no earlier worker has settled them.

    ``allow_missing``: a shard of which no picture is there is done with; otherwise that is taken for a disk that is not
    there.
    """

    device: str | None = None
    workers: int | None = None
    offline: bool = False
    threads: int | None = None
    allow_missing: bool = False
