"""`make gpu`, tried on the CPU: the parts of its text, what a failure leaves, and what no longer fits into the time."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT

from benchmarks.gpu import SECTIONS, Section, main
from benchmarks.gpu_parts import FULL, QUICK, Card

QUICKLY = ["--quick", "--device", "cpu"]


def headings(text: str) -> list[str]:
    return re.findall("^#### (.*)", text, re.MULTILINE)


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the rows that begin with a type, of the table whose first column has this heading."""
    table = text[text.index(f"| {first} ") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_each_part_is_a_table_of_markdown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu_parts._REPEATS", 1)
    monkeypatch.setattr("benchmarks.gpu.QUICK", replace(QUICK, seconds=1e-6))  # one call is enough for each rate
    monkeypatch.setattr("benchmarks.gpu_parts.gc.collect", lambda: 0)  # is for the memory of a GPU
    monkeypatch.setattr(Card, "flop", 10**9)  # which torch counts for seconds, and another test compares
    main([*QUICKLY, "--parts", "products", "eager", "attention", "whole"])
    text = capsys.readouterr().out
    assert headings(text) == [section.title for section in SECTIONS[1:5]]
    assert "**Failed**" not in text
    products = rows(text, "type, 256×256")
    assert [row[0] for row in products] == list(QUICK.dtypes)
    eager = rows(text[text.index("#### The network, eager") :], "type")
    assert [row[:2] for row in eager] == [[dtype, str(batch)] for dtype in QUICK.dtypes for batch in QUICK.batches]
    for row in eager:
        if row[0] != "tf32":
            assert len(row) == 7
            assert re.fullmatch(r"[\d.,]+ \([\d.,]+–[\d.,]+\)", row[2])
    # A CPU has no tf32: that row says so, and the others are there.
    assert [row[2].partition(":")[0] for row in eager if row[0] == "tf32"] == ["UsageError"] * len(QUICK.batches)


def test_what_does_not_fit_into_the_time_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    main([*QUICKLY, "--seconds", "0"])
    text = capsys.readouterr().out
    assert headings(text) == [section.title for section in SECTIONS]
    assert len(re.findall(r"^Left out: -?\d+ s were left\.$", text, re.MULTILINE)) == len(SECTIONS)


def test_a_part_that_fails_leaves_its_first_lines_and_the_parts_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(card: Card) -> Iterator[str]:
        yield "a line"
        raise RuntimeError("no such kernel\nand a long story")

    def sound(card: Card) -> Iterator[str]:
        yield "another line"

    main(
        [*QUICKLY, "--parts", "products", "eager"],
        [Section("products", "A", 0, broken), Section("eager", "B", 0, sound)],
    )
    text = capsys.readouterr().out
    assert "#### A\n\na line\n\n**Failed**: RuntimeError: no such kernel\n\n#### B\n\nanother line\n" in text


def test_the_tests_run_without_the_plugins_and_options_of_this_project(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    main([*QUICKLY, "--parts", "tests"])
    text = capfd.readouterr().out
    assert "\ntest_float32_is_float32[hf-hybrid-small] SKIPPED" in text
    assert "compiled" not in text
    assert re.search(r"\d+ skipped, \d+ deselected.* in [\d.]+s", text)


def test_the_whole_form_covers_what_is_asked_of_a_card() -> None:
    assert set(FULL.dtypes) == {"float32", "tf32", "bfloat16", "float16"}
    assert set(FULL.compiled_batches) == set(FULL.batches) == {16, 32, 64, 128, 256}
    assert (FULL.attention_batches, FULL.workers, FULL.model) == ((1, 2, 4, 8), 16, "base-384")


def test_the_operations_of_base_384_are_those_published_but_for_the_last_layer(tmp_path: Path) -> None:
    card = Card("cpu", FULL, tmp_path, 0.0)
    tokens, width = 577, 768
    # But for keys and values, the last layer is computed for one token: its other products are left out.
    left_out = 2 * (tokens - 1) * (2 * width * width + 2 * width * 4 * width + 2 * tokens * width)
    assert card.flop + left_out == pytest.approx(2 * 67.4e9, rel=0.005)


def test_make_gpu_with_a_python_installs_nothing() -> None:
    done = subprocess.run(
        ["make", "-n", "gpu", "PYTHON=/usr/bin/python3", "GPU=--quick"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},  # of `make test`
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["/usr/bin/python3 -m benchmarks.gpu --quick"]
