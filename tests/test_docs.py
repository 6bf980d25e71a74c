"""The documentation is true: its commands and its Python run, its tables and its generated parts are the program's."""

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from page_runs import run_commands, run_snippets, runs_here
from pages import CONTRIBUTING, DOCS, PAGES, README, REFERENCE, Page, code
from places import PACKAGE, ROOT
from shell import make_workplace
from test_layers import LAYERS
from typer.main import get_command
from warm import folder_with_program

from scripts import terminal
from vithybrid_cli.commands import guard
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import ImageError
from vithybrid_cli.evaluation.rows import KINDS
from vithybrid_cli.hub import catalog

MAX_WORDS_OF_README = 1500
OPTIONS_OF_OTHERS = {"--constraint"}  # pip's
OPTIONS_OF_ALL = {"--help", "--install-completion", "--show-completion", "--version"}
BLOCKS = re.compile("[█▏▎▍▌▋▊▉]")


def page_named(name: str) -> Page:
    return next(page for page in PAGES if page.name == name)


@functools.cache
def options(command: str) -> set[str]:
    """All spellings of a subcommand's options."""
    found: Any = get_command(app)
    for name in command.split():
        found = found.commands[name]
    return {name for parameter in found.params for name in parameter.opts if name.startswith("-")}


def subcommands() -> set[str]:
    """All of them, those of groups by both words."""
    root: Any = get_command(app)
    return {
        f"{name} {within}".strip()
        for name, command in root.commands.items()
        for within in getattr(command, "commands", [""])
    }


def loosely(output: str) -> tuple[list[str], list[float]]:
    """The text of an output without bars, and its scores, both percentages and shares as shares."""
    shares = re.sub(r"([\d.]+)%", lambda found: str(float(found[1]) / 100), output)
    lines = [" ".join(BLOCKS.sub(" ", line).split()) for line in shares.splitlines()]
    parts = re.split(r"(\d\.\d+)", "\n".join(lines))
    return parts[::2], [float(score) for score in parts[1::2]]


def assert_alike(printed: str, shown: str) -> None:
    """The same text, and scores as far as machines agree on them."""
    (words, scores), (shown_words, shown_scores) = loosely(printed), loosely(shown)
    assert words == shown_words
    assert scores == pytest.approx(shown_scores, abs=0.005)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES if page.fenced])
def test_a_page_does_what_it_says_from_top_to_bottom(page: Page, tmp_path: Path) -> None:
    workplace, without_jq = make_workplace(tmp_path), []
    for command, done in run_commands(page, workplace):
        if done is None:
            without_jq.append(command.text)
            continue
        assert (command.text, done.returncode, done.stderr) == (command.text, command.exit_code, done.stderr)
        if command.output:
            assert_alike(done.stdout, command.output)
    for snippet, printed in run_snippets(page, workplace):
        assert bool(snippet.output) == ("print(" in snippet.text), f"{page.name} shows all that is printed:\n{snippet}"
        assert_alike(printed, snippet.output)
    if without_jq:
        pytest.skip(f"jq is not installed; all but these were run: {without_jq}")


