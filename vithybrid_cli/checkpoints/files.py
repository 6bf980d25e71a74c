"""Files that are no weights which are read here, by their names: of other frameworks, adapters, pickles. No torch."""

import re
from pathlib import Path

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import ADAPTER_CONFIG, PICKLE_SUFFIXES, is_training_state, read_checkpoint_json
from vithybrid_cli.images.suffixes import picture_suffixes

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
SHARD = re.compile(r"-\d{5}-of-(\d{5})\.(?:safetensors|bin)$")
# Endings and names of other frameworks' files → who writes them, and how to get weights from them.
_FROM_ONE_OF_TORCH = "Use the checkpoint that it was made from."
_SAVE = "Load it in transformers ({}=True) and save it with save_pretrained, or use a repository with safetensors."
OTHERS = (
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


def is_pickle(file: Path) -> bool:
    """Whether its name says that it is a pickle, of torch or another library."""
    return file.name.lower().endswith((*PICKLE_SUFFIXES, ".pth.tar", ".pt.tar", ".ckpt.tar"))  # no archives: timm's


def foreign_file(file: Path) -> ModelError | None:
    """The error for a single file that is named as those of other frameworks are; None where its name tells nothing."""
    if file.name in ADAPTERS:
        return adapter_error(file.parent)
    if shard := SHARD.search(file.name):
        return ModelError(f"{file} is one of {int(shard[1])} parts of its weights.", "Name its folder.")
    if file.suffix == ".json":
        return ModelError(f"{file} describes a checkpoint, and is none.", "Name its folder.")
    if is_training_state(file.name):
        return ModelError(f"{file} is the state of a training run, and no network.", "Name the weights of the network.")
    for pattern, kind, remedy in () if is_pickle(file) and not is_no_network(file.name) else OTHERS:
        if pattern.search(file.name.lower()):
            return ModelError(f"{file} is no weights file that is read here, but {kind}.", remedy)
    if file.suffix.lower() in picture_suffixes():
        return ModelError(
            f"{file} is a picture, and no checkpoint.", "Give it as an input, and a checkpoint as {model}."
        )
    return None


def adapter_error(folder: Path) -> ModelError:
    """The error for a folder that holds an adapter, whose config names its base, and no whole network."""
    described = read_checkpoint_json(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else {}
    base = described.get("base_model_name_or_path")
    kind = described.get("peft_type")
    what = f" ({kind})" if isinstance(kind, str) else ""
    of = f" of {base}" if isinstance(base, str) and base else ""
    return ModelError(
        f"{folder} holds an adapter{what}{of} without the network that it changes.",
        "Merge it into its base (`merge_and_unload` of PEFT), save the result, and name that.",
    )


def is_no_network(name: str) -> bool:
    """Whether a pickle of this name holds something else than a network."""
    return is_training_state(name) or name.startswith("openvino_") or name in ADAPTERS


def pickle_error(path: Path, name: str = "") -> ModelError:
    """The error for weights that only unpickling would read."""
    where = f"{path} holds its weights as a pickle" + (f" ({name})" if name else "")
    return ModelError(
        f"{where}, which can run any code when it is loaded and is never read.",
        "If you trust who made it, `vithybrid convert SRC DST {$trust_pickle}` makes a safe copy; or use a revision "
        "that has one.",
    )
