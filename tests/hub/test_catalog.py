"""The catalog's rows are complete, can be told apart, and agree with the model that is shipped."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vithybrid_cli
from vithybrid_cli.hub import catalog

TINY = Path(vithybrid_cli.__file__).parent / "builtin" / "tiny"
every_entry = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.alias) for entry in catalog.ENTRIES])


def test_names_are_unique() -> None:
    names = [name for entry in catalog.ENTRIES for name in (entry.alias, entry.hub_id) if name]
    assert sorted(set(names)) == sorted(names)


@every_entry
def test_a_row_is_found_by_alias_and_by_hub_id(entry: catalog.Entry) -> None:
    assert catalog.resolve(entry.alias) is entry
    assert catalog.resolve(entry.name) is entry


@pytest.mark.parametrize("name", ["", "Tiny", "./tiny", "google", "vit-hybrid-base-bit-384"])
def test_other_names_are_not_in_the_catalog(name: str) -> None:
    assert catalog.resolve(name) is None


def test_the_default_is_in_the_catalog_with_its_sha256() -> None:
    entry = catalog.resolve(catalog.DEFAULT_MODEL)
    assert entry is not None
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256 or "")


@every_entry
def test_an_alias_cannot_be_taken_for_a_hub_id(entry: catalog.Entry) -> None:
    assert "/" not in entry.alias
    assert entry.hub_id is None or entry.hub_id.count("/") == 1


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.alias) for entry in catalog.ENTRIES if entry.hub_id])
def test_the_size_is_that_of_the_parameters_in_float32(entry: catalog.Entry) -> None:
    left_out = {"beit-base-pt22k": 6_300_000}.get(entry.alias, 0)  # the head of masked pre-training
    assert entry.size_bytes == pytest.approx(4 * (entry.parameters + left_out), abs=500_000)


@pytest.mark.parametrize("family", [pytest.param(family, id=family) for family in catalog.CatalogFamily])
def test_the_rows_of_a_family_are_together(family: catalog.CatalogFamily) -> None:
    places = [place for place, entry in enumerate(catalog.ENTRIES) if entry.family is family]
    assert places == list(range(places[0], places[0] + len(places)))


@pytest.mark.parametrize(
    ("name", "hub_id", "architecture"),
    [
        pytest.param(
            "r26-s32-384",
            "timm/vit_small_r26_s32_384.augreg_in21k_ft_in1k",
            "vit_small_r26_s32_384",
            id="from timm",
        ),
        pytest.param("deit-small", "facebook/deit-small-patch16-224", "deit_small_patch16_224", id="from transformers"),
    ],
)
def test_the_architecture_is_in_the_name_on_the_hub(name: str, hub_id: str, architecture: str) -> None:
    entry = catalog.resolve(name)
    assert entry is not None
    assert (entry.hub_id, entry.architecture) == (hub_id, architecture)


@every_entry
def test_accuracies_are_percentages_and_the_right_label_is_more_often_among_five_than_first(
    entry: catalog.Entry,
) -> None:
    assert (entry.top1 is None) == (entry.measured_with is None)
    assert (entry.top1 is None or len(entry.labels) > 0) == (entry.top5 is None)  # two labels are always among five
    if entry.top1 is not None:
        assert 50 < entry.top1 < (entry.top5 or 100) <= 100


def test_what_has_no_labels_has_no_accuracy_and_a_fine_tune_names_its_own() -> None:
    for entry in catalog.ENTRIES:
        if entry.task is catalog.Task.FEATURES:
            assert (entry.top1, entry.labels) == (None, ())
        assert (entry.task in (catalog.Task.NSFW, catalog.Task.AGE)) == (len(entry.labels) > 1)


def test_a_task_is_the_alias_of_the_model_that_most_people_take_for_it() -> None:
    for alias, hub_id in (("nsfw", "Falconsai/nsfw_image_detection"), ("age", "nateraw/vit-age-classifier")):
        entry = catalog.resolve(alias)
        assert entry is not None
        assert (entry.hub_id, entry.task) == (hub_id, alias)


def test_an_accuracy_that_was_measured_with_another_preprocessing_says_so() -> None:
    otherwise = {entry.alias for entry in catalog.ENTRIES if entry.measured_otherwise}
    assert {"vit-base-224", "deit-tiny", "deit-base-distilled", "beit-base"} <= otherwise
    assert not {"tiny", "base-384", "augreg-base-224", "bit-50", "nsfw", "dino-vits8"} & otherwise


def test_a_pull_request_is_fetched_by_its_commit_where_that_is_known_to_the_last_digit() -> None:
    pinned = [entry for entry in catalog.ENTRIES if entry.revision not in (None, "main")]
    assert len(pinned) == 10
    for entry in pinned:
        assert entry.revision is not None
        if re.fullmatch("[0-9a-f]{40}", entry.commit or ""):
            assert entry.revision == entry.commit
        else:
            assert re.fullmatch(r"refs/pr/\d+", entry.revision)


def test_an_accuracy_on_other_pictures_is_not_compared() -> None:
    assert catalog.TINY.comparable_top1 is None
    assert catalog.BASE_384.comparable_top1 == catalog.BASE_384.top1 == 84.99


def test_r26_at_384_is_nearly_as_good_as_the_default_with_a_sixth_of_the_work() -> None:
    entry = catalog.resolve("r26-s32-384")
    assert entry is not None
    assert entry.description == "a sixth of base-384's work"
    assert entry.gmacs is not None
    assert catalog.BASE_384.gmacs is not None
    assert 6 < catalog.BASE_384.gmacs / entry.gmacs < 7
    assert entry.top1 == 84.07


def test_the_row_of_the_built_in_model_agrees_with_its_files() -> None:
    weights = (TINY / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    header.pop("__metadata__", None)
    parameters = sum(math.prod(tensor["shape"]) for tensor in header.values())
    size = sum(path.stat().st_size for path in TINY.iterdir())
    image_size = json.loads((TINY / "config.json").read_text("utf-8"))["image_size"]
    shown = f"{catalog.TINY.parameters / 1e6:.1f} M, {catalog.TINY.size_bytes / 1e6:.0f} MB, {catalog.TINY.image_size}"
    assert shown == f"{parameters / 1e6:.1f} M, {size / 1e6:.0f} MB, {image_size}"


def test_the_built_in_model_labels_85_percent_of_its_test_pictures() -> None:
    assert catalog.TINY.top1 is not None
    assert catalog.TINY.top1 >= 85


def test_the_catalog_imports_neither_torch_nor_the_hub_client() -> None:
    code = (
        "import sys, vithybrid_cli.hub.catalog; "
        "print([name for name in ('torch', 'huggingface_hub') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
