"""Turns the name of a checkpoint into a local folder: a path, a catalog alias, or a hub id and its cache."""

import logging
import os
from pathlib import Path

from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub import cache, catalog, environment, names
from vithybrid_cli.hub.catalog import MAIN
from vithybrid_cli.hub.choose import STAND_IN
from vithybrid_cli.hub.errors import HubUnreachable, incomplete, not_cached, not_there
from vithybrid_cli.hub.fetch import FetchProgress, fetch
from vithybrid_cli.hub.files import PICKLE_SUFFIXES, WEIGHTS, WEIGHTS_SUFFIXES
from vithybrid_cli.hub.gaps import require_whole
from vithybrid_cli.hub.listing import HubModel, Pin, changed

__all__ = ["FetchProgress", "is_cached", "locate"]

_log = logging.getLogger(__name__)

_WEIGHTS_FILES = (*WEIGHTS_SUFFIXES, *PICKLE_SUFFIXES)


def locate(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    offline: bool = False,
    update: bool = False,
    trust_pickle: bool = False,
    progress: FetchProgress | None = None,
) -> Path:
    """The absolute path of the model's folder (or weights file), which is fetched first if need be.

    ``name`` is, in this order: a catalog alias; an existing folder or file; a hub id ``owner/name``, which may be
    written as the address of its page, as ``hf-hub:owner/name``, with ``@revision``, or as timm's name of a network. A
    folder that shares its name with an alias is written ``./tiny``.

    A model that is complete in huggingface_hub's cache is used without any request; ``update`` asks the hub for a newer
    one, checks all weights again, and makes do with the cached one if there is no network. ``offline`` never opens a
    connection. huggingface_hub's environment variables (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE)
    apply.

    A catalogued checkpoint has to be the one its sha256 in the catalog says: if its owner has published other weights
    since, that is an error until a ``revision`` is named, which accepts whatever the hub has under it.

    Where the main branch has no safetensors, those of the hub's conversion bot are taken. A pickle is fetched only with
    ``trust_pickle``, and only where there is nothing else.

    Raises:
        UsageError: a ``revision`` was given for a path or for the built-in model, or another one than the name says.
        ModelError: no such folder, no such model, no access, no network, no room, an environment variable that is
            wrong, weights that are damaged, changed, or only there as a pickle, or, with no network, a copy in the
            cache that may not be complete.
    """
    local = _local(name)
    if local is not None:
        if revision is not None:
            raise UsageError(
                f"{os.fspath(name)} does not come from the hub and has no revisions.", "Leave out {revision}."
            )
        return local
    environment.check_import()
    model = _hub_model(os.fspath(name), revision, aloud=True)
    found = _find(model, trust_pickle=trust_pickle)
    if found is not None and _is_ready(model, found) and (offline or not update):
        return found.path
    try:
        if offline:
            raise not_cached(model.repo_id, model.revision)
        if _may_be_mistyped(os.fspath(name)):
            _log.info(f"There is no folder {os.fspath(name)}, so it is looked for on the hub.")
        return fetch(model, verify_all=update, trust_pickle=trust_pickle, progress=progress)
    except HubUnreachable as error:
        path = _as_it_is(model, found, error)
        if update:
            _log.warning(f"The hub cannot be asked for a newer {model.repo_id} now ({error.reason}).")
        return path


def _may_be_mistyped(name: str) -> bool:
    """Whether a hub id of this name begins like a path that exists."""
    return "/" in name and catalog.resolve(name) is None and Path(name).parent.is_dir()


def is_cached(name: str, *, revision: str | None = None) -> bool:
    """Whether ``name`` can be loaded with no network, told without a request.

    Raises:
        ModelError: ``name`` is neither a path that exists nor an alias nor a possible hub id, or the cache cannot be
            read.
    """
    if _local(name) is not None:
        return True
    environment.check_import()
    model = _hub_model(name, revision)
    found = _find(model)
    return found is not None and found.gap is None and _other_weights(model, found) is None


def _local(name: str | os.PathLike[str]) -> Path | None:
    """The path that ``name`` stands for, or None if it is a model of the hub."""
    text = os.fspath(name)
    entry = catalog.resolve(text) if isinstance(name, str) else None
    if entry is not None and entry.hub_id is None:
        return built_in_folder(entry)
    if entry is not None and entry.alias == text:
        return None
    path = _expanded(text)
    if text and _exists(path):
        if path.is_dir():
            require_whole(path.absolute())
        return path.absolute()  # so that ``./tiny`` is not the alias when its path is used as a name again
    if not isinstance(name, str) or (_looks_like_a_path(text) and not names.is_of_the_hub(text)):
        raise ModelError(
            f"There is no folder or file {text}.", "`vithybrid models` lists what can be named without a path."
        )
    return None


