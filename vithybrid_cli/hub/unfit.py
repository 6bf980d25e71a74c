"""What a repository of the hub is that has no model which can be fetched, and what to do with it."""

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.conversions import NoConversion
from vithybrid_cli.hub.files import ADAPTER_CONFIG, CONFIG, WEIGHTS, is_training_state
from vithybrid_cli.hub.listing import HubModel, Listing
from vithybrid_cli.hub.pickles import pickles_in

# Files of other programs by their endings, and whose they are.
_FOREIGN = (
    (".h5", "TensorFlow"),
    (".keras", "Keras"),
    (".msgpack", "Flax"),
    (".onnx", "ONNX"),
    (".gguf", "llama.cpp"),
    (".tflite", "TensorFlow Lite"),
    (".mlpackage/Manifest.json", "Core ML"),
)


def no_config(model: HubModel, listing: Listing) -> ModelError:
    """The error for a model that does not say what network it is; a file of Google's does so by itself."""
    from huggingface_hub import constants

    names = sorted(listing.files)
    if ADAPTER_CONFIG in names:
        return ModelError(
            f"{model.repo_id} is an adapter, without the model that it changes.",
            "Merge both with peft (`merge_and_unload`), save that as a folder, and name the folder.",
        )
    if "model_index.json" in names:
        return ModelError(f"{model.repo_id} is a pipeline of diffusers.", "Name a model that labels pictures.")
    below = next((name for name in names if name.endswith(f"/{CONFIG}")), None)
    if below is not None:
        return ModelError(
            f"{model.repo_id} has no {CONFIG}, but {below}.", "Fetch that folder, and name it as the model."
        )
    arrays = next((name for name in names if name.endswith(".npz")), None)
    if arrays is not None:
        address = f"{constants.ENDPOINT}/{model.repo_id}/resolve/{model.revision}/{arrays}"
        return ModelError(
            f"{model.repo_id} has no {CONFIG}, but weights at {address}.", "Fetch that file, and name it as the model."
        )
    return ModelError(f"{model.repo_id} has no {CONFIG}.", "Choose a ViT of transformers or timm that has one.")


def no_safetensors(model: HubModel, listing: Listing, why: NoConversion) -> ModelError:
    """The error for a model without weights that may be fetched, and ``why`` no conversion of them is taken."""
    if pickles := [name for name in pickles_in(listing.files) if not is_training_state(name.rpartition("/")[2])]:
        reason = f"; {why.reason}" if why.reason else ""
        older = "" if why.outdated is None else f"Give {{revision=refs/pr/{why.outdated}}} to take that state. "
        return ModelError(
            f"{model.repo_id} has its weights only as a pickle ({pickles[0]}), which can run any code when it is "
            f"loaded{reason}.",
            f"{older}Run `vithybrid convert {model.repo_id} FOLDER {{$trust_pickle}}` if you trust its owner, or have "
            "it converted at https://huggingface.co/spaces/safetensors/convert.",
        )
    names = sorted(listing.files)
    if other := next((name for name in names if name.endswith(".safetensors") and "/" not in name), None):
        return ModelError(
            f"{model.repo_id} has no {WEIGHTS}, but {other}.",
            f"Fetch that as {WEIGHTS} into a folder with its {CONFIG}, and name the folder.",
        )
    for ending, whose in _FOREIGN:
        if found := next((name for name in names if name.endswith(ending)), None):
            return ModelError(
                f"{model.repo_id} has no {WEIGHTS}; its weights are those of {whose} ({found}).",
                "Choose a model that has, see `vithybrid models`.",
            )
    return ModelError(f"{model.repo_id} has no {WEIGHTS}.", "Choose a model that has, see `vithybrid models`.")
