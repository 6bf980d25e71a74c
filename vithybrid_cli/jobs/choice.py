"""How a worker runs on its machine, as far as that decides no results."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """None is what the job says. ``threads`` are those of the network, where no earlier worker has settled them."""

    device: str | None = None
    workers: int | None = None
    offline: bool = False
    threads: int | None = None
