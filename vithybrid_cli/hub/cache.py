"""What huggingface_hub's cache holds of a model, asked without a request."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli import atomic
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.errors import cache_errors_as_model_errors
from vithybrid_cli.hub.files import CONFIG
from vithybrid_cli.hub.gaps import has_pickle, has_weights, lack, unasked
from vithybrid_cli.hub.pickles import checkpoint_of, pickle_of

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Cached:
    """A folder of the cache with config and all weights; ``gap`` is what else may be missing, in words.

    ``pickle`` is the name of the weights if they are one.
    """

    folder: Path
    gap: str | None = None
    pickle: str | None = None

    @property
    def path(self) -> Path:
        """What names the checkpoint: the folder, or in it a pickle that no folder is read by."""
        return self.folder if self.pickle is None else checkpoint_of(self.folder, self.pickle)


def find(repo_id: str, revision: str, *, trust_pickle: bool = False) -> Cached | None:
    """The folder of a model that has its config and all its weights in the cache. Raises ModelError."""
    # The client takes a tenth of a second to import, and a model in a local folder does without it.
    from huggingface_hub import try_to_load_from_cache

    with cache_errors_as_model_errors():
        config = try_to_load_from_cache(repo_id, CONFIG, revision=revision)
        if not isinstance(config, str):
            return None
        folder = Path(config).parent
        if has_weights(folder):
            return Cached(folder, lack(folder) or unasked(folder))
        pickle = _pickle_in(repo_id, folder) if trust_pickle else None
        whole = pickle is not None and has_pickle(folder, pickle)
        return Cached(folder, unasked(folder), pickle) if whole else None


def lack_of(repo_id: str, revision: str) -> str | None:
    """What is missing of a model that `find` has not found, as a part of a sentence; None if nothing of it is there."""
    with cache_errors_as_model_errors():
        reference = _folder_of(repo_id) / "refs" / revision
        commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
        snapshot = _folder_of(repo_id) / "snapshots" / commit
        return lack(snapshot) if snapshot.is_dir() else None


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


def _pickle_in(repo_id: str, folder: Path) -> str | None:
    try:
        return pickle_of(repo_id, [file.name for file in folder.iterdir()])
    except ModelError:  # several: the hub may have something better
        return None
