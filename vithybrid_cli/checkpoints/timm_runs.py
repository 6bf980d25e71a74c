"""What timm's training script writes beside the weights, as the ``config.json`` that timm would write. No torch.

The script (``train.py`` of timm 1.0, through ``timm.utils.CheckpointSaver``) saves ``arch``, the name of the network,
and ``args``, its options. How it prepared pictures it took from those options and, where they are silent, from the
network's own ``default_cfg``.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vithybrid_cli.checkpoints.layouts.timm import IMAGENET_STATISTICS

_log = logging.getLogger(__name__)

_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
# The ``_cfg`` of timm's vision_transformer.py, deit.py, beit.py and resnetv2.py, by how the names of networks begin.
_DEFAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("vit_", {**_HALF, "crop_pct": 0.9, "interpolation": "bicubic"}),
    ("deit", {**IMAGENET_STATISTICS, "crop_pct": 0.9, "interpolation": "bicubic"}),
    ("beit", {**_HALF, "crop_pct": 0.9, "interpolation": "bicubic"}),
    ("resnetv2_", {**_HALF, "crop_pct": 0.875, "interpolation": "bilinear"}),
)
_ARCHITECTURE = re.compile(r"[_\d]")  # without options the script saves the name of a class, such as resnet
_OPTIONS = ("mean", "std", "crop_pct", "interpolation")


def described_by_run(root: Mapping[str, Any], file: Path) -> dict[str, Any] | None:
    """A timm ``config.json`` for a file of its training script; None where the file names no network of timm.

    What is assumed of its preprocessing is logged.
    """
    options = _options(root)
    named = [name for name in (root.get("arch"), options.get("model"), options.get("arch")) if isinstance(name, str)]
    known = [(name, default) for name in named for begins, default in _DEFAULTS if name.startswith(begins)]
    if not known:
        others = [name for name in named if _ARCHITECTURE.search(name)]
        return {"architecture": others[0]} if others else None  # which the layout refuses by its name
    architecture, default = known[0]
    name = architecture.split(".")[0]
    given = {option: options[option] for option in _OPTIONS if options.get(option) is not None}
    size = _image_size(options, name)
    if assumed := [option for option in _OPTIONS if option not in given]:
        _log.info(
            f"{file} does not tell all of its preprocessing; timm's own for {name} is taken ({', '.join(assumed)})."
        )
    described = {**default, **given, "input_size": size}
    return {"architecture": architecture, "pretrained_cfg": described, **_pool(options)}


def _options(root: Mapping[str, Any]) -> Mapping[str, Any]:
    given = root.get("args")
    if isinstance(given, Mapping):
        return given
    return vars(given) if hasattr(given, "__dict__") else {}


def _image_size(options: Mapping[str, Any], name: str) -> list[int]:
    """``input_size``, else ``img_size``, else what the network's name ends with."""
    size = options.get("input_size")
    if isinstance(size, list | tuple) and len(size) == 3:
        return [int(side) for side in size]
    side = options.get("img_size")
    if not isinstance(side, int):
        last = name.rpartition("_")[2]
        side = int(last) if last.isdecimal() else 224
    return [3, side, side]


def _pool(options: Mapping[str, Any]) -> dict[str, Any]:
    """``gp``, the option that chooses what the head reads."""
    return {"global_pool": options["gp"]} if isinstance(options.get("gp"), str) else {}
