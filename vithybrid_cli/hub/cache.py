"""What huggingface_hub's cache holds of a model, asked without a request."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli import atomic
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.errors import cache_errors_as_model_errors
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX, read_checkpoint_json, shards
from vithybrid_cli.hub.pickles import PICKLE_INDEX, pickle_of

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Cached:
    """A folder of the cache with config and all weights; ``gap`` is what else may be missing, in words.

    ``pickle`` if these weights are one.
    """

    folder: Path
    gap: str | None = None
    pickle: bool = False


def find(repo_id: str, revision: str, *, trust_pickle: bool = False) -> Cached | None:
    """The folder of a model that has its config and all its weights in the cache. Raises ModelError.

    Other programs fetch weights without the preprocessor config, and then the hub may still have one. So nothing is
    missing only with that file, or with the client's note that the hub has none, or where the config says it all.
    """
    # The client takes a tenth of a second to import, and a model in a local folder does without it.
    from huggingface_hub import try_to_load_from_cache

    with cache_errors_as_model_errors():
        config = try_to_load_from_cache(repo_id, CONFIG, revision=revision)
        if not isinstance(config, str):
            return None
        folder = Path(config).parent
        if _has_all_weights(folder):
            return Cached(folder, _gap(folder))
        pickle = trust_pickle and _has_pickle(repo_id, folder)
        return Cached(folder, _gap(folder), pickle=True) if pickle else None


def has_file(repo_id: str, revision: str, name: str) -> bool:
    """Whether one file of the model is in the cache. Raises ModelError."""
    from huggingface_hub import try_to_load_from_cache

    with cache_errors_as_model_errors():
        return isinstance(try_to_load_from_cache(repo_id, name, revision=revision), str)


def point(repo_id: str, name: str, commit: str) -> None:
    """Let ``name`` stand for that commit in the cache, as the client lets its branches. Raises ModelError."""
    file = _folder_of(repo_id) / "refs" / name
    with cache_errors_as_model_errors():
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(file, commit)


def forget(repo_id: str, name: str) -> None:
    """Let ``name`` stand for nothing in the cache. Raises ModelError."""
    with cache_errors_as_model_errors():
        (_folder_of(repo_id) / "refs" / name).unlink(missing_ok=True)


def recorded_sha256(path: Path) -> str | None:
    """The sha256 under which the cache has filed ``path``; None where the cache is made without links.

    The cache names what its snapshots link to by the hub's ETag, and that is the sha256 of a large file.
    """
    blob = path.readlink().name if path.is_symlink() else ""
    return blob if _SHA256.fullmatch(blob) else None


def is_intact(path: Path, sha256: str) -> bool:
    """Hash the file and compare."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def remove(path: Path) -> None:
    """Remove a file of the cache and what its links lead to, so that the next run fetches it again."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def _folder_of(repo_id: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type="model")


def _gap(snapshot: Path) -> str | None:
    """What may be missing of a snapshot with config and weights."""
    known = (snapshot / PREPROCESSOR_CONFIG).exists() or _known_to_be_without(snapshot, PREPROCESSOR_CONFIG)
    if known or _says_it_all(snapshot / CONFIG):
        return None
    return f"whether it has a {PREPROCESSOR_CONFIG} was never asked"


def _known_to_be_without(snapshot: Path, name: str) -> bool:
    """Whether the client has noted that the hub has no such file at that commit."""
    return (snapshot.parent.parent / ".no_exist" / snapshot.name / name).exists()


def _says_it_all(config: Path) -> bool:
    """Whether it is a config of timm's: that has the preprocessing too."""
    try:
        content = read_checkpoint_json(config)
    except ModelError:  # which is raised again when the checkpoint is read
        return False
    return "architecture" in content or "pretrained_cfg" in content


def _has_all_weights(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() or _has_shards(folder / WEIGHTS_INDEX)


def _has_pickle(repo_id: str, folder: Path) -> bool:
    name = pickle_of(repo_id, [file.name for file in folder.iterdir()])
    return name is not None and (_has_shards(folder / name) if name == PICKLE_INDEX else (folder / name).is_file())


def _has_shards(index: Path) -> bool:
    return index.is_file() and all((index.parent / shard).is_file() for shard in shards(index))
