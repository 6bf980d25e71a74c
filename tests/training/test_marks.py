"""Pictures that were changed under their names are found when a run is resumed, and those that only moved are not."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_trainings import CPU, PLAIN_RECIPE, pictures, resumed, start, train

from vithybrid_cli.errors import UsageError
from vithybrid_cli.training.data import read_labelled
from vithybrid_cli.training.marks import Marks, changes
from vithybrid_cli.training.run import TrainingRun
from vithybrid_cli.training.state import STATE


def changed_in_place(file: Path) -> None:
    """Another picture under the same name, of the same size and time."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("which", ["train", "held"], ids=["to train on", "to choose by"])
def test_a_run_whose_pictures_were_changed_in_their_places_is_not_continued(tmp_path: Path, which: str) -> None:
    data, held_out = pictures(tmp_path / "train"), pictures(tmp_path / "held", 3)
    out = train(data, tmp_path / "out", held_out=held_out, epochs=1)
    file = tmp_path / which / "red" / "1.png"
    content = file.read_bytes()
    changed_in_place(file)
    with pytest.raises(UsageError) as caught:
        resumed(data, out, held_out=held_out)
    assert str(caught.value) == (
        f"The pictures are not those that the run in {out} began with: 1 picture was changed ({file}). Put them back "
        "as they were, or train on from the weights of that run (model) in another output."
    )
    file.write_bytes(content)
    assert resumed(data, out, held_out=held_out).epochs_done == 2


def test_pictures_that_were_changed_before_the_run_was_resumed_are_found_later_too(tmp_path: Path) -> None:
    data, recipe = pictures(tmp_path / "train"), replace(PLAIN_RECIPE, epochs=3)
    out = train(data, tmp_path / "out", recipe, epochs=1)
    run = TrainingRun(start(), data, recipe, out, device=CPU)
    run.resume()
    changed_in_place(tmp_path / "train" / "red" / "1.png")
    steps = run.steps()
    assert next(step for step in steps if step.epoch == 2)
    steps.close()
    with pytest.raises(UsageError, match="1 picture was changed"):
        resumed(data, out, recipe)


def test_pictures_that_only_lie_elsewhere_or_have_another_time_are_the_same(tmp_path: Path) -> None:
    out = train(pictures(tmp_path / "train"), tmp_path / "out", epochs=1)
    data = pictures(tmp_path / "copied")
    for item in data.items:
        os.utime(item.name, (1, 1))
    assert resumed(data, out).epochs_done == 2


def test_pictures_that_were_packed_are_the_same(tmp_path: Path) -> None:
    data, packed = pictures(tmp_path / "train"), tmp_path / "packed.zip"
    out = train(data, tmp_path / "out", epochs=1)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in data.items:  # in the order of the run, which is another one else
            archive.write(item.name, Path(item.name).relative_to(tmp_path / "train"))
    assert resumed(read_labelled(packed), out).epochs_done == 2


def test_what_cannot_be_read_then_or_now_is_not_called_changed(tmp_path: Path) -> None:
    data = pictures(tmp_path / "train")
    file = tmp_path / "train" / "red" / "1.png"
    content = file.read_bytes()
    file.write_bytes(b"")
    out = train(data, tmp_path / "out", epochs=1)
    file.write_bytes(content)
    assert resumed(data, out).epochs_done == 2
    file.unlink()
    assert resumed(data, out).epochs_done == 2


def test_a_state_of_an_earlier_version_without_what_the_pictures_hold_is_continued(tmp_path: Path) -> None:
    data = pictures(tmp_path / "train")
    out = train(data, tmp_path / "out", epochs=1)
    with safe_open(out / STATE, framework="pt") as state:
        metadata = state.metadata()
    tensors = load_file(out / STATE)
    del tensors["contents"]
    save_file(tensors, out / STATE, metadata)
    changed_in_place(tmp_path / "train" / "red" / "1.png")
    assert resumed(data, out).epochs_done == 2


def test_pictures_of_one_name_in_several_folders_are_told_apart_by_what_they_hold() -> None:
    def of(*contents: int, name: str = "cat/1.png") -> Marks:
        names = tuple(f"{name} {number}" for number in range(len(contents)))
        return Marks(np.full(len(contents), 7), np.array(contents), names)

    assert changes(of(1, 2, 3), of(3, 2, 1)) is None
    assert changes(of(1, 2, 3), of(3, 1)) == "1 picture is gone"
    assert changes(of(1, 2), of(2, 4, 1)) == "1 picture is new (cat/1.png 1)"
    assert changes(of(1, 2), of(2, 4)) == "1 picture was changed (cat/1.png 1)"
    assert changes(of(0, 2), of(2, 4)) is None
