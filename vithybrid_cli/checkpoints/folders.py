"""What a folder is that holds no checkpoint which is read here, and what to do with it. No torch.

Each kind is known by the files that its program writes; the first that fits is said.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from vithybrid_cli.checkpoints.files import (
    ADAPTERS,
    OTHERS,
    SHARD,
    adapter_error,
    is_no_network,
    is_pickle,
    pickle_error,
)
from vithybrid_cli.checkpoints.weights import is_npz
from vithybrid_cli.errors import ModelError, listed
from vithybrid_cli.hub.files import ADAPTER_CONFIG, CONFIG, WEIGHTS, WEIGHTS_INDEX, is_training_state
from vithybrid_cli.images.suffixes import picture_suffixes

# A file or folder that only one kind of folder has → that kind.
_MARKS = {
    "model_index.json": "a pipeline of diffusers",
    "modules.json": "a model of sentence-transformers",
    "open_clip_config.json": "a model of open_clip",
    "MLmodel": "a model of MLflow",
}
_DATA_SET = re.compile(r"dataset_(?:info|infos|dict)\.json$|.*\.(?:parquet|arrow)$")
_UNFINISHED = (".incomplete", ".crdownload", ".aria2", ".part", ".partial", ".download")  # of download programs
_STEP = re.compile(r"(?:checkpoint|epoch|step)[-_](\d+)")
_LISTED, _LOOKED_AT = 4, 1000
_DEPTH = 3  # folders in folders in which pictures are looked for


def no_checkpoint(folder: Path, lacks: str, *, trust_pickle: bool = False) -> ModelError:
    """The error for a folder without a file that a checkpoint needs, its config or its weights."""
    try:
        names = sorted(path.name for path in islice(folder.iterdir(), _LOOKED_AT))
    except OSError as error:
        return ModelError(f"{folder} cannot be read ({error.strerror}).", "Make it readable, or name another folder.")
    kinds = (_trusted_pickles if trust_pickle and kind is _pickles else kind for kind in _KINDS)
    return next((told for kind in kinds if (told := kind(folder, names, lacks))), _plain(folder, lacks))


def _adapter(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    return adapter_error(folder) if ADAPTER_CONFIG in names or set(ADAPTERS) & set(names) else None


def _hub_cache(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """The folder of a repository in the hub client's cache, or the whole cache."""
    if "snapshots" in names and folder.name.startswith("models--"):
        snapshot = _snapshot(folder)
        repository = folder.name.removeprefix("models--").replace("--", "/")
        where = f"{folder} is the hub client's cache of {repository}"
        if snapshot is None:
            return ModelError(f"{where}, and holds no snapshot.", "Name the hub id.")
        return ModelError(f"{where}, whose files are in {snapshot}.", "Name that folder, or the hub id.")
    if folder.name == "snapshots" and folder.parent.name.startswith("models--"):
        return _hub_cache(folder.parent, ["snapshots"], lacks)
    if any(path.name.startswith("models--") for path in islice((folder / "hub").glob("models--*"), 1)):
        return ModelError(f"{folder} holds the cache of the hub's client.", "Name a model's hub id.")
    models = [name for name in names if name.startswith("models--")]
    if models:
        ids = [name.removeprefix("models--").replace("--", "/") for name in models]
        return ModelError(
            f"{folder} is a cache of the hub's client, with {listed(ids, _LISTED)}.", "Name one of their hub ids."
        )
    return None


def _snapshot(folder: Path) -> Path | None:
    """The snapshot of main; else the only one."""
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = ""
    if commit and (folder / "snapshots" / commit).is_dir():
        return folder / "snapshots" / commit
    found = sorted(path for path in (folder / "snapshots").glob("*") if path.is_dir())
    return found[-1] if found else None


