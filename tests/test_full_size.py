"""Every published network in its full size: written with random weights, read back, and run (`make test-full`)."""

from pathlib import Path

import pytest
import torch

from vithybrid_cli.bench.random_weights import write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.architectures import config_of, preprocessing_of
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.checkpoints.weights import tensor_shapes
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.catalog import Entry

pytestmark = [pytest.mark.full_size, pytest.mark.timeout(600)]

PUBLISHED = [entry for entry in catalog.ENTRIES if entry is not catalog.TINY]


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.alias)
def test_a_published_network_runs_in_its_full_size(entry: Entry, tmp_path: Path) -> None:
    config = config_of(entry)
    write_random(config, preprocessing_of(entry), tmp_path)
    checkpoint = Checkpoint.read(tmp_path)
    assert checkpoint.config == config
    stored = [tensor for file in checkpoint.weight_files() for tensor in tensor_shapes(file)]
    assert sum(tensor.elements for tensor in stored) == entry.parameters
    network = load_network(checkpoint)
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, *config.image_size, generator=torch.Generator().manual_seed(0)))
    assert logits.shape[1] == len(config.labels) or not config.labels
    assert logits.isfinite().all()
    assert logits.std() > 0
    (tmp_path / "model.safetensors").unlink()  # up to 1.3 GB, which pytest would keep
