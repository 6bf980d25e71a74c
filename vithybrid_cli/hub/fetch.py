"""Fetches from the hub what a model needs, and nothing else, through huggingface_hub's own client and cache."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from vithybrid_cli import __version__
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import cache
from vithybrid_cli.hub.errors import disk_full, explained
from vithybrid_cli.hub.files import (
    CONFIG,
    PICKLE_SUFFIXES,
    PREPROCESSOR_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    shards,
)

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes so far, and its bytes in all where the hub says how many."""

_LIBRARY = "vithybrid"


@dataclass(frozen=True)
class Request:
    """A model of the hub at one revision; ``sha256`` is set if its weights must be the catalogued ones."""

    repo_id: str
    revision: str
    sha256: str | None


@dataclass(frozen=True)
class _Remote:
    """A file as the hub lists it; only files in its large-file storage come with a sha256."""

    size: int
    sha256: str | None


@dataclass(frozen=True)
class _Download:
    """One commit of a model on its way into the cache."""

    request: Request
    commit: str
    listing: dict[str, _Remote]
    verify_all: bool
    progress: Progress | None


def fetch(request: Request, *, verify_all: bool, progress: Progress | None) -> Path:
    """Fetch what is missing of the model and return its folder in the cache.

    All files come from one commit. The name of the revision is pointed at it last, so that a download that breaks off
    leaves an older complete model in use. Within a run the client goes on where a connection broke; for the next run it
    keeps the files that are complete. Each weights file that is new is hashed once; ``verify_all`` hashes those that
    were there, too.

    Raises:
        HubUnreachable: no network, an outage, or a connection that broke.
        ModelError: the hub refuses, the disk is full, or the weights are missing, damaged, changed, or a pickle.
    """
    commit, listing = _listing(request)
    download = _Download(request, commit, listing, verify_all, progress)
    paths = [_fetch_file(download, name) for name in _wanted(request, listing)]
    if paths[-1].name == WEIGHTS_INDEX:
        _fetch_shards(download, paths[-1])
    _remember(download)
    return paths[0].parent


def changed(request: Request, sha256: str) -> ModelError:
    """Return the error for weights that are sound, but not those of the catalog."""
    return ModelError(
        f"the weights of {request.repo_id} are not the ones this version knows (sha256 {sha256[:12]}…, expected "
        f"{(request.sha256 or '')[:12]}…): give --revision {request.revision} to accept them, or update vithybrid-cli"
    )