def _sharded_without_index(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    parts = [name for name in names if SHARD.search(name)]
    if not parts or lacks != WEIGHTS:
        return None
    of = max(int(found[1]) for name in parts if (found := SHARD.search(name)))
    index = WEIGHTS_INDEX if parts[-1].endswith(".safetensors") else "pytorch_model.bin.index.json"
    return ModelError(
        f"{folder} holds {len(parts)} of {of} parts of its weights ({parts[0]}, …), but no {index}.",
        "Fetch the checkpoint again, with all of its files.",
    )


def _other_safetensors(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """Some single files of weights need neither config nor the usual name."""
    others = [name for name in names if name.endswith((".npz", ".safetensors")) and not is_training_state(name)]
    if not others or not (lacks == WEIGHTS or is_npz(folder / others[0])):
        return None
    if len(others) == 1:
        return ModelError(f"{folder} holds no {lacks}, but {others[0]}.", "Name that file instead of its folder.")
    return ModelError(f"{folder} holds no {lacks}, but {listed(others, _LISTED)}.", "Name one of these files.")


def _distributed(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """What several processes saved, each its own part: DeepSpeed, and FSDP or another of torch.distributed."""
    if "zero_to_fp32.py" in names or any(
        re.match(r"global_step\d+$|mp_rank_\d+_model|zero_pp_rank_", n) for n in names
    ):
        return ModelError(
            f"{folder} holds the parts that DeepSpeed's processes saved.",
            "Run its zero_to_fp32.py, and name the weights that it writes.",
        )
    folders = [name for name in names if name.startswith(("pytorch_model_fsdp", "sharded_model"))]
    parts = [name for name in folders if (folder / name).is_dir()] or [name for name in names if ".distcp" in name]
    if parts or (".metadata" in names and not (folder / ".metadata").is_dir()):
        where = folder / parts[0] if parts and (folder / parts[0]).is_dir() else folder
        return ModelError(
            f"{where} holds the parts that the processes of a distributed run (FSDP) saved.",
            "Join them with `accelerate merge-weights`.",
        )
    return None


def _run(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """A trainer's folder, whose checkpoints lie one level below."""
    steps = {int(found[1]): name for name in names if (found := _STEP.match(name)) and (folder / name).is_dir()}
    if not steps:
        return None
    ordered = [steps[step] for step in sorted(steps)]
    best = _best(folder, ordered)
    newest = f"{ordered[-1]} is the newest"
    chosen = newest if best is None else f"{best} is the best" + ("" if best == ordered[-1] else f", {newest}")
    return ModelError(
        f"{folder} holds no {lacks}, but the checkpoints of a training run: {listed(ordered, _LISTED)} ({chosen}).",
        "Name one of these folders.",
    )


def _best(folder: Path, checkpoints: list[str]) -> str | None:
    """The checkpoint that transformers' Trainer found best, by the newest of its notes."""
    for place in (folder, *(folder / name for name in reversed(checkpoints))):
        try:
            state = json.loads((place / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        best = state.get("best_model_checkpoint") if isinstance(state, dict) else None
        name = re.split(r"[\\/]", best.rstrip("\\/"))[-1] if isinstance(best, str) else None
        return name if name in checkpoints else None
    return None


def _below(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """Checkpoints in the folders of a folder, or in those of its folders."""
    found = [name for name in names if (folder / name / CONFIG).is_file()]
    if not found:
        deeper = islice((path.parent for name in names for path in (folder / name).glob(f"*/{CONFIG}")), _LOOKED_AT)
        found = sorted(path.relative_to(folder).as_posix() for path in deeper)
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but folders that do: {listed(found, _LISTED)}."
        if len(found) > 1
        else f"{folder} holds no {lacks}, but its folder {found[0]} does.",
        "Name that folder." if len(found) == 1 else "Name one of these folders.",
    )


def _unfinished(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """A download that broke off."""
    parts = [name for name in names if name.endswith(_UNFINISHED)]
    if not parts and not any(islice((folder / ".cache" / "huggingface" / "download").rglob("*.incomplete"), 1)):
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but a download that was not finished"
        + (f" ({listed(parts, _LISTED)})." if parts else "."),
        "Fetch the checkpoint again.",
    )


def _marked(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    kind = next((kind for mark, kind in _MARKS.items() if mark in names), None)
    if kind is None:
        return None
    return ModelError(f"{folder} holds {kind}, which is not read here.", "Name the folder of a classifier or encoder.")


def _data_set(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if _DATA_SET.match(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds a data set ({listed(found, _LISTED)}) and no checkpoint.",
        "Give a checkpoint's folder or name as {model}.",
    )


def _weights_alone(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if name.endswith(".safetensors") and not is_training_state(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but weights ({listed(found, _LISTED)}).",
        f"Put the {CONFIG} of their network beside them.",
    )


def _pickles(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if is_pickle(Path(name)) and not is_no_network(name)]
    if not found:
        return None
    usual = next((name for name in found if name.startswith("pytorch_model")), found[0])
    return pickle_error(
        folder, usual if len(found) == 1 or usual.startswith("pytorch_model") else listed(found, _LISTED)
    )


def _trusted_pickles(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if is_pickle(Path(name)) and not is_no_network(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but {listed(found, _LISTED)}.", "Name such a file instead of its folder."
    )


def _others(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    for pattern, kind, remedy in OTHERS:
        if found := [name for name in names if pattern.search(name.lower())]:
            return ModelError(f"{folder} holds no {lacks}, but {kind} ({listed(found, _LISTED)}).", remedy)
    return None


def _training_state(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if is_training_state(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but the state of a training run ({listed(found, _LISTED)}), which has no weights.",
        "Name the folder into which the run saved its network.",
    )


def _pictures(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    suffixes = tuple(picture_suffixes())
    inside = [name for name in names if name.lower().endswith(suffixes)]
    below = [
        name for name in names if any(path.name.lower().endswith(suffixes) for path in _within(folder / name, _DEPTH))
    ]
    if not inside and not below:
        return None
    return ModelError(
        f"{folder} holds pictures ({listed(inside or [f'{name}/' for name in below], _LISTED)}) and no checkpoint.",
        "Give it as an input, and a checkpoint's folder or name as {model}.",
    )


def _pickles_below(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """What other trainers leave in folders of folders, such as ``version_0/checkpoints/last.ckpt``."""
    files = (path for name in names for path in _within(folder / name, _DEPTH))
    found = sorted(
        path.relative_to(folder).as_posix() for path in files if is_pickle(path) and not is_no_network(path.name)
    )
    return pickle_error(folder, listed(found, _LISTED)) if found else None


def _within(folder: Path, depth: int) -> Iterator[Path]:
    """Some of the files in a folder and its folders, in no order."""
    try:
        paths = list(islice(folder.iterdir(), _LOOKED_AT)) if folder.is_dir() else []
    except OSError:
        return
    yield from paths
    if depth > 1:
        for path in paths[:_LISTED]:
            yield from _within(path, depth - 1)


def _plain(folder: Path, lacks: str) -> ModelError:
    return ModelError(
        f"{folder} holds no {lacks}, so it is no checkpoint folder.", "Name another folder, or a file of weights."
    )


_Kind = Callable[[Path, list[str], str], ModelError | None]
_KINDS: tuple[_Kind, ...] = (
    _hub_cache,
    _unfinished,
    _adapter,
    _marked,
    _sharded_without_index,
    _other_safetensors,
    _distributed,
    _pickles,
    _run,
    _below,
    _weights_alone,
    _data_set,
    _others,
    _pickles_below,
    _training_state,
    _pictures,
)
