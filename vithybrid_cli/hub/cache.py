"""What huggingface_hub's cache holds of a model, asked without a request."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli.hub.errors import cache_errors_as_model_errors
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX, shards

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Cached:
    """A folder of the cache with config and all weights; ``certain`` if nothing else can be missing from it."""

    folder: Path
    certain: bool


def find(repo_id: str, revision: str) -> Cached | None:
    """The folder of a model that has its config and all its weights in the cache. Raises ModelError.

    Other programs fetch weights without the preprocessor config, and then the hub may still have one. So the folder is
    ``certain`` only with that file, or with the client's note that the hub has none.
    """
    # The client takes a tenth of a second to import, and a model in a local folder does without it.
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

    with cache_errors_as_model_errors():
        config = try_to_load_from_cache(repo_id, CONFIG, revision=revision)
        if not isinstance(config, str) or not _has_all_weights(Path(config).parent):
            return None
        preprocessor = try_to_load_from_cache(repo_id, PREPROCESSOR_CONFIG, revision=revision)
    return Cached(Path(config).parent, certain=isinstance(preprocessor, str) or preprocessor is _CACHED_NO_EXIST)


def has_file(repo_id: str, revision: str, name: str) -> bool:
    """Whether one file of the model is in the cache. Raises ModelError."""
    from huggingface_hub import try_to_load_from_cache

    with cache_errors_as_model_errors():
        return isinstance(try_to_load_from_cache(repo_id, name, revision=revision), str)


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


def _has_all_weights(folder: Path) -> bool:
    if (folder / WEIGHTS).is_file():
        return True
    index = folder / WEIGHTS_INDEX
    return index.is_file() and all((folder / shard).is_file() for shard in shards(index))
