"""Thumbnails of many pictures: made in threads, ahead of their turn, and given in order."""

from collections.abc import Generator, Iterable
from contextlib import closing

from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ImageError
from vithybrid_cli.images.memory import MemoryBudget, default_budget, release_free_memory
from vithybrid_cli.items import Item
from vithybrid_cli.pipeline.fetch import Fetched
from vithybrid_cli.pipeline.loader import load
from vithybrid_cli.report.thumbnails import Made, ThumbnailMaker

_LOOK_AHEAD = 64  # thumbnails that may wait for their turn, so that one large picture does not stop the other threads


def thumbnails(
    items: Iterable[Item], maker: ThumbnailMaker, workers: int | None = None
) -> Generator[Made | ImageError, None, None]:
    """The thumbnail of each of the ``items``, in their order, or what is wrong with the picture.

    ``items`` are iterated by the caller's thread, some ahead. Closing the generator drops what has not begun.
    """
    budget = MemoryBudget(default_budget(), release_free_memory)

    def made(item: Item) -> Made:
        with budget.part() as reserve:
            return maker.made(item, reserve)

    workers = workers or available_cores()
    with closing(Fetched(items)) as here, closing(load(here, made, workers, _LOOK_AHEAD + workers)) as loaded:
        for _, thumbnail in loaded:
            yield thumbnail
