"""What is selected on the page of results in Chromium, and taken away of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from entries_to_show import (
    LABELS,
    MIXED,
    Write,
    cells,
    labelled,
    selected,
)
from opened import opened

from vithybrid_cli.output.read_results import read_results
from vithybrid_cli.report.entries import Entry
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


class TestSelection:
    def test_space_selects_and_shift_extends(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).first.focus()
            it.page.keyboard.press("Space")
            assert selected(it.page) == ["cat 10.jpg"]
            it.page.keyboard.press("Shift+ArrowRight")
            it.page.keyboard.press("Shift+ArrowRight")
            assert selected(it.page) == ["cat 10.jpg", "cat 2.jpg", "fish.jpg"]
            it.page.keyboard.press("Shift+ArrowLeft")
            assert selected(it.page) == ["cat 10.jpg", "cat 2.jpg"]
            assert it.page.locator("#selected-count").inner_text() == "2 selected"
            it.page.keyboard.press("Control+a")
            assert len(selected(it.page)) == 6
            it.page.get_by_role("button", name="Select none").click()
            assert selected(it.page) == []

    def test_clicks_select_with_control_with_shift_and_on_the_mark(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).nth(1).click(modifiers=["Control"])
            cells(it.page).nth(3).click(modifiers=["Shift"])
            assert selected(it.page) == ["cat 2.jpg", "fish.jpg", "broken.jpg"]
            cells(it.page).nth(2).locator(".mark").click()
            assert selected(it.page) == ["cat 2.jpg", "broken.jpg"]
            assert not it.page.locator("#large").is_visible()

    def test_a_selection_outlives_other_filters(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).first.locator(".mark").click()
            it.page.fill("#search", "fish")
            it.page.get_by_role("button", name="Select all").click()
            it.page.fill("#search", "")
            assert selected(it.page) == ["fish.jpg"]  # all that are shown, and no others

    def test_paths_are_copied_as_a_list(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write(), permissions=["clipboard-read", "clipboard-write"]) as it:
            cells(it.page).first.locator(".mark").click()
            cells(it.page).nth(2).locator(".mark").click()
            it.page.get_by_role("button", name="Copy paths").click()
            it.page.get_by_text("Copied.").wait_for()
            assert it.page.evaluate("navigator.clipboard.readText()") == "b/cat 10.jpg\na/fish.jpg\n"

    def test_where_no_page_may_copy_the_list_is_there_to_be_copied_by_hand(
        self, chromium: "Browser", write: Write
    ) -> None:
        with opened(chromium, write()) as it:
            it.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
            it.page.evaluate("() => { document.execCommand = () => false; }")
            cells(it.page).first.locator(".mark").click()
            it.page.get_by_role("button", name="Copy paths").click()
            it.page.locator("#by-hand").wait_for()
            assert it.page.input_value("#by-hand-paths") == "b/cat 10.jpg\n"
            assert it.page.evaluate("String(getSelection())") == "b/cat 10.jpg\n"

    def test_results_are_saved_as_classify_writes_them(self, chromium: "Browser", write: Write, tmp_path: Path) -> None:
        odd = labelled("odd\udc80\u2028\n.jpg", ("a</script>", 1.0), ("b", 0.000001))
        with opened(chromium, write([*MIXED, odd])) as it:
            it.page.get_by_role("button", name="Select all").click()
            with it.page.expect_download() as download:
                it.page.get_by_role("button", name="Save as JSON lines").click()
            file = tmp_path / "selection.jsonl"
            download.value.save_as(file)
        assert download.value.suggested_filename == "selection.jsonl"
        results = list(read_results(file))
        assert [result.path for result in results] == [entry.path for entry in (*MIXED, odd)]
        assert [result.predictions for result in results] == [entry.predictions for entry in (*MIXED, odd)]
        broken = json.loads(file.read_text(encoding="utf-8").splitlines()[3])
        assert broken == {
            "path": "a/broken.jpg",
            "error": {"type": "UnreadableImage", "message": "The file is cut off."},
        }

    def test_a_label_that_a_rule_found_is_saved_beside_the_predictions(
        self, chromium: "Browser", write: Write, tmp_path: Path
    ) -> None:
        unsure = Entry("a.jpg", Answer("unsure", 0.3, None), (Prediction(0, "tabby", 0.3),))
        with opened(chromium, write([unsure, labelled("b.jpg", ("tench", 0.9)), labelled("c.jpg")])) as it:
            it.page.get_by_role("button", name="Select all").click()
            with it.page.expect_download() as download:
                it.page.get_by_role("button", name="Save as JSON lines").click()
            file = tmp_path / "selection.jsonl"
            download.value.save_as(file)
        tabby, tench = ([{"index": i, "label": LABELS[i], "score": s}] for i, s in ((0, 0.3), (1, 0.9)))
        assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [
            {"path": "a.jpg", "label": "unsure", "score": 0.3, "predictions": tabby},
            {"path": "b.jpg", "label": "tench", "score": 0.9, "predictions": tench},
            {"path": "c.jpg", "label": None, "score": None, "predictions": []},
        ]
