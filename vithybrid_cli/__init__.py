"""Label pictures with a Hybrid Vision Transformer, or take their features.

``Classifier`` and ``Embedder`` in Python, ``vithybrid`` on the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vithybrid_cli.errors import (
        DamagedArchive,
        DecoderCrashed,
        DecodeTimeout,
        FetchFailed,
        FileTooLarge,
        ImageError,
        ImageTooLarge,
        MissingFile,
        ModelError,
        NonFiniteLogits,
        NotAFile,
        PermissionDenied,
        RawPhoto,
        UnreadableImage,
        UnreadableMember,
        UsageError,
        VitHybridError,
        WorkerCrashed,
    )
    from vithybrid_cli.pipeline.classifier import Classifier
    from vithybrid_cli.pipeline.embedder import Embedder
    from vithybrid_cli.pipeline.pretrained import load_network
    from vithybrid_cli.results import Answer, EmbeddingResult, ImageResult, Prediction
    from vithybrid_cli.sources.inputs import find_pictures

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Classifier",
    "DamagedArchive",
    "DecodeTimeout",
    "DecoderCrashed",
    "Embedder",
    "EmbeddingResult",
    "FetchFailed",
    "FileTooLarge",
    "ImageError",
    "ImageResult",
    "ImageTooLarge",
    "MissingFile",
    "ModelError",
    "NonFiniteLogits",
    "NotAFile",
    "PermissionDenied",
    "Prediction",
    "RawPhoto",
    "UnreadableImage",
    "UnreadableMember",
    "UsageError",
    "VitHybridError",
    "WorkerCrashed",
    "__version__",
    "find_pictures",
    "load_network",
]

# Modules of those names that are not errors. All are imported on first use: `vithybrid --help` must not pay for torch.
_MODULES = {
    "Answer": "results",
    "Classifier": "pipeline.classifier",
    "Embedder": "pipeline.embedder",
    "EmbeddingResult": "results",
    "ImageResult": "results",
    "Prediction": "results",
    "find_pictures": "sources.inputs",
    "load_network": "pipeline.pretrained",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
