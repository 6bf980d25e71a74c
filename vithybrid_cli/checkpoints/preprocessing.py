"""How pictures are prepared for a network in transformers' layout, and whether that fits it."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vithybrid_cli.checkpoints.layouts.transformers import processor_of
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import PREPROCESSOR_CONFIG
from vithybrid_cli.images.limits import MAX_RESIZED_PIXELS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig

_log = logging.getLogger(__name__)

_HYBRID = "ViTHybridImageProcessor"


def read_preprocessing(
    path: Path,
    config: Mapping[str, Any],
    preprocessor: Mapping[str, Any] | None,
    network: NetworkConfig,
    *,
    trained: bool = True,
) -> Preprocessing:
    """What the ``preprocessor`` config of the checkpoint at ``path`` asks for, beside the ``config`` of its network.

    Without one it is what the family's class in transformers does by default, which a line says if the network is
    ``trained``; transformers itself refuses such a checkpoint. Raises ModelError for options that are wrong or not done
    here.
    """
    named = config.get("image_processor_type")  # where ``AutoImageProcessor`` looks next
    processor = named if isinstance(named, str) else processor_of(config)
    if preprocessor is not None:
        return Preprocessing.from_dict(preprocessor, processor)
    fixed = None if isinstance(network, BitClassifierConfig) else network.image_size
    preprocessing = Preprocessing.default_of(processor, fixed)
    if trained:
        prepared = _in_words(processor, preprocessing)
        _log.warning(f"{path} has no {PREPROCESSOR_CONFIG}: pictures are prepared {prepared}.")
    return preprocessing


def _in_words(processor: str, preprocessing: Preprocessing) -> str:
    """How the pictures are prepared where no file says it."""
    whose = f"as {processor} of transformers does by default"
    if processor == _HYBRID:
        whose = "as the published hybrids' are"
    elif preprocessing != Preprocessing.from_dict({}, processor):
        whose += ", brought to the size that the network takes"
    height, width = preprocessing.crop_size
    mean = ", ".join(f"{value:g}" for value in dict.fromkeys(preprocessing.image_mean))
    return f"{whose} ({width}×{height} pixels, mean {mean})"


def fitted(
    path: Path, network: NetworkConfig, preprocessing: Preprocessing
) -> tuple[NetworkConfig, tuple[int, int] | None]:
    """The network for pictures as they are made and, where that is another size, the one that its weights are for.

    A BiT takes pictures of any size. So does a BEiT: alone of the ViTs it interpolates its positions unasked, so that
    transformers' ``Trainer`` gets along with a ``config.json`` that has another size. A line says that this is done.
    """
    made, stored = preprocessing.output_size, network.image_size
    if made is None or made == stored:
        return network, None
    if isinstance(network, BitClassifierConfig):
        return replace(network, image_size=made), None
    if network.family != "beit" or min(made) < network.least_size:
        return network, None
    _log.warning(
        f"{path} was made for {stored[1]}×{stored[0]} pixels, but its {PREPROCESSOR_CONFIG} makes "
        f"{made[1]}×{made[0]}: positions are interpolated, as in transformers."
    )
    return replace(network, image_size=made), stored


def require_fit(path: Path, image_size: tuple[int, int], preprocessing: Preprocessing) -> None:
    """Raise ModelError where no picture, whatever its size, can come out at the (height, width) of the network.

    Where the size depends on the picture, one line says which pictures fit.
    """
    (height, width), made = image_size, preprocessing.output_size
    if preprocessing.resized_pixels > MAX_RESIZED_PIXELS:
        raise ModelError(
            f"The {PREPROCESSOR_CONFIG} of {path} resizes pictures to more pixels than fit into memory.",
            "Correct the sizes in that file.",
        )
    if made is None:
        _log.warning(
            f"The {PREPROCESSOR_CONFIG} of {path} brings pictures to no fixed size, so only those that come out at "
            f"{width}×{height} pixels can be used."
        )
    elif made != image_size:
        smaller = f", or run it with {{image_size={width}}}" if width == height else ""
        raise ModelError(
            f"The model takes {width}×{height} pixels, but its {PREPROCESSOR_CONFIG} makes {made[1]}×{made[0]}.",
            f"Write the sizes that it takes into that file{smaller}.",
        )