def test_no_more_is_left_out_than_what_fetches_something_or_takes_long() -> None:
    left_out = {command.text for page in PAGES for command in page.commands if not runs_here(command)}
    assert left_out == {
        "make test",
        "make tiny",
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install .",
        "python examples/cifar10.py cifar-10-binary.tar.gz data/cifar10",
        "find . -name '*.jpg' -print0 | vithybrid classify - -0 -k 1 | jq .",
        "vithybrid bench -m base-384 --random-weights --engine torch --engine openvino -b 1 -b 8",
        "vithybrid bench -m tiny",
        "vithybrid classify cat.jpg",
        "vithybrid classify examples/cat.png",
        "vithybrid classify photos/ -f csv -o labels.csv",
        "vithybrid classify photos/ -o labels.csv --resume",
        "vithybrid classify photos/ -o labels.csv --update",
        "vithybrid classify photos/ -o labels.html",
        "vithybrid classify photos/test -m nsfw",
        "vithybrid convert runs/old/pytorch_model.bin runs/converted --trust-pickle",
        "vithybrid info https://huggingface.co/google/vit-base-patch16-224",
        "vithybrid convert timm/vit_base_r50_s16_384.orig_in21k_ft_in1k base-384",
        "vithybrid download base-384",
        "vithybrid download google/vit-hybrid-base-bit-384",
        "vithybrid classify photos/ --rollup 0.8 --unsure 0.5",
        "vithybrid embed photos/ -o features.npy",
        "vithybrid embed photos/ -o features.npy --resume",
        "vithybrid embed photos/ -o features.parquet",
        "vithybrid explain cat.jpg",
        "vithybrid explain photos/ -o why/",
        'vithybrid explain cat.jpg --label tabby --against "tiger cat" -m base-384',
        "vithybrid evaluate photos/held-out -m runs/mine",
        "vithybrid evaluate photos/held-out -m runs/mine --explain 100",
        "vithybrid evaluate photos/held-out -m runs/mine -o page.html",
        "vithybrid evaluate 'cifar10/data/test-*.parquet' -m runs/mine --label-column label",
        "vithybrid evaluate 'shards/val-{000..049}.tar' -m base-384",
        "HF_HUB_OFFLINE=1 vithybrid classify examples -m base-384",
        "vithybrid job plan photos/ -o jobs/photos",
        "vithybrid job plan --files-from list.txt -o jobs/list --device cuda",
        "vithybrid job run jobs/photos",
        "vithybrid job run jobs/photos --ray-address 10.0.0.1:6379",
        "vithybrid job run jobs/photos --shard $SLURM_ARRAY_TASK_ID",
        "vithybrid job status jobs/photos",
        "vithybrid job merge jobs/photos -o labels.csv",
        "vithybrid job retry jobs/photos",
        "vithybrid report labels.csv --root /mnt/photos -o labels.html",
        "vithybrid report labels.parquet -o labels.html --thumbnails link",
        "vithybrid bench -m base-384 --random-weights --only network --dtype bfloat16 --limits",
        "vithybrid train digits/train -o runs/digits -m tiny --val-split 0.2 --held-out digits/test",
        "vithybrid train photos -o runs/mine -m base-384 --freeze encoder --class-weights --val-split 0.2",
        "vithybrid train photos -o runs/mine -m base-384 --val-split 0.1",
        "vithybrid train photos -o runs/mine -m base-384 --val-split 0.1 --epochs 3 -b 16",
        "vithybrid train photos/train -o runs/mine -c tiny --val-split 0.1 --held-out photos/test --resume",
        "vithybrid train photos/train -o runs/mine -m tiny --held-out photos/test",
    }


def test_the_readme_is_short() -> None:
    assert len(README.text.split()) <= MAX_WORDS_OF_README


def test_links_lead_to_files_and_headings_that_exist() -> None:
    broken = []
    for page in [*PAGES, Page(ROOT / "examples" / "CREDITS.md"), Page(ROOT / "CHANGELOG.md")]:
        for link in page.links:
            file, anchor = page.target(link)
            if not file.is_file() or (anchor and anchor not in Page(file).anchors):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_the_readme_links_to_every_page() -> None:
    linked = {README.target(link)[0] for link in README.links}
    assert {page.path for page in [*DOCS, CONTRIBUTING]} - linked == set()


def test_the_reference_of_commands_is_what_the_program_says(tmp_path: Path) -> None:
    written = tmp_path / "commands.md"
    subprocess.run([sys.executable, "scripts/reference.py", str(written)], cwd=ROOT, check=True)
    assert REFERENCE.text == written.read_text(encoding="utf-8"), "run `make docs`"


def test_the_reference_has_all_options_of_each_command() -> None:
    sections = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", REFERENCE.text, re.MULTILINE | re.DOTALL))
    found = {
        name: {option for row in re.findall(r"^\| (`-.*?) \|", section, re.MULTILINE) for option in code(row)}
        for name, section in sections.items()
    }
    assert found == {name: options(name) - {"--help", "-h"} for name in subcommands()}


def test_the_pictures_of_terminals_show_what_the_program_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "PROGRAMS", folder_with_program())
    terminal.main(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"terminal.svg", "sort.svg"}
    for drawn in tmp_path.iterdir():
        now, kept = (ElementTree.parse(file).getroot() for file in (drawn, ROOT / "docs" / drawn.name))
        words, kept_words = ("\n".join(text.text or "" for text in root.findall(".//{*}text")) for root in (now, kept))
        assert words.startswith("$")
        assert_alike(words, kept_words)
        assert [element.get("fill") for element in now.iter()] == [element.get("fill") for element in kept.iter()]
        bars, kept_bars = (
            [float(element.attrib["width"]) for element in root.findall(".//{*}rect")] for root in (now, kept)
        )
        assert bars == pytest.approx(kept_bars, abs=3), "run `make docs`"  # pixels; machines round differently


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    measured = (ROOT / "BENCHMARKS.md").read_text(encoding="utf-8")
    figures = {figure for row in README.rows("what") for figure in re.findall(r"\d+\.\d\d(?:e-\d)?", row[1])}
    assert len(figures) >= 3
    assert {figure for figure in figures if figure not in measured} == set()


