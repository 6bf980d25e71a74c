"""Which pickle of a repository holds its weights, for those who say that they trust it."""

from collections.abc import Iterable
from pathlib import Path

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import PICKLE_SUFFIXES, is_training_state

PICKLE = "pytorch_model.bin"
PICKLE_INDEX = f"{PICKLE}.index.json"

_OF_TORCH = (".bin", ".pth", ".pt", ".ckpt")


def pickles_in(names: Iterable[str]) -> list[str]:
    """The pickles among the files of a repository, those that may be its weights first, in the order of their names."""
    found = [name for name in names if name.endswith(PICKLE_SUFFIXES)]
    return sorted(found, key=lambda name: (is_training_state(Path(name).name), name != PICKLE, name))


def pickle_of(repo_id: str, names: Iterable[str]) -> str | None:
    """The file that holds the weights, or the index of its shards. Raises ModelError where several may be it."""
    listed = list(names)
    for name in (PICKLE, PICKLE_INDEX):
        if name in listed:
            return name
    found = [
        name
        for name in pickles_in(listed)
        if "/" not in name and name.endswith(_OF_TORCH) and not is_training_state(Path(name).name)
    ]
    if len(found) > 1:
        raise ModelError(
            f"{repo_id} has several pickles that may be its weights: {', '.join(found)}.",
            "Fetch the one that you mean, with its config.json, into a folder, and name that.",
        )
    return found[0] if found else None


def checkpoint_of(folder: Path, weights: str) -> Path:
    """The path that names a checkpoint: its folder, but for a pickle of a name that a folder is not searched for."""
    usual = not weights.endswith(PICKLE_SUFFIXES) or weights == PICKLE
    return folder if usual else folder / weights