def built_in_folder(entry: catalog.Entry) -> Path:
    """The folder of a model that is part of the package. Raises ModelError when it is missing from it."""
    folder = Path(__file__).parent.parent / "builtin" / entry.alias
    if not folder.is_dir():
        raise ModelError(f"The built-in model is missing from {folder}.", "Install vithybrid-cli again.")
    return folder


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody's home folder
        return Path(text)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than the file system has them
        return False


def _looks_like_a_path(text: str) -> bool:
    return (
        text.startswith((".", "~", "/"))
        or text.endswith(("/", *_WEIGHTS_FILES))
        or text.count("/") > 1
        or "\\" in text
        or Path(text).is_absolute()
    )


def _hub_model(name: str, revision: str | None, *, aloud: bool = False) -> HubModel:
    """The model of a name that is no path; what was understood is said ``aloud``.

    A revision that is named wins over what the catalog pins.

    Raises:
        UsageError: the name says another revision than the one that is given.
        ModelError: no model can be called so.
    """
    entry = catalog.resolve(name)
    named = names.Named(entry.name) if entry is not None else names.understood(name)
    if named.revision is not None and revision not in (None, named.revision):
        raise UsageError(f"{named.written} names revision {named.revision}, not {revision}.", "Leave out {revision}.")
    if aloud and named.written is not None:
        _log.info(f"{named.written} is understood as {named.meaning}.")
    if revision is None and named.revision != MAIN:  # an address that says main is that of the model's page
        revision = named.revision
    entry = catalog.resolve(named.repo_id)
    if entry is None or revision is not None:
        return HubModel(named.repo_id, revision or MAIN)
    pin = None if entry.revision in (None, MAIN) else Pin(entry.revision, entry.commit)
    return HubModel(named.repo_id, pin=pin, sha256=entry.sha256)


def _find(model: HubModel, *, trust_pickle: bool = False) -> cache.Cached | None:
    """The first copy in the cache of what a fetch would take; one with other weights than the catalog's at the end."""
    found = [cache.find(model.repo_id, revision) for revision in _revisions(model)]
    if model.pin is not None and found[0] is not None and not model.pin.holds(found[0].folder.name):
        found[0] = None
    if trust_pickle:
        found.append(cache.find(model.repo_id, model.revision, trust_pickle=True))
    copies = [copy for copy in found if copy is not None]
    return min(copies, key=lambda copy: _other_weights(model, copy) is not None, default=None)


def _revisions(model: HubModel) -> list[str]:
    """What the cache may call the commits that a fetch would take, in its order.

    A main branch stands for what is pinned only if the sha256 of its weights says that they are the same.
    """
    pinned = [] if model.pin is None else [model.pin.revision]
    branch = [model.revision] if model.pin is None or model.sha256 is not None else []
    return [*pinned, *branch, *([STAND_IN] if model.revision == MAIN else [])]


def _is_ready(model: HubModel, found: cache.Cached) -> bool:
    """Whether no request can be needed; there may be safetensors by now for what was a pickle."""
    return found.gap is None and found.pickle is None and _other_weights(model, found) is None


def _other_weights(model: HubModel, found: cache.Cached) -> str | None:
    """The sha256 of weights in the cache that are not those of the catalog."""
    sha256 = cache.recorded_sha256(found.folder / WEIGHTS)
    return sha256 if model.sha256 not in (None, sha256) else None


def _as_it_is(model: HubModel, found: cache.Cached | None, why: HubUnreachable) -> Path:
    """The folder of the model in the cache, which ``why`` the hub cannot complete. Raises ModelError."""
    if found is None:
        gaps = (cache.lack_of(model.repo_id, revision) for revision in _revisions(model))
        gap = next((gap for gap in gaps if gap is not None), None)
        raise (not_there(model.repo_id, why) if gap is None else incomplete(model.repo_id, gap, why)) from why
    sha256 = _other_weights(model, found)
    if sha256 is not None:
        raise changed(model, model.revision, sha256)
    if found.gap is not None:
        raise incomplete(model.repo_id, found.gap, why) from why
    return found.path
