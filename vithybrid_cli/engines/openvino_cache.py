"""Converted graphs in the user's cache: one folder each, named by a hash of what the graph was made of.

A folder holds OpenVINO's own two files: the graph, and its weights, which are mapped into memory and not read; and the
SHA-256 of both, which are compared with it whenever they are compiled. Its subfolder ``compiled`` has a small file for
each way to run the graph, which uses the same weights. Such a file loads in half the time that reading and compiling
the graph takes.

Users may share a cache. What another user wrote and does not let this one read, replace or remove counts as missing.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vithybrid_cli.atomic import is_unfinished, replacing, replacing_folder
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.content import weights_sha256
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines.openvino_runtime import CPU, openvino
from vithybrid_cli.user_cache import cache_folder

CONVERSION = 5  # increase it when `openvino_convert` or `openvino_norms` makes another graph of the same checkpoint

_GRAPH, _WEIGHTS, _CHECKSUM = "model.xml", "model.bin", "model.sha256"
_COMPILED = "compiled"
_WITHOUT_WEIGHTS = {"CACHE_MODE": "OPTIMIZE_SIZE"}
_SHA256_BYTES = 32
_TRIES = 8  # to replace an entry that other processes replace at the same time
_KEPT = 8  # the graphs used last, of up to 400 MB each, and as many ways to run each
_ABANDONED = 24 * 60 * 60  # seconds after which nobody is still writing

Properties = Mapping[str, str | int | bool]
Prepare = Callable[[openvino.Model], None]


def entry_for(checkpoint: Checkpoint, feature: Feature | None = None) -> Path:
    """The folder for the graph of a checkpoint that gives logits or a ``feature``; it need not exist.

    Precisions share it, as they are chosen when it is compiled.
    Raises ModelError when the weights cannot be read, OSError when the user has no cache folder.
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
    """Whether there is a graph, which may turn out to be damaged. Counts as a use of it."""
    _note_use(entry)
    return all(os.access(entry / name, os.R_OK) for name in (_GRAPH, _WEIGHTS))


def read(core: openvino.Core, entry: Path) -> openvino.Model | None:
    """The graph in an entry; None if there is none, if it cannot be read, or if it is not what was written."""
    try:
        # Besides, OpenVINO would try any other file as one of TensorFlow's and others', and say so on stderr.
        intact = (entry / _CHECKSUM).read_bytes() == _checksum(entry)
        return core.read_model(entry / _GRAPH) if intact else None
    except (OSError, RuntimeError):  # not there, cut off or damaged
        return None


def compiled(
    core: openvino.Core, entry: Path, properties: Properties, cores: int, *, prepare: Prepare | None = None
) -> openvino.CompiledModel | None:
    """The graph in an entry, ready to run with these properties; None if there is none that can be used.

    Compiled now and kept for the next time, unless that was done before for this processor, as many ``cores`` and these
    properties. ``prepare`` changes it before that, as it suits the properties.
    """
    file = entry / _COMPILED / _digest((_processor(core), cores, sorted(properties.items())))
    try:
        weights = _state(entry / _WEIGHTS)  # first, since they may be replaced at any time
        kept = _import(core, file, weights, properties)
        if kept is not None:
            return kept
        graph = read(core, entry)
        if graph is None:
            return None
        if prepare is not None:
            prepare(graph)
        new = core.compile_model(graph, CPU, {**properties, **_WITHOUT_WEIGHTS})
    except (OSError, RuntimeError):  # damage may show as late as here
        return None
    with suppress(OSError, RuntimeError):  # not kept: the next start takes longer
        _keep(new.export_model().getvalue(), file, weights)
    return new


def write(graph: openvino.Model, entry: Path) -> None:
    """Keep a graph, in place of whatever is in the entry. Raises OSError when that cannot be done."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        try:
            with replacing_folder(entry) as unfinished:
                _save(graph, unfinished)
                _remove(entry)
        except FileExistsError:  # another process was faster, or it cannot be removed
            if not holds(entry):  # or yet another process is just replacing it
                continue
        _forget_old(entry.parent)
        return
    raise PermissionError(errno.EACCES, "what is there cannot be read or replaced", str(entry))


def _remove(path: Path) -> None:
    """Remove a folder or file as far as that can be done."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _import(core: openvino.Core, file: Path, weights: str, properties: Properties) -> openvino.CompiledModel | None:
    """The graph that was compiled for weights in this state; None if there is none, or if it cannot be used."""
    try:
        content = file.read_bytes()
        sha256, exported = content[:_SHA256_BYTES], content[_SHA256_BYTES:]
        # OpenVINO does not notice a byte changed in the middle, and would compute something else.
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
    with replacing(file) as part, part.open("wb") as stream:
        stream.write(_seal(exported, weights))
        stream.write(exported)
    _forget_old(file.parent)


def _seal(exported: bytes, weights: str) -> bytes:
    """The SHA-256 of a compiled graph, together with the state of the weights that it uses."""
    return hashlib.sha256(weights.encode() + exported).digest()


def _state(weights: Path) -> str:
    """What changes when the weights are cut off or replaced; they are too large to be read for that at each start."""
    found = weights.stat()
    return f"{found.st_size} {found.st_mtime_ns} "


def _processor(core: openvino.Core) -> tuple[str, ...]:
    # Virtual machines may hide the name of their processor, but not its capabilities.
    capabilities = core.get_property(CPU, "OPTIMIZATION_CAPABILITIES")
    return (core.get_property(CPU, "FULL_DEVICE_NAME"), *sorted(capabilities))


def _digest(content: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _note_use(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


def _save(graph: openvino.Model, folder: Path) -> None:
    """Write all three files. Raises OSError when that cannot be done."""
    try:
        openvino.save_model(graph, folder / _GRAPH, compress_to_fp16=False)
    except RuntimeError as error:  # OpenVINO's only word for a full disk
        raise OSError("no room on the disk, or it cannot be written") from error
    (folder / _CHECKSUM).write_bytes(_checksum(folder))


def _checksum(folder: Path) -> bytes:
    """The SHA-256 of each of the two files. OpenVINO does not notice where a byte of them has changed."""
    found = []
    for name in (_GRAPH, _WEIGHTS):
        with (folder / name).open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").digest())
    return b"".join(found)


def _forget_old(folder: Path) -> None:
    """Remove what was not used for longest, and what other processes began and left."""
    with suppress(OSError):  # another process may be doing the same
        used = {path: path.stat().st_mtime for path in folder.iterdir()}
        finished = [path for path in sorted(used, key=used.__getitem__) if not is_unfinished(path)]
        for path in finished[:-_KEPT]:
            _remove(path)
        for path in used.keys() - set(finished):
            if time.time() - used[path] > _ABANDONED:
                _remove(path)
