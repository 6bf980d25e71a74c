"""Fetches from the hub what a model needs, and nothing else, through huggingface_hub's own client and cache."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from types import TracebackType

from vithybrid_cli import __version__
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import cache
from vithybrid_cli.hub.api import LIBRARY
from vithybrid_cli.hub.catalog import MAIN
from vithybrid_cli.hub.choose import PINNED, STAND_IN, Choice, choose
from vithybrid_cli.hub.errors import cache_errors_as_model_errors, client_calls, disk_full
from vithybrid_cli.hub.files import CONFIG, INDEX_SUFFIX, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX, shards
from vithybrid_cli.hub.listing import HubModel, Remote
from vithybrid_cli.hub.pickles import checkpoint_of

FetchProgress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes so far, and its bytes in all where the hub says how many."""


@dataclass(frozen=True)
class _Download:
    """One commit of a model on its way into the cache."""

    model: HubModel
    choice: Choice
    verify_all: bool
    progress: FetchProgress | None

    @property
    def commit(self) -> str:
        return self.choice.listing.commit

    @property
    def files(self) -> dict[str, Remote]:
        return self.choice.listing.files


def fetch(model: HubModel, *, verify_all: bool, progress: FetchProgress | None, trust_pickle: bool = False) -> Path:
    """Fetch what is missing of the model and return its folder in the cache, or a pickle in it of a name of its own.

    All files come from one commit. The name of the revision is pointed at it last, so that a download that breaks off
    leaves an older complete model in use. Within a run newer clients go on where a connection broke; for the next run
    they keep the files that are complete. Each new weights file is hashed once; ``verify_all`` hashes the others too.

    Raises:
        HubUnreachable: no network, an outage, or a connection that broke.
        ModelError: the hub refuses, the disk is full, or the weights are missing, damaged, changed, or a pickle, which
            only ``trust_pickle`` fetches.
    """
    choice = choose(model, trust_pickle=trust_pickle)
    download = _Download(model, choice, verify_all, progress)
    paths = [_fetch_file(download, name) for name in choice.listing.wanted(choice.weights)]
    if choice.weights.endswith(INDEX_SUFFIX):
        _fetch_shards(download, paths[-1])
    _remember(download)
    return checkpoint_of(paths[0].parent, choice.weights)


def _fetch_shards(download: _Download, index: Path) -> None:
    names = shards(index)
    others = [name for name in names if not name.endswith(".safetensors")]
    if index.name == WEIGHTS_INDEX and others:
        raise ModelError(
            f"{index.name} of {download.model.repo_id} names {others[0]}, which is no file of safetensors.",
            "Ask the owner of the model to mend it.",
        )
    for shard in names:
        if shard not in download.files:
            raise ModelError(
                f"{download.model.repo_id} lacks {shard}, which its {index.name} names.",
                "Ask the owner of the model for it.",
            )
        _fetch_file(download, shard)


def _fetch_file(download: _Download, name: str) -> Path:
    """The path of one file in the cache, after its download if it is not there."""
    model, remote = download.model, download.files[name]
    bar = _bar_class(name, download.progress)
    known = cache.has_file(model.repo_id, download.commit, name)
    if not known:
        _check_room(model, remote)
    try:
        with client_calls(model.repo_id, model.revision):
            path = _cached_or_downloaded(model.repo_id, name, download.commit, remote.size, known, bar)
    except Exception:
        if bar.failure is not None:  # the caller's mistake and not the hub's, though it came through the client
            raise bar.failure from None
        raise
    if download.verify_all or not known:
        _verify(model, path, remote.sha256 or (model.sha256 if name == WEIGHTS else None))
    return path


def _cached_or_downloaded(repo_id: str, name: str, commit: str, size: int, known: bool, bar: "type[_Bar]") -> Path:
    from huggingface_hub import hf_hub_download

    fetch_it = partial(
        hf_hub_download, repo_id, name, revision=commit, library_name=LIBRARY, library_version=__version__
    )
    if "tqdm_class" in signature(hf_hub_download).parameters:
        return Path(fetch_it(tqdm_class=bar))
    with _without_bars(), nullcontext() if known else bar(total=size) as whole:  # huggingface_hub before 1.2
        path = fetch_it()
        if whole is not None:
            whole.update(size)
    return Path(path)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep the client from drawing bars of its own, unless HF_HUB_DISABLE_PROGRESS_BARS decides that."""
    from huggingface_hub import constants
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, exported lazily
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    ours = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled()
    if ours:
        disable_progress_bars()
    try:
        yield
    finally:
        if ours:
            enable_progress_bars()


def _check_room(model: HubModel, remote: Remote) -> None:
    """Ask the disk before the download rather than after most of it."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).absolute()
    with cache_errors_as_model_errors():
        usage = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
    if usage.total and usage.free < remote.size:  # some file systems, which hold no files of ours, do not say
        raise disk_full(model.repo_id, remote.size)


def _verify(model: HubModel, path: Path, sha256: str | None) -> None:
    """Compare the file with the sha256 it should have, and drop it from the cache if it has another.

    Raises:
        ModelError: the file is damaged.
    """
    with cache_errors_as_model_errors():
        if sha256 is None or cache.is_intact(path, sha256):
            return
        cache.remove(path)
    raise ModelError(
        f"{path.name} of {model.repo_id} arrived damaged (its sha256 is not {sha256[:12]}…) and was removed from the "
        "cache.",
        "Run the command again to fetch it anew.",
    )


def _remember(download: _Download) -> None:
    """Note in the cache what later runs must know without a request.

    That is: that the model has no preprocessor config, and which commit the revision stands for. The client notes both
    in its own way, but for a commit that stands in for the main branch.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    model, revision = download.model, download.choice.revision
    with client_calls(model.repo_id, model.revision), _without_bars():
        if PREPROCESSOR_CONFIG not in download.files:
            with suppress(EntryNotFoundError):
                hf_hub_download(model.repo_id, PREPROCESSOR_CONFIG, revision=download.commit)
        if revision not in (download.commit, STAND_IN):
            hf_hub_download(model.repo_id, CONFIG, revision=revision)
    if revision == STAND_IN:
        cache.point(model.repo_id, STAND_IN, download.commit)
    elif model.pin is not None and revision == download.commit:
        cache.point(model.repo_id, PINNED, download.commit)
    elif revision == MAIN and download.choice.listing.weights is not None:
        cache.forget(model.repo_id, STAND_IN)


class _Bar:
    """Stands in for the progress bars of huggingface_hub's client; draws nothing and reports to a callback.

    It has what the client uses of a tqdm bar. ``update_transfer`` makes the client use one bar for a file in Xet
    storage, not a second one for the bytes on the wire. What the callback raises is kept in ``failure``.
    """

    file = ""
    report: FetchProgress | None = None
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


def _bar_class(name: str, progress: FetchProgress | None) -> type[_Bar]:
    """The class of which the client makes its bar for one file."""

    class Bar(_Bar):
        file = name
        report = None if progress is None else staticmethod(progress)

    return Bar
