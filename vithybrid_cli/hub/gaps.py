"""What a copy of a checkpoint lacks that the hub has, or may have: downloads break off, and fetch single files."""

from pathlib import Path

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import (
    CONFIG,
    PREPROCESSOR_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    WEIGHTS_SUFFIXES,
    read_checkpoint_json,
    shards,
)
from vithybrid_cli.hub.pickles import PICKLE_INDEX, pickles_in

_OF_LOCAL_DIR = Path(".cache", "huggingface", "download")  # where the client notes what it fetched into a folder
_REPOSITORY, _SEPARATOR = "models--", "--"


def lack(folder: Path) -> str | None:
    """What is missing of config and weights for certain, as a part of a sentence."""
    names = (CONFIG, WEIGHTS, WEIGHTS_INDEX, PREPROCESSOR_CONFIG)
    dangling = next((name for name in names if _leads_nowhere(folder / name)), None)
    if dangling is not None:
        return f"{dangling} is a link to a file that is gone"
    broken_off = "; a download broke off" if _has_unfinished(folder) else ""
    if not (folder / CONFIG).is_file():
        return f"{CONFIG} is missing{broken_off}"
    if (folder / WEIGHTS).is_file():
        return None
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return f"{WEIGHTS} is missing{broken_off}"
    missing = missing_shards(index)
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"{missing[0]}{more} is missing{broken_off}" if missing else None


def missing_shards(index: Path) -> list[str]:
    """The files that an index of shards names and its folder lacks. Raises ModelError for a bad index."""
    return [shard for shard in shards(index) if not (index.parent / shard).is_file()]


def has_weights(folder: Path) -> bool:
    """Whether it has safetensors weights, with all shards. Raises ModelError for a bad index of shards."""
    index = folder / WEIGHTS_INDEX
    return (folder / WEIGHTS).is_file() or (index.is_file() and not missing_shards(index))


def has_pickle(folder: Path, name: str) -> bool:
    """Whether it has that pickle, or where it is their index, all its shards. Raises ModelError for a bad index."""
    file = folder / name
    return file.is_file() and not (name == PICKLE_INDEX and missing_shards(file))


def unasked(snapshot: Path) -> str | None:
    """What the hub may have, and nobody has asked it, of a snapshot with config and weights; a part of a sentence.

    Other programs fetch weights without the preprocessor config, and then the hub may still have one. So nothing is
    missing only with that file, or with the client's note that the hub has none, or where the config says it all.
    """
    known = (snapshot / PREPROCESSOR_CONFIG).exists() or _is_known_to_be_none(snapshot, PREPROCESSOR_CONFIG)
    if known or _says_it_all(snapshot / CONFIG):
        return None
    return f"it was never asked whether the hub has its {PREPROCESSOR_CONFIG}"


def require_whole(folder: Path) -> None:
    """Raise ModelError for a folder that a hub's client made, be it of its cache or elsewhere, and has not filled."""
    repo_id = _repository_of(folder)
    of_a_client = repo_id is not None or (folder / _OF_LOCAL_DIR).is_dir()
    gap = lack(folder) if of_a_client or _leads_nowhere(folder / WEIGHTS) else None
    if gap is None and repo_id is not None:
        gap = unasked(folder)
    if gap is None or _has_other_weights(folder):
        return
    again = f"Run `vithybrid download {repo_id}`, and name the model so" if repo_id else "Fetch the checkpoint again"
    raise ModelError(f"{folder} is not complete: {gap}.", f"{again}.")


def _has_other_weights(folder: Path) -> bool:
    """Whether there are weights of another name, as a pickle that is trusted; whether they do is not asked here."""
    if any((folder / name).exists() or (folder / name).is_symlink() for name in (WEIGHTS, WEIGHTS_INDEX)):
        return False
    files = [file.name for file in folder.iterdir() if file.is_file()]
    return any(name.endswith(WEIGHTS_SUFFIXES) for name in files) or any(pickles_in(files))


def _repository_of(folder: Path) -> str | None:
    """The hub id of the model of which ``folder`` is a snapshot in the cache of the client."""
    cache = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not cache.startswith(_REPOSITORY):
        return None
    return cache.removeprefix(_REPOSITORY).replace(_SEPARATOR, "/")


def _leads_nowhere(file: Path) -> bool:
    return file.is_symlink() and not file.exists()


def _has_unfinished(folder: Path) -> bool:
    """Whether the client has left parts of files of that folder."""
    places = (folder.parent.parent / "blobs" if _repository_of(folder) else None, folder / _OF_LOCAL_DIR)
    return any(place is not None and place.is_dir() and any(place.glob("*.incomplete")) for place in places)


def _is_known_to_be_none(snapshot: Path, name: str) -> bool:
    """Whether the client has noted that the hub has no such file at that commit."""
    return (snapshot.parent.parent / ".no_exist" / snapshot.name / name).exists()


def _says_it_all(config: Path) -> bool:
    """Whether it is a config of timm's: that has the preprocessing too."""
    try:
        content = read_checkpoint_json(config)
    except ModelError:  # which is raised again when the checkpoint is read
        return False
    return "architecture" in content or "pretrained_cfg" in content
