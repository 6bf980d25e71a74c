"""What a benchmark measures with: pictures, random weights, and the machine's name."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from places import GOLDENS

from vithybrid_cli.bench.machine import processor
from vithybrid_cli.bench.material import prepared
from vithybrid_cli.bench.pictures import SIZE, make_pictures
from vithybrid_cli.bench.random_weights import described, write_random
from vithybrid_cli.bench.turns import Log
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.architectures import config_of
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub import catalog
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig, VitConfig

GOLDEN = GOLDENS / "hf-hybrid-small"
SILENT = Log(lambda text: None, lambda text: None)


def test_pictures_are_made_the_same_each_time_and_are_as_large_as_photographs(tmp_path: Path) -> None:
    once, again = (make_pictures(tmp_path / name, 5) for name in ("once", "again"))
    contents = [Path(path).read_bytes() for path in once]
    assert contents == [Path(path).read_bytes() for path in again]
    assert len(set(contents)) == 5
    assert all(80_000 < len(content) < 140_000 for content in contents)
    assert [decode(path).size for path in once] == [SIZE, SIZE, SIZE, SIZE[::-1], SIZE]


def test_inputs_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    good = make_pictures(tmp_path / "pictures", 2)
    (tmp_path / "pictures" / "0.jpg").write_bytes(b"")
    complaints: list[str] = []
    log = Log(lambda text: None, complaints.append)
    with prepared("small", GOLDEN, [str(tmp_path / "pictures")], None, log) as material:
        assert material.pictures == tuple(good)
        assert (material.unreadable, material.own_pictures, material.name) == (True, False, "small")
    assert [complaint.partition(": ")[0] for complaint in complaints] == [
        f"{tmp_path / 'pictures' / '0.jpg'} is left out"
    ]


def test_no_more_inputs_are_read_than_are_asked_for(tmp_path: Path) -> None:
    paths = make_pictures(tmp_path / "pictures", 3)
    with prepared("small", GOLDEN, paths, 2, SILENT) as material:
        assert material.pictures == tuple(paths[:2])


def test_the_lists_hold_all_pictures_and_the_first(tmp_path: Path) -> None:
    with prepared("small", GOLDEN, [], 1, SILENT) as material:
        named = replace(material, pictures=("a b.jpg", "line\nbreak.jpg"))
        assert named.every.read_bytes() == b"a b.jpg\0line\nbreak.jpg\0"
        assert named.first.read_bytes() == b"a b.jpg\0"
        assert material.pixels.shape[1:] == (*material.checkpoint.config.image_size, 3)


def test_random_weights_and_what_engines_make_of_them_are_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITHYBRID_CACHE", "/the/users/own")
    with prepared("tiny", None, [], 1, SILENT) as material:
        assert Checkpoint.read(material.model).weight_files()
        assert Path(os.environ["VITHYBRID_CACHE"]).is_relative_to(material.scratch)
        assert material.name == "tiny with random weights"
    assert os.environ["VITHYBRID_CACHE"] == "/the/users/own"
    assert not material.scratch.exists()


def test_the_network_without_its_download_has_the_published_size() -> None:
    config, preprocessing = described("base-384")
    with torch.device("meta"):
        network = build(config)
    assert config == config_of(catalog.BASE_384)
    assert sum(parameter.numel() for parameter in network.parameters()) == catalog.BASE_384.parameters
    assert (config.image_size, preprocessing.output_size) == ((384, 384), (384, 384))


def test_a_folder_needs_no_weights_to_get_random_ones(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_bytes((GOLDEN / "config.json").read_bytes())
    config, preprocessing = described(str(tmp_path / "bare"))
    write_random(config, preprocessing, tmp_path / "made")
    folder = Checkpoint.read(tmp_path / "made")
    logits = load_network(folder)(torch.rand(2, 3, *config.image_size))
    assert folder.preprocessing == preprocessing == Preprocessing.default(config.image_size)
    assert logits.isfinite().all()
    assert logits.std() > 0.01


@pytest.mark.parametrize("name", ["r26-s32-384", "timm/vit_small_r26_s32_384.augreg_in21k_ft_in1k"])
def test_each_model_of_the_catalog_is_known_without_its_download(name: str) -> None:
    config, preprocessing = described(name)
    assert isinstance(config, VitConfig)
    assert config.backbone is not None
    assert (config.image_size, config.backbone.depths) == ((384, 384), (2, 2, 2, 2))
    assert (preprocessing.output_size, preprocessing.image_mean) == ((384, 384), (0.5, 0.5, 0.5))


def smaller(config: NetworkConfig) -> NetworkConfig:
    """A network of the same parts, with one block in each stage and two narrow layers."""
    backbone = config.backbone
    if backbone is not None:
        widths, depths = (32, 64, 64, 64)[: len(backbone.depths)], (1, 1, 1, 1)[: len(backbone.depths)]
        backbone = replace(backbone, embedding_size=16, num_groups=4, hidden_sizes=widths, depths=depths)
    if isinstance(config, BitClassifierConfig):
        assert backbone is not None
        return replace(config, backbone=backbone, labels=config.labels[:8])
    encoder = replace(config.encoder, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    return replace(config, encoder=encoder, backbone=backbone, labels=config.labels[:8])


@pytest.mark.parametrize(
    ("alias", "outputs"),
    [
        pytest.param("r-ti16-224", 8, id="hybrid with a stem alone"),
        pytest.param("r26-s32-224", 8, id="hybrid of four stages"),
        pytest.param("vit-base-224", 8, id="vit"),
        pytest.param("deit-base-distilled", 8, id="distilled deit"),
        pytest.param("dino-vits16", 32, id="dino without a head"),
        pytest.param("beit-base", 8, id="beit"),
        pytest.param("bit-50", 8, id="bit"),
    ],
)
def test_each_family_with_random_weights_is_read_back(alias: str, outputs: int, tmp_path: Path) -> None:
    full, preprocessing = described(alias)
    config = smaller(full)
    write_random(config, preprocessing, tmp_path)
    folder = Checkpoint.read(tmp_path)
    assert (folder.config, folder.preprocessing) == (config, preprocessing)
    logits = load_network(folder)(torch.rand(2, 3, *config.image_size))
    assert logits.shape == (2, outputs)
    assert logits.isfinite().all()
    assert logits.std() > 0.01


def test_a_network_without_a_head_is_not_measured() -> None:
    with pytest.raises(UsageError, match="dino-vits16 has no head"), prepared("dino-vits16", None, [], 1, SILENT):
        pytest.fail("it was prepared")


def test_the_architecture_of_another_model_of_the_hub_is_not_known() -> None:
    with pytest.raises(UsageError, match=r"The architecture of somebody/some-model is not known without a download"):
        described("somebody/some-model")


def test_the_processor_is_named_with_its_family_and_model(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nmodel name\t: other\n")
    assert processor(cpuinfo) == "AMD EPYC (cpu family 25, model 17)"
    assert processor(tmp_path / "nothing")
