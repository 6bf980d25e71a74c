"""One set of settings: commands, Python interface and the record of a run have the same ones, by the same names."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from vithybrid_cli.commands.classify import classify
from vithybrid_cli.commands.embed import embed
from vithybrid_cli.commands.evaluate import evaluate
from vithybrid_cli.commands.explain import explain
from vithybrid_cli.errors import UsageError
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.pipeline.embedder import Embedder
from vithybrid_cli.settings import Decoding, Reading, Running, Writing, decisions, rgb

SPELT_OTHERWISE = {"format": "output_format", "compile": "compiled"}  # names that Python has for something else
GROUPED = {"decoding"}  # settings of their own, which options name one by one
FROM_A_FOLDER = {
    "inputs",
    "files_from",
    "null",
    "strict",
    "shards",
    "archives",
}  # `evaluate` reads labelled folders instead, and all of them
ONLY_LABELS = {"top_k", "threshold", "activation", "unsure", "rollup"}


ONE_FILE = {"resume", "update"}  # of an earlier run
NEVER_EXPLAINED = {"compiled", "attention", "unsure", "rollup"}  # what gradients need as it is, and rules for labels
NOT_ONE_FILE = ONE_FILE | {"output_format", "threshold", "activation"}  # of what is written to a folder
ONLY_FOLDERS = {"exclude", "shards", "archives"}
EVERY = Running, Reading, Decoding, Writing


def options(command: Callable[..., None]) -> set[str]:
    return set(inspect.signature(command).parameters)


def names(*groups: type[Any]) -> set[str]:
    every = {item.name for group in groups for item in fields(group)} - GROUPED
    return {SPELT_OTHERWISE.get(name, name) for name in every}


@pytest.mark.parametrize(
    ("command", "covered"),
    [
        pytest.param(classify, names(*EVERY), id="classify"),
        pytest.param(embed, names(*EVERY) - ONLY_LABELS - {"update"}, id="embed"),
        pytest.param(evaluate, names(*EVERY) - ONLY_LABELS - FROM_A_FOLDER - ONE_FILE, id="evaluate"),
        pytest.param(explain, names(*EVERY) - NOT_ONE_FILE - NEVER_EXPLAINED, id="explain"),
    ],
)
def test_a_command_has_an_option_for_each_setting(command: Callable[..., None], covered: set[str]) -> None:
    assert covered - options(command) == set()


def test_each_option_of_classify_is_a_setting_or_about_what_is_shown() -> None:
    assert options(classify) - names(*EVERY) == {"quiet", "no_progress"}


@pytest.mark.parametrize("interface", [Classifier, Embedder])
def test_python_opens_a_model_with_the_settings_of_the_command(interface: type[Classifier | Embedder]) -> None:
    asked = set(inspect.signature(interface.from_pretrained).parameters) - {"feature"}
    assert asked == {item.name for item in fields(Running)}


@pytest.mark.parametrize("method", [Classifier.classify, Embedder.embed])
def test_python_reads_pictures_with_the_settings_of_the_command(method: Callable[..., Any]) -> None:
    reading = names(Reading, Decoding) - ONLY_FOLDERS - FROM_A_FOLDER | {"batch_size", "column"}
    assert reading - set(inspect.signature(method).parameters) == set()


def test_what_decides_results_is_marked_and_the_rest_is_not() -> None:
    every = decisions(
        Running(model="m", image_size=64, device="cpu", engine="torch", batch_size=8, threads=2),
        Decoding(),
        Reading(),
        Writing(resume=True),
    )
    assert every == {
        "image_size": 64,
        "device": "cpu",
        "dtype": "float32",
        "attention": "sdpa",
        "engine": "torch",
        "compile": False,
        "batch_size": 8,
        "threads": 2,
        "max_pixels": 178_956_970,
        "max_bytes": 268_435_456,
        "fast_jpeg": False,
        "raw_preview": False,
        "allow_truncated": False,
        "background": None,
        "top_k": 5,
        "threshold": None,
    }


@pytest.mark.parametrize("colour", ["white", "#fff", "#FFFFFF", "rgb(255, 255, 255)", "hsl(0, 0%, 100%)"])
def test_a_background_is_a_colour_in_any_notation_of_css(colour: str) -> None:
    assert rgb(Decoding(background=colour).background or "") == (255, 255, 255)


@pytest.mark.parametrize("colour", ["", "whte", "#ff", "#ffffff80", "rgba(1, 2, 3, 4)", "255,255,255"])
def test_a_background_that_is_no_opaque_colour_is_refused_at_once(colour: str) -> None:
    with pytest.raises(UsageError, match="is no opaque colour"):
        Decoding(background=colour)


def test_what_is_left_to_the_machine_is_not_decided_yet() -> None:
    assert decisions(Running(model="m")).keys() == {"dtype", "attention", "compile"}
