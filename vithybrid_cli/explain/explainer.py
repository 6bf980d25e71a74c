"""Opens what explains the labels of a network, by the method that a user asked for."""

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from vithybrid_cli.choices import EngineKind, Method
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.explain.heatmap import HeatMap
from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig, VitConfig
from vithybrid_cli.settings import Running

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.engines import Engine
    from vithybrid_cli.explain.differentiable import Differentiable, Mapped

_OF_ATTENTION = (Method.ATTENTION, Method.ATTENTION_BACKBONE)


class _Maps(Protocol):
    def __call__(self, pixels: npt.NDArray[np.uint8], target: Target) -> "Mapped": ...


class Explainer:
    """A network with a method that shows which parts of a picture speak for a label. Get one from `open_explainer`."""

    def __init__(self, checkpoint: "Checkpoint", method: Method, maps: _Maps) -> None:
        self.method = method
        self.labels = checkpoint.config.labels
        self.input_size = checkpoint.config.image_size
        """Height and width of the pictures that it takes."""
        self._maps = maps

    def explain(
        self, pixels: npt.NDArray[np.uint8], index: int | None = None, against: int | None = None
    ) -> tuple[HeatMap, npt.NDArray[np.float32]]:
        """uint8 pixels [H, W, 3], preprocessed as for the network's engine, → their map, and the logits float32 [C].

        ``index`` is the label to explain, None the best one. With ``against``, the index of another label, the map
        shows what speaks for the one rather than for the other. The logits may differ from an engine's in the last
        digits. Raises UsageError for pixels of another shape, an index that there is not, and a label against itself;
        NonFiniteLogits when the outputs are not finite.
        """
        if pixels.shape != (*self.input_size, 3) or pixels.dtype != np.uint8:
            height, width = self.input_size
            raise UsageError(
                f"The pixels are {pixels.dtype} of shape {list(pixels.shape)}.",
                f"Give uint8 of shape [{height}, {width}, 3], as preprocessing makes them.",
            )
        target = Target(index, against)
        target.require_among(len(self.labels))
        values, logits = self._maps(pixels, target)
        return HeatMap(values, self.method, signed=self.method is Method.OCCLUSION), logits


def open_explainer(checkpoint: "Checkpoint", how: Running, method: Method = Method.AUTO) -> Explainer:
    """Load the network of ``checkpoint`` for a ``method``; ``auto`` becomes the best for its family and engine.

    Methods but occlusion compute gradients, with torch. Raises ModelError for a network without a head, or whose
    weights cannot be loaded; UsageError for a method that this network or engine does not have, and as `open_engine`
    does.
    """
    from vithybrid_cli.explain.differentiable import Differentiable  # imports torch

    _require_labels(checkpoint, how)
    resolved = resolve(method, checkpoint.config, how.engine)
    if resolved is Method.OCCLUSION:
        return Explainer(checkpoint, resolved, _by_covering(_engine(checkpoint, how)))
    return Explainer(checkpoint, resolved, _by_gradients(Differentiable(checkpoint, how), resolved))


def _require_labels(checkpoint: "Checkpoint", how: Running) -> None:
    if not checkpoint.config.labels:
        raise ModelError(
            f"{how.model} has no head that is read here, so it gives no labels to explain.",
            "Use a checkpoint with a classifier.",
        )


def open_explainers(checkpoint: "Checkpoint", how: Running, engine: "Engine") -> tuple[Explainer, ...]:
    """One for each method that the network can have, the best for its family first; ``engine`` runs occlusion.

    The methods that need gradients share one network. Where OpenVINO is asked for, there is none of these. Raises as
    `open_explainer` does.
    """
    from vithybrid_cli.explain.differentiable import Differentiable  # imports torch

    _require_labels(checkpoint, how)
    possible = sorted(
        possible_methods(checkpoint.config, how.engine), key=resolve(Method.AUTO, checkpoint.config).__ne__
    )
    needs_gradients = any(method is not Method.OCCLUSION for method in possible)
    network = Differentiable(checkpoint, how) if needs_gradients else None
    return tuple(
        Explainer(
            checkpoint,
            method,
            _by_covering(engine) if network is None or method is Method.OCCLUSION else _by_gradients(network, method),
        )
        for method in possible
    )


def possible_methods(config: NetworkConfig, engine: str = EngineKind.AUTO) -> list[Method]:
    """The methods that a network can have on this engine, but for ``auto``."""
    found = []
    for method in Method:
        with suppress(UsageError):
            found.append(resolve(method, config, engine))
    return list(dict.fromkeys(found))


def resolve(method: Method, config: NetworkConfig, engine: str = EngineKind.AUTO) -> Method:
    """What ``auto`` is for a network that this engine runs. Raises UsageError for a method that cannot be."""
    if method is Method.AUTO:
        return Method.OCCLUSION if engine == EngineKind.OPENVINO else best_method(config)
    if method is not Method.OCCLUSION and engine == EngineKind.OPENVINO:
        raise UsageError(
            f"The method {method} needs gradients, which OpenVINO does not compute.",
            "Give {engine=torch}, or {method=occlusion}.",
        )
    if method in _OF_ATTENTION and isinstance(config, BitClassifierConfig):
        raise UsageError(
            f"A BiT has no attention, which the method {method} reads.",
            "Give {method=grad-cam} or {method=occlusion}.",
        )
    if method is Method.ATTENTION_BACKBONE and not _is_hybrid(config):
        raise UsageError(
            f"The method {method} reads the backbone of a hybrid, which this network has not.",
            "Give {method=attention}.",
        )
    return method


def best_method(config: NetworkConfig) -> Method:
    """What measures best for the family of a network among what costs no more than three forward passes.

    The figures are in docs/explain.md. Occlusion measures better, and takes two hundred.
    """
    if isinstance(config, BitClassifierConfig):
        return Method.GRAD_CAM
    return Method.ATTENTION_BACKBONE if _is_hybrid(config) else Method.ATTENTION


def _is_hybrid(config: NetworkConfig) -> bool:
    return isinstance(config, VitConfig) and config.backbone is not None


def _by_gradients(network: "Differentiable", method: Method) -> _Maps:
    from vithybrid_cli.explain.differentiable import computation

    compute = computation(method)

    def maps(pixels: npt.NDArray[np.uint8], target: Target) -> "Mapped":
        return network.mapped(compute, pixels, target)

    return maps


def _by_covering(engine: "Engine") -> _Maps:
    from vithybrid_cli.explain.occlusion import occlusion

    def maps(pixels: npt.NDArray[np.uint8], target: Target) -> "Mapped":
        return occlusion(engine, pixels, target)

    return maps


def _engine(checkpoint: "Checkpoint", how: Running) -> "Engine":
    from vithybrid_cli.engines.open import open_engine

    return open_engine(
        checkpoint,
        engine=how.engine,
        device=how.device,
        dtype=how.dtype,
        attention=how.attention,
        compiled=how.compile,
        batch_size=how.batch_size,
        threads=how.threads,
    )
