"""What the hub has of a model at one revision, asked in one request."""

import re
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.api import ask, of_revision
from vithybrid_cli.hub.catalog import MAIN
from vithybrid_cli.hub.errors import not_a_hub
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pin:
    """What the catalog fetches of a model in place of its main branch, and the (shortened) commit that it must be."""

    revision: str
    commit: str | None

    def holds(self, commit: str) -> bool:
        """Whether the pinned commit is ``commit``."""
        return self.commit is None or commit.startswith(self.commit)


@dataclass(frozen=True)
class HubModel:
    """A model of the hub.

    ``revision`` is the one that the user named, else main. The catalog may have a ``pin`` that is fetched in its place,
    and the ``sha256`` that the weights must have.
    """

    repo_id: str
    revision: str = MAIN
    pin: Pin | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Remote:
    """A file as the hub lists it; only files in its large-file storage come with a sha256."""

    size: int
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """The files of one commit, by name."""

    commit: str
    files: dict[str, Remote]

    @property
    def weights(self) -> str | None:
        """The safetensors weights, or the index of their shards."""
        return next((name for name in (WEIGHTS, WEIGHTS_INDEX) if name in self.files), None)

    def wanted(self, weights: str) -> list[str]:
        """The files to fetch, config first and weights last; shards follow once their index is here."""
        return [name for name in (CONFIG, PREPROCESSOR_CONFIG, weights) if name in self.files]


def changed(model: HubModel, revision: str, sha256: str) -> ModelError:
    """The error for weights that are sound, but not those of the catalog."""
    return ModelError(
        f"The weights of {model.repo_id} are not the ones this version knows (sha256 {sha256[:12]}…, expected "
        f"{(model.sha256 or '')[:12]}…).",
        f"Give {{revision={revision}}} to accept them, or update vithybrid-cli.",
    )


def list_files(repo_id: str, revision: str) -> Listing:
    """The commit of the revision, and its files. Raises HubUnreachable and ModelError."""
    answer = ask(repo_id, revision, of_revision("revision", revision), {"blobs": "true"})
    try:
        return _read_listing(answer, revision)
    except ValueError as error:
        raise not_a_hub(repo_id) from error


def _read_listing(answer: Any, revision: str) -> Listing:
    """The commit and files that the hub names in its answer. Raises ValueError for an answer of something else."""
    match answer:
        case {"siblings": [*siblings]}:
            commit = answer.get("sha") or revision
        case _:
            raise ValueError("no list of files")
    if commit != revision and not (isinstance(commit, str) and COMMIT.fullmatch(commit)):
        raise ValueError("no commit")
    return Listing(commit, dict(map(_read_sibling, siblings)))


def _read_sibling(sibling: Any) -> tuple[str, Remote]:
    match sibling:
        case {"rfilename": str(name), "size": int(size), "lfs": {"sha256": str(sha256)}}:
            return name, Remote(size, sha256)
        case {"rfilename": str(name), "size": int(size)}:
            return name, Remote(size, None)
        case {"rfilename": str(name)} if sibling.get("size") is None:
            return name, Remote(0, None)
    raise ValueError("no file")
