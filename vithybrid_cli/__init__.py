"""Label pictures with a Hybrid Vision Transformer, or take their features.

``Classifier`` and ``Embedder`` in Python, ``vithybrid`` on the command line.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vithybrid_cli.pipeline.classifier import Classifier
    from vithybrid_cli.pipeline.embedder import Embedder

__version__ = "0.1.0"
__all__ = ["Classifier", "Embedder", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Classifier":  # imported on first use: ``vithybrid --help`` must not pay for torch
        from vithybrid_cli.pipeline.classifier import Classifier

        return Classifier
    if name == "Embedder":
        from vithybrid_cli.pipeline.embedder import Embedder

        return Embedder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
