"""Converted graphs in the user's cache: one folder each, named by the content of what the graph was made of.

A folder is written under another name and renamed when it is complete, so that other processes see all or nothing of
it. It holds OpenVINO's own two files: the graph, and its weights, which are mapped into memory and not read.
"""

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vithybrid_cli.checkpoints.content import weights_sha256
from vithybrid_cli.checkpoints.folder import CheckpointFolder
from vithybrid_cli.checkpoints.user_cache import cache_folder
from vithybrid_cli.engines.openvino_runtime import openvino

CONVERSION = 1  # to be counted up when `openvino_convert` makes something else of the same checkpoint

_GRAPH = "model.xml"
_ROOT, _HEAD = b"<net ", 100  # what its first bytes hold
_KEPT = 8  # graphs, those used last; one of a large network takes 400 MB
_UNFINISHED = ".new-"
_ABANDONED = 24 * 60 * 60  # seconds after which nobody is still writing


def entry_for(folder: CheckpointFolder) -> Path:
    """Where the graph of a checkpoint is kept, if it is. All precisions share it: they are chosen when it is compiled.

    Raises ModelError when the weights cannot be read, OSError when the user has no cache.
    """
    content = (
        CONVERSION,
        openvino.get_version(),
        replace(folder.config, labels=()),
        len(folder.config.labels),
        folder.preprocessing.normalization,
        weights_sha256(folder),
    )
    return cache_folder() / "openvino" / hashlib.sha256(repr(content).encode()).hexdigest()


def read(core: openvino.Core, entry: Path) -> openvino.Model | None:
    """The graph that is kept there; None if there is none, or if it cannot be read."""
    with suppress(OSError):
        os.utime(entry)  # the time of its last use
    try:
        # Whatever is no graph of its own is tried as one of TensorFlow's and others', with lines on stderr.
        with (entry / _GRAPH).open("rb") as file:
            intact = _ROOT in file.read(_HEAD)
        return core.read_model(entry / _GRAPH) if intact else None
    except (OSError, RuntimeError):  # not there, cut off or damaged
        return None


def write(graph: openvino.Model, entry: Path) -> None:
    """Keep a graph in the place of whatever is there. Raises OSError when that cannot be done."""
    caches = entry.parent
    caches.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=caches))
    try:
        _save(graph, unfinished)
        remove(entry)
        with suppress(FileExistsError):  # another process was faster, with the same graph
            _rename(unfinished, entry)
    finally:
        remove(unfinished)
    _forget_old(caches)


def remove(entry: Path) -> None:
    """Remove a folder of the cache as far as that can be done."""
    shutil.rmtree(entry, ignore_errors=True)


def _save(graph: openvino.Model, folder: Path) -> None:
    """Write both files, and wait for the disk: a rename may survive a power cut that their content does not."""
    try:
        openvino.save_model(graph, folder / _GRAPH, compress_to_fp16=False)
    except RuntimeError as error:  # how OpenVINO tells of a disk that is full, without a reason
        raise OSError("no room on the disk, or it cannot be written") from error
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _rename(folder: Path, entry: Path) -> None:
    """Raises FileExistsError when something is there."""
    try:
        folder.rename(entry)
    except OSError as error:
        if entry.is_dir():
            raise FileExistsError(error.errno, error.strerror, str(entry)) from error
        raise


def _forget_old(caches: Path) -> None:
    """Remove what was not used for longest, and what others have begun and left."""
    with suppress(OSError):  # another process may be doing the same
        used = {folder: folder.stat().st_mtime for folder in caches.iterdir()}
        finished = [folder for folder in sorted(used, key=used.__getitem__) if not folder.name.startswith(_UNFINISHED)]
        for folder in finished[:-_KEPT]:
            remove(folder)
        for folder in used.keys() - set(finished):
            if time.time() - used[folder] > _ABANDONED:
                remove(folder)