def _listing(request: Request) -> tuple[str, dict[str, _Remote]]:
    """Return the commit of the revision, and its files.

    One request, not repeated: with no network this fails at once, where the client's downloads try for half a minute.
    """
    from huggingface_hub import HfApi, constants

    client = HfApi(library_name=_LIBRARY, library_version=__version__)
    with _client(request):
        info = client.model_info(
            request.repo_id,
            revision=request.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    files = info.siblings or []
    listing = {file.rfilename: _Remote(file.size or 0, file.lfs.sha256 if file.lfs else None) for file in files}
    return info.sha or request.revision, listing


def _wanted(request: Request, listing: dict[str, _Remote]) -> list[str]:
    """Choose the files to fetch, config first and weights last; shards follow once their index is here.

    Raises:
        ModelError: no config, no safetensors weights, or weights that are not those of the catalog.
    """
    if CONFIG not in listing:
        raise _no_config(request, listing)
    weights = next((name for name in (WEIGHTS, WEIGHTS_INDEX) if name in listing), None)
    if weights is None:
        raise _no_safetensors(request, listing)
    sha256 = listing[weights].sha256
    if request.sha256 is not None and sha256 is not None and sha256 != request.sha256:
        raise changed(request, sha256)
    return [name for name in (CONFIG, PREPROCESSOR_CONFIG, weights) if name in listing]


def _no_config(request: Request, listing: dict[str, _Remote]) -> ModelError:
    """Return the error for a model that does not say what network it is; a file of Google's does so by itself."""
    from huggingface_hub import constants

    arrays = sorted(name for name in listing if name.endswith(".npz"))
    if not arrays:
        return ModelError(f"{request.repo_id} has no {CONFIG}: choose a ViT of transformers' or timm's that has")
    address = f"{constants.ENDPOINT}/{request.repo_id}/resolve/{request.revision}/{arrays[0]}"
    return ModelError(
        f"{request.repo_id} has no {CONFIG}, but {arrays[0]}: fetch {address}, and give the file as the model"
    )


def _no_safetensors(request: Request, listing: dict[str, _Remote]) -> ModelError:
    pickles = sorted(name for name in listing if name.endswith(PICKLE_SUFFIXES))
    if not pickles:
        return ModelError(f"{request.repo_id} has no {WEIGHTS}: choose a model that has, see `vithybrid models`")
    return ModelError(
        f"{request.repo_id} has its weights only as a pickle ({pickles[0]}), which can run any code when it is loaded "
        "and is never fetched: convert it at https://huggingface.co/spaces/safetensors/convert, "
        "then name the new revision with --revision"
    )


def _fetch_shards(download: _Download, index: Path) -> None:
    for shard in shards(index):
        if shard not in download.listing:
            raise ModelError(
                f"{download.request.repo_id} lacks {shard}, which its {WEIGHTS_INDEX} names: "
                "ask the owner of the model for it"
            )
        _fetch_file(download, shard)


def _fetch_file(download: _Download, name: str) -> Path:
    """Fetch one file into the cache, or find it there, and return its path."""
    from huggingface_hub import hf_hub_download

    request, remote = download.request, download.listing[name]
    bar = _bar_class(name, download.progress)
    known = cache.has_file(request.repo_id, download.commit, name)
    if not known:
        _check_room(request, remote)
    try:
        with _client(request):
            path = hf_hub_download(
                request.repo_id,
                name,
                revision=download.commit,
                library_name=_LIBRARY,
                library_version=__version__,
                tqdm_class=bar,
            )
    except ModelError:
        if bar.failure is not None:  # the caller's mistake and not the hub's, though it came through the client
            raise bar.failure from None
        raise
    if download.verify_all or not known:
        _verify(request, Path(path), remote.sha256 or (request.sha256 if name == WEIGHTS else None))
    return Path(path)


def _check_room(request: Request, remote: _Remote) -> None:
    """Ask the disk before the download rather than after most of it."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).absolute()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if shutil.disk_usage(existing).free < remote.size:
        raise disk_full(request.repo_id, remote.size)


def _verify(request: Request, path: Path, sha256: str | None) -> None:
    """Compare the file with the sha256 it should have, and drop it from the cache if it has another.

    Raises:
        ModelError: the file is damaged.
    """
    if sha256 is None or cache.is_intact(path, sha256):
        return
    cache.remove(path)
    raise ModelError(
        f"{path.name} of {request.repo_id} arrived damaged (its sha256 is not {sha256[:12]}…) and was removed from the "
        "cache: run the command again to fetch it anew"
    )


def _remember(download: _Download) -> None:
    """Let the client note in its cache what later runs must know without a request.

    That is: that the model has no preprocessor config, and which commit the revision stands for.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    request = download.request
    with _client(request):
        if PREPROCESSOR_CONFIG not in download.listing:
            with suppress(RemoteEntryNotFoundError):
                hf_hub_download(request.repo_id, PREPROCESSOR_CONFIG, revision=download.commit)
        if request.revision != download.commit:
            hf_hub_download(request.repo_id, CONFIG, revision=request.revision)


@contextmanager
def _client(request: Request) -> Iterator[None]:
    """Put the client's errors into one line, and keep its warnings off stderr unless HF_HUB_VERBOSITY asks for them."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    if "HF_HUB_VERBOSITY" not in os.environ:
        logger.setLevel(logging.ERROR)
    try:
        with explained(request.repo_id, request.revision):
            yield
    finally:
        logger.setLevel(before)


class _Bar:
    """Stands in for the progress bars of huggingface_hub's client; draws nothing and reports to a callback.

    It has what the client uses of a tqdm bar. ``update_transfer`` makes the client use one bar for a file in Xet
    storage, not a second one for the bytes on the wire. What the callback raises is kept in ``failure``.
    """

    file = ""
    report: Progress | None = None
    failure: Exception | None = None

    def __init__(self, *, total: int | None = None, initial: int = 0, **_drawing: object) -> None:
        self.total = total
        self.n = initial
        self.update(0)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def update(self, n: float | None = 1) -> None:
        self.n += int(n or 0)
        if self.report is None:
            return
        try:
            self.report(self.file, self.n, self.total)
        except Exception as error:
            type(self).failure = error
            raise

    def update_transfer(self, n: float) -> None:
        pass

    def set_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        pass

    def set_transfer_postfix_str(self, postfix: str = "", refresh: bool = True) -> None:
        pass

    def close(self) -> None:
        pass


def _bar_class(name: str, progress: Progress | None) -> type[_Bar]:
    """Return the class that the client shall make its bar of for one file."""

    class Bar(_Bar):
        file = name
        report = None if progress is None else staticmethod(progress)

    return Bar
