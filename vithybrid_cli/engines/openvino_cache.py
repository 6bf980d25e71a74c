"""Converted graphs in the user's cache: one folder each, named by the content of what the graph was made of.

A folder is written under another name and renamed when it is complete, so that other processes see all or nothing of
it. It holds OpenVINO's own two files: the graph, and its weights, which are mapped into memory and not read. Below them
lies what was compiled of the graph: a small file for each way to run it, which takes its weights from there, too. Such
a file is ready in half the time that reading and compiling the graph takes.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.content import weights_sha256
from vithybrid_cli.choices import Feature
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.openvino_runtime import CPU, openvino
from vithybrid_cli.user_cache import cache_folder

CONVERSION = 3  # to be counted up when `openvino_convert` makes something else of the same checkpoint

_GRAPH, _WEIGHTS = "model.xml", "model.bin"
_ROOT, _HEAD = b"<net ", 100  # what the first bytes of a graph hold
_COMPILED = "compiled"  # the folder for that
_WITHOUT_WEIGHTS = {"CACHE_MODE": "OPTIMIZE_SIZE"}
_SHA256_BYTES = 32
_KEPT = 8  # graphs, those used last, of which a large network's takes 400 MB; and as many ways to run each
_UNFINISHED = ".new-"
_ABANDONED = 24 * 60 * 60  # seconds after which nobody is still writing

Properties = Mapping[str, str | int | bool]


def entry_for(checkpoint: Checkpoint, feature: Feature | None = None) -> Path:
    """Where the graph of a checkpoint for its logits or a ``feature`` is kept, if it is.

    All precisions share it: they are chosen when it is compiled.
    Raises ModelError when the weights cannot be read, OSError when the user has no cache.
    """
    content = (
        CONVERSION,
        openvino.get_version(),
        replace(checkpoint.config, labels=()),
        len(checkpoint.config.labels),
        checkpoint.stored_config.image_size,  # from which positions are interpolated
        feature,
        checkpoint.preprocessing.normalization,
        weights_sha256(checkpoint),
    )
    return cache_folder() / "openvino" / _digest(content)


def holds(entry: Path) -> bool:
    """Whether a graph is kept there, which may turn out to be damaged. Counts as a use of it."""
    _note_use(entry)
    return (entry / _GRAPH).is_file() and (entry / _WEIGHTS).is_file()


def read(core: openvino.Core, entry: Path) -> openvino.Model | None:
    """The graph that is kept there; None if there is none, or if it cannot be read."""
    try:
        # Whatever is no graph of its own is tried as one of TensorFlow's and others', with lines on stderr.
        with (entry / _GRAPH).open("rb") as file:
            intact = _ROOT in file.read(_HEAD)
        return core.read_model(entry / _GRAPH) if intact else None
    except (OSError, RuntimeError):  # not there, cut off or damaged
        return None


def compiled(core: openvino.Core, entry: Path, properties: Properties) -> openvino.CompiledModel | None:
    """The graph that is kept there, ready to run with these properties; None if there is none that can be used.

    Compiled now, and kept for the next time, if that was not done for this processor and these properties.
    """
    file = entry / _COMPILED / _digest((_processor(core), available_cores(), sorted(properties.items())))
    try:
        weights = _state(entry / _WEIGHTS)  # before all else: they may be replaced at any time
        kept = _import(core, file, weights, properties)
        if kept is not None:
            return kept
        graph = read(core, entry)
        if graph is None:
            return None
        new = core.compile_model(graph, CPU, {**properties, **_WITHOUT_WEIGHTS})
    except (OSError, RuntimeError):  # what is damaged can show as late as here
        return None
    with suppress(OSError, RuntimeError):  # costs time at the next start, and whoever writes graphs has warned of that
        _keep(new.export_model().getvalue(), file, weights)
    return new


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
    """Remove a folder or file of the cache as far as that can be done."""
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()


def _import(core: openvino.Core, file: Path, weights: str, properties: Properties) -> openvino.CompiledModel | None:
    """What was compiled for weights in this state; None if there is none, or if it cannot be used."""
    try:
        content = file.read_bytes()
        sha256, exported = content[:_SHA256_BYTES], content[_SHA256_BYTES:]
        # OpenVINO does not find out what was changed in the middle, and would compute something else.
        if sha256 != _seal(exported, weights):
            return None
        _note_use(file)
        here = {"WEIGHTS_PATH": str(file.parent.parent / _WEIGHTS)}
        return core.import_model(exported, CPU, {**properties, **_WITHOUT_WEIGHTS, **here})
    except (OSError, RuntimeError):
        return None


def _keep(exported: bytes, file: Path, weights: str) -> None:
    """Raises OSError when that cannot be done."""
    file.parent.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_seal(exported, weights) + exported)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    finally:
        remove(Path(name))
    _forget_old(file.parent)


def _seal(exported: bytes, weights: str) -> bytes:
    """The SHA-256 of what was compiled, together with the state of the weights that it refers to."""
    return hashlib.sha256(weights.encode() + exported).digest()


def _state(weights: Path) -> str:
    """What differs when the weights were cut off or replaced: they are too large to be read for that at each start."""
    found = weights.stat()
    return f"{found.st_size} {found.st_mtime_ns} "


def _processor(core: openvino.Core) -> tuple[str, ...]:
    # Virtual machines may hide the name of their processor, not what it can do.
    capabilities = core.get_property(CPU, "OPTIMIZATION_CAPABILITIES")
    return (core.get_property(CPU, "FULL_DEVICE_NAME"), *sorted(capabilities))


def _digest(content: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _note_use(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


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


def _forget_old(folder: Path) -> None:
    """Remove what was not used for longest, and what others have begun and left."""
    with suppress(OSError):  # another process may be doing the same
        used = {path: path.stat().st_mtime for path in folder.iterdir()}
        finished = [path for path in sorted(used, key=used.__getitem__) if not path.name.startswith(_UNFINISHED)]
        for path in finished[:-_KEPT]:
            remove(path)
        for path in used.keys() - set(finished):
            if time.time() - used[path] > _ABANDONED:
                remove(path)
