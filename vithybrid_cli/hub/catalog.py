"""The checkpoints that this version loads by name, and what is known about each."""

from typing import Final

from vithybrid_cli.hub.entry import AUTHORS_OWN, IMAGENET, MAIN, CatalogFamily, Entry, Task
from vithybrid_cli.hub.published import BASE_384, BUILT_IN, DEFAULT_MODEL, ROWS, TINY

__all__ = [
    "AUTHORS_OWN",
    "BASE_384",
    "BUILT_IN",
    "DEFAULT_MODEL",
    "ENTRIES",
    "IMAGENET",
    "MAIN",
    "TINY",
    "CatalogFamily",
    "Entry",
    "Task",
    "resolve",
]

ENTRIES: Final = ROWS


def resolve(name: str) -> Entry | None:
    """Return the row whose alias or hub id is ``name``, or ``None`` for a name the catalog does not know."""
    return next((entry for entry in ENTRIES if name in (entry.alias, entry.hub_id)), None)
