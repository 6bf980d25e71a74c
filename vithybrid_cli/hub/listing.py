"""What the hub has of a model, asked in one request, and which of its files are fetched."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from vithybrid_cli import __version__
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.errors import client_calls, not_a_hub
from vithybrid_cli.hub.files import CONFIG, PICKLE_SUFFIXES, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX

LIBRARY = "vithybrid"  # how this program is called in the client's requests
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubModel:
    """A model of the hub at one revision; ``sha256`` is set if its weights must be the catalogued ones."""

    repo_id: str
    revision: str
    sha256: str | None


@dataclass(frozen=True)
class Remote:
    """A file as the hub lists it; only files in its large-file storage come with a sha256."""

    size: int
    sha256: str | None


def changed(model: HubModel, sha256: str) -> ModelError:
    """The error for weights that are sound, but not those of the catalog."""
    return ModelError(
        f"The weights of {model.repo_id} are not the ones this version knows (sha256 {sha256[:12]}…, expected "
        f"{(model.sha256 or '')[:12]}…).",
        f"Give {{revision={model.revision}}} to accept them, or update vithybrid-cli.",
    )


def list_files(model: HubModel) -> tuple[str, dict[str, Remote]]:
    """The commit of the revision, and its files (https://huggingface.co/docs/hub/api).

    One request, not repeated: with no network this fails at once, where the client's downloads try for half a minute.
    It is not the client's own, which fails on an answer that is not a hub's as if it had a mistake of its own.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, exported lazily
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    address = f"{constants.ENDPOINT}/api/models/{model.repo_id}/revision/{quote(model.revision, safe='')}"
    with client_calls(model.repo_id, model.revision):
        headers = build_hf_headers(library_name=LIBRARY, library_version=__version__)
        response = get_session().get(
            address, params={"blobs": "true"}, headers=headers, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        hf_raise_for_status(response)
        try:
            return _read_listing(response.json(), model)
        except (ValueError, RecursionError) as error:
            raise not_a_hub(model.repo_id) from error


def _read_listing(answer: Any, model: HubModel) -> tuple[str, dict[str, Remote]]:
    """The commit and files that the hub names in its answer. Raises ValueError for an answer of something else."""
    match answer:
        case {"siblings": [*siblings]}:
            commit = answer.get("sha") or model.revision
        case _:
            raise ValueError("no list of files")
    if commit != model.revision and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        raise ValueError("no commit")
    return commit, dict(map(_read_sibling, siblings))


def _read_sibling(sibling: Any) -> tuple[str, Remote]:
    match sibling:
        case {"rfilename": str(name), "size": int(size), "lfs": {"sha256": str(sha256)}}:
            return name, Remote(size, sha256)
        case {"rfilename": str(name), "size": int(size)}:
            return name, Remote(size, None)
        case {"rfilename": str(name)} if sibling.get("size") is None:
            return name, Remote(0, None)
    raise ValueError("no file")


def wanted(model: HubModel, listing: dict[str, Remote]) -> list[str]:
    """The files to fetch, config first and weights last; shards follow once their index is here.

    Raises:
        ModelError: no config, no safetensors weights, or weights that are not those of the catalog.
    """
    if CONFIG not in listing:
        raise _no_config(model, listing)
    weights = next((name for name in (WEIGHTS, WEIGHTS_INDEX) if name in listing), None)
    if weights is None:
        raise _no_safetensors(model, listing)
    sha256 = listing[weights].sha256
    if model.sha256 is not None and sha256 is not None and sha256 != model.sha256:
        raise changed(model, sha256)
    return [name for name in (CONFIG, PREPROCESSOR_CONFIG, weights) if name in listing]


def _no_config(model: HubModel, listing: dict[str, Remote]) -> ModelError:
    """The error for a model that does not say what network it is; a file of Google's does so by itself."""
    from huggingface_hub import constants

    arrays = sorted(name for name in listing if name.endswith(".npz"))
    if not arrays:
        return ModelError(f"{model.repo_id} has no {CONFIG}.", "Choose a ViT of transformers or timm that has one.")
    address = f"{constants.ENDPOINT}/{model.repo_id}/resolve/{model.revision}/{arrays[0]}"
    return ModelError(
        f"{model.repo_id} has no {CONFIG}, but weights at {address}.", "Fetch that file, and name it as the model."
    )


def _no_safetensors(model: HubModel, listing: dict[str, Remote]) -> ModelError:
    pickles = sorted(name for name in listing if name.endswith(PICKLE_SUFFIXES))
    if not pickles:
        return ModelError(f"{model.repo_id} has no {WEIGHTS}.", "Choose a model that has, see `vithybrid models`.")
    return ModelError(
        f"{model.repo_id} has its weights only as a pickle ({pickles[0]}), which can run any code when it is loaded "
        "and is never fetched.",
        "Convert it at https://huggingface.co/spaces/safetensors/convert, then name the new one with {revision}.",
    )
