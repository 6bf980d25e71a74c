"""What a folder is that holds no checkpoint which is read here, and what to do with it. No torch.

Each kind is known by the files that its program writes; the first that fits is said.
"""

import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from vithybrid_cli.checkpoints.weights import is_npz
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import CONFIG, PICKLE_SUFFIXES, WEIGHTS, WEIGHTS_INDEX, read_checkpoint_json
from vithybrid_cli.images.suffixes import picture_suffixes

ADAPTER_CONFIG = "adapter_config.json"
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.(?:safetensors|bin)$")
_STEP = re.compile(r"(?:checkpoint|epoch|step)[-_](\d+)")
# What training writes beside the weights: no weights of a network. torch, transformers' Trainer, accelerate.
_TRAINING_STATE = re.compile(
    r"(?:optimizer|optim|scheduler|scaler|sampler|rng_state|random_states|training_args|trainer_state|train_state"
    r"|custom_checkpoint)[\w.-]*\.(?:pt|pth|bin|pkl|json|safetensors)$"
)
_LISTED, _LOOKED_AT = 4, 1000

# Endings and names of other frameworks' files → who writes them, and how to get weights from them.
_FROM_ONE_OF_TORCH = "Use the checkpoint that it was made from."
_SAVE = "Load it in transformers ({}=True) and save it with save_pretrained, or use a repository with safetensors."
_OTHERS = (
    (re.compile(r"tf_model.*\.h5$"), "TensorFlow weights", _SAVE.format("from_tf")),
    (re.compile(r"flax_model.*\.msgpack$"), "Flax weights", _SAVE.format("from_flax")),
    (re.compile(r"\.(?:h5|hdf5|keras)$"), "a Keras model", _FROM_ONE_OF_TORCH),
    (re.compile(r"saved_model\.pb$|\.ckpt(?:-\d+)?\.(?:index|meta|data-\d+-of-\d+)$"), "a TensorFlow model",
     _FROM_ONE_OF_TORCH),
    (re.compile(r"\.msgpack$"), "Flax weights", _FROM_ONE_OF_TORCH),
    (re.compile(r"\.onnx(?:_data)?$"), "an ONNX model", _FROM_ONE_OF_TORCH),
    (re.compile(r"openvino_\w*\.(?:xml|bin)$"), "an OpenVINO model", _FROM_ONE_OF_TORCH),
    (re.compile(r"\.gguf$"), "a GGUF model", _FROM_ONE_OF_TORCH),
    (re.compile(r"\.(?:tflite|mlmodel|mlpackage|engine|plan|trt|pte|pt2)$"), "a model for one kind of device",
     _FROM_ONE_OF_TORCH),
    (re.compile(r"\.(?:zip|tar|tgz|tar\.\w+|gz|7z|rar|xz|bz2|zst)$"), "an archive",
     "Unpack it and name the folder that comes out."),
)  # fmt: skip


def no_checkpoint(folder: Path, lacks: str, *, trust_pickle: bool = False) -> ModelError:
    """The error for a folder without a file that a checkpoint needs, its config or its weights."""
    try:
        names = sorted(path.name for path in islice(folder.iterdir(), _LOOKED_AT))
    except OSError as error:
        return ModelError(f"{folder} cannot be read ({error.strerror}).", "Make it readable, or name another folder.")
    kinds = (_trusted_pickles if trust_pickle and kind is _pickles else kind for kind in _KINDS)
    return next((told for kind in kinds if (told := kind(folder, names, lacks))), _plain(folder, lacks))


def is_pickle(file: Path) -> bool:
    """Whether its name says that it is a pickle, of torch or another library."""
    return file.name.lower().endswith((*PICKLE_SUFFIXES, ".pth.tar", ".pt.tar", ".ckpt.tar"))  # no archives: timm's


def foreign_file(file: Path) -> ModelError | None:
    """The error for a single file that is named as those of other frameworks are; None where its name tells nothing."""
    if adapter := _adapter_file(file):
        return adapter
    if shard := _SHARD.search(file.name):
        return ModelError(f"{file} is one of {int(shard[1])} parts of its weights.", "Name its folder.")
    if file.name in (CONFIG, WEIGHTS_INDEX) or file.name == f"{WEIGHTS}.index.json":
        return ModelError(f"{file} describes a checkpoint, and is none.", "Name its folder.")
    if _TRAINING_STATE.match(file.name):
        return ModelError(f"{file} is the state of a training run, and no network.", "Name the weights of the network.")
    for pattern, kind, remedy in () if is_pickle(file) and not _is_no_network(file.name) else _OTHERS:
        if pattern.search(file.name.lower()):
            return ModelError(f"{file} is no weights file that is read here, but {kind}.", remedy)
    if file.suffix.lower() in picture_suffixes():
        return ModelError(
            f"{file} is a picture, and no checkpoint.", "Give it as an input, and a checkpoint as {model}."
        )
    return None


def _adapter_file(file: Path) -> ModelError | None:
    if file.name in _ADAPTERS:
        return _adapter(file.parent, [ADAPTER_CONFIG], "")
    return None


