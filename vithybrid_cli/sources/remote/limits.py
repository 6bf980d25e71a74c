"""How much of a server is asked at once, and how long it is waited for."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of fetching; all times are in seconds.

    ``connections`` are open at once, to one host or to many; ``ahead`` pictures are fetched or being fetched before
    their turn, and what they have in memory is ``held`` bytes at most. A connection has to be made in ``connect``, and
    a byte to arrive every ``idle``. After ``slow_after``, ``least_rate`` bytes a second have to have arrived on
    average, and no picture takes longer than ``whole``. What may pass is tried ``attempts`` times (a server that sent
    nothing ``silent_attempts`` times), with a pause of
    about ``pause`` that doubles; if a server asks for a pause of its own, up to ``longest_pause``. As many as
    ``redirects`` are followed.
    """

    connections: int = 32
    ahead: int = 128
    held: int = 128 * 2**20
    connect: float = 10.0
    idle: float = 30.0
    slow_after: float = 60.0
    least_rate: int = 1024
    whole: float = 1800.0
    attempts: int = 4
    silent_attempts: int = 2
    pause: float = 0.5
    longest_pause: float = 60.0
    redirects: int = 10


LIMITS: Final = Limits()
