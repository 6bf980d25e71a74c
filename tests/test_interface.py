"""What is imported from the top: all that the Python interface promises, and nothing heavy before it is used."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from places import GOLDENS
from safetensors.torch import load_file

import vithybrid_cli
from vithybrid_cli import Classifier, UsageError, errors, load_network


@pytest.mark.parametrize("name", vithybrid_cli.__all__)
def test_every_promised_name_is_there_and_listed(name: str) -> None:
    assert getattr(vithybrid_cli, name) is not None
    assert name in dir(vithybrid_cli)


def test_all_errors_that_a_user_can_meet_are_promised() -> None:
    kinds = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert kinds <= set(vithybrid_cli.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Labeller'"):
        vithybrid_cli.Labeller  # noqa: B018 (what is tested)


def test_the_top_imports_neither_torch_nor_numpy_until_a_name_needs_them() -> None:
    script = (
        "import sys, vithybrid_cli\n"
        "from vithybrid_cli import ImageError, ImageResult, Prediction, UsageError\n"
        "print({'torch', 'numpy', 'PIL'} & sys.modules.keys())\n"
        "from vithybrid_cli import Classifier, Embedder, load_network\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set()", "False"]


def test_a_network_by_name_is_the_one_that_labels_pictures() -> None:
    pixels = load_file(GOLDENS / "hf-vit" / "activations.safetensors")["pixel_values"]
    network = load_network(GOLDENS / "hf-vit")
    with torch.inference_mode():
        logits = network(pixels).numpy()
    expected = Classifier.from_pretrained(GOLDENS / "hf-vit", engine="torch", device="cpu").logits(pixels)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_an_unknown_attention_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no attention 'flash'"):
        load_network(GOLDENS / "hf-vit", attention="flash")
