"""What several test files share: the reference checkpoints, and the built-in model."""

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "data" / "golden"
HYBRIDS = ("hf-hybrid-small", "hf-hybrid-patch2-odd")


@pytest.fixture(params=HYBRIDS)
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of a reference checkpoint, with the activations that transformers computed."""
    folder = GOLDEN / str(request.param)
    assert (folder / "activations.safetensors").is_file(), f"{folder} lacks its activations"
    return folder