def test_every_make_target_exists() -> None:
    texts = [text for page in PAGES for text in [*code(page.prose), *(command.text for command in page.commands)]]
    named = {target for text in texts for target in re.findall(r"\bmake ([a-z-]+)", text)}
    targets = set(re.findall("^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named >= {"demo", "docs", "test", "tiny"}
    assert named - targets == set()


def test_every_option_of_a_command_exists() -> None:
    lines = [command.text for page in PAGES for command in page.commands]
    calls = [call for line in lines for call in re.findall(r"\bvithybrid (job \w+|\w+)([^|]*)", line)]
    unknown = [
        f"{command} {option}"
        for command, arguments in calls
        for option in re.findall(r"(?<=\s)--?[a-z0-9][a-z-]*", arguments)
        if option not in options(command)
    ]
    assert {command for command, _ in calls} == subcommands()
    assert unknown == []


def test_every_option_that_is_spoken_of_exists() -> None:
    known = {option for command in subcommands() for option in options(command)} | OPTIONS_OF_OTHERS | OPTIONS_OF_ALL
    spoken = {option for page in PAGES for text in code(page.prose) for option in spelt_options(text)}
    assert spoken - known == set()


def spelt_options(text: str) -> Iterator[str]:
    yield from re.findall(r"(?<![\w-])--[a-z-]+", text)


def test_the_table_of_exit_codes_is_that_of_the_program() -> None:
    expected = {0, guard.EXIT_SOME_FAILED, guard.EXIT_USAGE, guard.EXIT_MODEL, guard.EXIT_INTERRUPTED}
    assert [int(row[0]) for row in page_named("docs/results.md").rows("code")] == sorted(expected)


def test_the_table_of_error_types_is_that_of_the_program() -> None:
    rows = page_named("docs/results.md").rows("error type")
    known = [error for error in ImageError.__subclasses__() if error.__module__ == ImageError.__module__]
    assert {code(row[0])[0] for row in rows} == {error.__name__ for error in known}


def test_the_table_of_a_reports_rows_is_that_of_the_program() -> None:
    rows = page_named("docs/train.md").rows("`kind`")
    assert {code(row[0])[0]: tuple(code(row[2])) for row in rows} == KINDS


def test_the_table_of_models_is_the_catalog() -> None:
    expected = [
        [
            f"`{entry.alias}`",
            f"`{entry.hub_id}`" if entry.hub_id else "built in",
            f"{entry.parameters / 1e6:.1f} M",
            f"{entry.size_bytes / 1e6:.0f} MB",
            f"{entry.image_size}",
            "" if entry.top1 is None else f"{entry.top1:.1f} %",
            entry.dataset,
            entry.licence,
        ]
        for entry in catalog.ENTRIES
    ]
    assert page_named("docs/models.md").rows("alias") == expected


def test_models_that_are_spoken_of_are_in_the_catalog() -> None:
    commands = [command.text for page in PAGES for command in page.commands if "vithybrid " in command.text]
    named = {name for command in commands for name in re.findall(r" -m (\S+)", command)}
    names = {name for name in named if "/" not in name}
    assert {"tiny", "base-384", "nsfw"} <= names
    assert names - {entry.alias for entry in catalog.ENTRIES} == set()


def test_the_rooms_and_layers_that_are_described_are_those_of_the_package() -> None:
    inside = page_named("docs/inside.md")
    [rooms] = [text for language, text in inside.fenced if language == "text" and text.startswith("vithybrid_cli/\n")]
    listed = {room.split("/")[0] for room in re.findall(r"^  (\S+)/ ", rooms, re.MULTILINE)}
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders - listed == set()
    assert listed - folders - {room for layer in LAYERS for room in layer} == set()
    described = [set(code(row[1])) for row in reversed(inside.rows("layer"))]
    assert described[1:] == [set(layer) for layer in LAYERS[1:]]  # of the lowest, some are named


def test_the_files_that_are_spoken_of_exist() -> None:
    words = {word for page in PAGES for text in code(page.prose) for word in text.split()}
    at_the_root = r"[A-Z]+\.md|LICENSE|constraints\.txt|(tests|benchmarks|examples|docs|scripts)/[\w./]*"
    in_the_package = r"[\w/]+\.py|[a-z]+/"  # as those who read the code call them
    named = {word: ROOT / word for word in words if re.fullmatch(at_the_root, word)}
    of_code = {word for page in (CONTRIBUTING, page_named("docs/inside.md")) for word in code(page.prose)}
    named |= {word: PACKAGE / word for word in of_code - named.keys() if re.fullmatch(in_the_package, word)}
    assert {"BENCHMARKS.md", "tests/test_layers.py", "hub/published.py"} <= named.keys()
    assert [word for word, path in named.items() if not path.exists()] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert [found for page in PAGES for found in re.findall(r"\{\{.*?\}\}|TODO|XXX", page.text)] == []
