"""The network of a published checkpoint, for those who go on with it in torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import AttentionKind
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.hub.locate import locate

if TYPE_CHECKING:
    from vithybrid_cli.model.build import Network
    from vithybrid_cli.model.vit import AttentionImplementation


def load_network(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    revision: str | None = None,
    offline: bool = False,
    attention: str = "sdpa",
    image_size: int | None = None,
    head: bool = True,
) -> Network:
    """The torch module of a checkpoint, by catalog alias, hub id, or path: normalised pixels [N, 3, H, W] → logits.

    It is float32, on the CPU, in evaluation mode and without gradients; weight standardisation is folded into the
    convolutions. Without its ``head`` it gives the features that the head reads. `Classifier.preprocess` makes its
    pixels. Raises ModelError when the model cannot be found, fetched or loaded, UsageError for an unknown
    ``attention`` and an ``image_size`` that the network cannot take.
    """
    if attention not in list(AttentionKind):
        raise UsageError(f"There is no attention {attention!r}.", f"Give one of {', '.join(AttentionKind)}.")
    from vithybrid_cli.checkpoints import load

    checkpoint = Checkpoint.read(locate(model, revision=revision, offline=offline), image_size)
    return load.load_network(checkpoint, cast("AttentionImplementation", attention), head=head)