def _adapter(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    if ADAPTER_CONFIG not in names and not set(_ADAPTERS) & set(names):
        return None
    described = read_checkpoint_json(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else {}
    base = described.get("base_model_name_or_path")
    kind = described.get("peft_type")
    what = f" ({kind})" if isinstance(kind, str) else ""
    of = f" of {base}" if isinstance(base, str) and base else ""
    return ModelError(
        f"{folder} holds an adapter{what}{of} without the network that it changes.",
        "Merge it into its base (`merge_and_unload` of PEFT), save the result, and name that.",
    )


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
    models = [name for name in names if name.startswith("models--")]
    if models:
        ids = [name.removeprefix("models--").replace("--", "/") for name in models]
        return ModelError(
            f"{folder} is a cache of the hub's client, with {_listed(ids)}.", "Name one of their hub ids."
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
    parts = [name for name in names if name.endswith(".safetensors") and _SHARD.search(name)]
    if not parts or lacks != WEIGHTS:
        return None
    of = max(int(found[1]) for name in parts if (found := _SHARD.search(name)))
    return ModelError(
        f"{folder} holds {len(parts)} of {of} parts of its weights ({parts[0]}, …), but no {WEIGHTS_INDEX}.",
        "Fetch the checkpoint again, with all of its files.",
    )


def _other_safetensors(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """Some single files of weights need neither config nor the usual name."""
    others = [name for name in names if name.endswith((".npz", ".safetensors")) and not _TRAINING_STATE.match(name)]
    if not others or not (lacks == WEIGHTS or is_npz(folder / others[0])):
        return None
    if len(others) == 1:
        return ModelError(f"{folder} holds no {lacks}, but {others[0]}.", "Name that file instead of its folder.")
    return ModelError(f"{folder} holds no {lacks}, but {_listed(others)}.", "Name one of these files.")


def _distributed(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """What several processes saved, each its own part: DeepSpeed, and FSDP or another of torch.distributed."""
    if "zero_to_fp32.py" in names or any(
        re.match(r"global_step\d+$|mp_rank_\d+_model|zero_pp_rank_", n) for n in names
    ):
        return ModelError(
            f"{folder} holds the parts that DeepSpeed's processes saved.",
            "Run its zero_to_fp32.py, and name the weights that it writes.",
        )
    parts = [name for name in names if name.startswith(("pytorch_model_fsdp", "sharded_model")) or ".distcp" in name]
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
        f"{folder} holds no {lacks}, but the checkpoints of a training run: {_listed(ordered)} ({chosen}).",
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
        name = re.split(r"[\\/]", best)[-1] if isinstance(best, str) else None
        return name if name in checkpoints else None
    return None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _below(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    """Checkpoints in the folders of a folder."""
    found = [name for name in names if (folder / name / CONFIG).is_file()]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but folders that do: {_listed(found)}."
        if len(found) > 1
        else f"{folder} holds no {lacks}, but its folder {found[0]} does.",
        "Name that folder." if len(found) == 1 else "Name one of these folders.",
    )


def _weights_alone(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if name.endswith(".safetensors") and not _TRAINING_STATE.match(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but weights ({_listed(found)}).",
        f"Put the {CONFIG} of their network beside them.",
    )


def _pickles(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if is_pickle(Path(name)) and not _is_no_network(name)]
    if not found:
        return None
    usual = next((name for name in found if name.startswith("pytorch_model")), found[0])
    return pickle_error(folder, usual if len(found) == 1 or usual.startswith("pytorch_model") else _listed(found))


def _trusted_pickles(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if is_pickle(Path(name)) and not _is_no_network(name)]
    if not found:
        return None
    return ModelError(f"{folder} holds no {lacks}, but {_listed(found)}.", "Name such a file instead of its folder.")


def _is_no_network(name: str) -> bool:
    return bool(_TRAINING_STATE.match(name)) or name.startswith("openvino_") or name in _ADAPTERS


def pickle_error(path: Path, name: str = "") -> ModelError:
    """The error for weights that only unpickling would read."""
    where = f"{path} holds its weights as a pickle" + (f" ({name})" if name else "")
    return ModelError(
        f"{where}, which can run any code when it is loaded and is never read.",
        "If you trust who made it, `vithybrid convert` with {trust_pickle=True} makes a safe copy; or use a revision "
        "that has one.",
    )


def _others(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    for pattern, kind, remedy in _OTHERS:
        if found := [name for name in names if pattern.search(name.lower())]:
            return ModelError(f"{folder} holds no {lacks}, but {kind} ({_listed(found)}).", remedy)
    return None


def _training_state(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    found = [name for name in names if _TRAINING_STATE.match(name)]
    if not found:
        return None
    return ModelError(
        f"{folder} holds no {lacks}, but the state of a training run ({_listed(found)}), which has no weights.",
        "Name the folder into which the run saved its network.",
    )


def _pictures(folder: Path, names: list[str], lacks: str) -> ModelError | None:
    suffixes = tuple(picture_suffixes())
    inside = [name for name in names if name.lower().endswith(suffixes)]
    below = [name for name in names if (folder / name).is_dir() and _holds(folder / name, suffixes)]
    if not inside and not below:
        return None
    return ModelError(
        f"{folder} holds pictures ({_listed(inside or [f'{name}/' for name in below])}) and no checkpoint.",
        "Give it as an input, and a checkpoint's folder or name as {model}.",
    )


def _holds(folder: Path, suffixes: tuple[str, ...]) -> bool:
    try:
        return any(path.name.lower().endswith(suffixes) for path in islice(folder.iterdir(), _LOOKED_AT))
    except OSError:
        return False


def _plain(folder: Path, lacks: str) -> ModelError:
    return ModelError(
        f"{folder} holds no {lacks}, so it is no checkpoint folder.", "Name another folder, or a file of weights."
    )


_Kind = Callable[[Path, list[str], str], ModelError | None]
_KINDS: tuple[_Kind, ...] = (
    _hub_cache,
    _adapter,
    _sharded_without_index,
    _other_safetensors,
    _distributed,
    _pickles,
    _run,
    _below,
    _weights_alone,
    _others,
    _training_state,
    _pictures,
)
