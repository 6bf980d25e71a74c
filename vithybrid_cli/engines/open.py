"""Chooses and opens the engine that a user asked for."""

from typing import Literal, cast

from vithybrid_cli.checkpoints.folder import CheckpointFolder
from vithybrid_cli.engines import Engine
from vithybrid_cli.errors import UsageError

ENGINES = ("auto", "torch")
ATTENTIONS = ("sdpa", "eager")
DTYPES = ("float32", "float16", "bfloat16")


def open_engine(folder: CheckpointFolder, *, engine: str, device: str, dtype: str, attention: str) -> Engine:
    """Load the network of ``folder`` into an engine. Raises UsageError for names that are not known or not there."""
    _require("engine", engine, ENGINES)
    _require("dtype", dtype, DTYPES)
    _require("attention", attention, ATTENTIONS)
    from vithybrid_cli.checkpoints.load import load_network
    from vithybrid_cli.engines.several import SeveralEngines
    from vithybrid_cli.engines.torch_devices import choose_devices, torch_dtype
    from vithybrid_cli.engines.torch_engine import TorchEngine

    normalization = folder.preprocessing.normalization
    engines = [
        TorchEngine(
            load_network(folder, cast(Literal["sdpa", "eager"], attention)), normalization, chosen, torch_dtype(dtype)
        )
        for chosen in choose_devices(device)
    ]
    return engines[0] if len(engines) == 1 else SeveralEngines(engines)


def _require(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} {value!r} is not known. Known: {', '.join(known)}.")
