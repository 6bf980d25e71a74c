"""The page of results in Chromium, as a person uses it with the mouse: filters, orders, and a picture large."""

from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, cells, failed, focused, labelled, names
from opened import becomes, opened

from vithybrid_cli.report.entries import Entry
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


class TestFilters:
    def test_shows_every_picture_with_its_label_and_score_at_first(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg", "fish.jpg", "broken.jpg", "none.jpg", "gold.jpg"]
            assert cells(it.page).first.inner_text().split("\n") == ["tabby", "cat 10.jpg", "90.0%"]
            assert it.page.locator("#count").inner_text() == "6 pictures"

    def test_a_bar_chooses_its_label_and_a_second_one_adds_another(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            bars = it.page.locator("#bars button")
            assert bars.all_inner_texts() == ["tabby\n2", "goldfish\n1", "tench\n1"]
            bars.filter(has_text="tabby").click()
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg"]
            assert it.page.locator("#count").inner_text() == "2 of 6 pictures"
            bars.filter(has_text="tench").click()
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg", "fish.jpg"]
            bars.filter(has_text="tabby").click()
            assert names(it.page) == ["fish.jpg"]

    def test_bars_count_what_the_other_filters_let_through(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.fill("#search", "b/ CAT")
            assert it.page.locator("#bars button").all_inner_texts() == ["tabby\n2"]
            it.page.fill("#search", "cat 10")
            assert it.page.locator("#bars button").all_inner_texts() == ["tabby\n1"]

    def test_labels_and_scores_are_those_that_the_other_filters_let_through(
        self, chromium: "Browser", write: Write
    ) -> None:
        heights = "[...document.querySelectorAll('#histogram span')].filter(e => e.style.height !== '0px').length"
        with opened(chromium, write()) as it:
            labels = it.page.locator("#labels-count")
            assert (labels.inner_text(), it.page.evaluate(heights)) == ("3", 4)
            it.page.fill("#search", "cat")
            assert (labels.inner_text(), it.page.evaluate(heights)) == ("1", 2)
            it.page.get_by_label("Lowest score").fill("600")  # the histogram shows what a wider range would let through
            assert (labels.inner_text(), it.page.evaluate(heights)) == ("1", 2)
            it.page.fill("#search", "")
            it.page.get_by_label("Lowest score").fill("0")
            it.page.get_by_role("button", name="Errors 1").click()
            assert (labels.inner_text(), it.page.evaluate(heights)) == ("0", 0)

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            pytest.param("Errors 1", ["broken.jpg"], id="errors"),
            pytest.param("No label 1", ["none.jpg"], id="without a label"),
            pytest.param("Notes 1", ["fish.jpg"], id="with notes"),
        ],
    )
    def test_a_kind_of_pictures_is_chosen(
        self, chromium: "Browser", write: Write, kind: str, expected: list[str]
    ) -> None:
        with opened(chromium, write()) as it:
            it.page.get_by_role("button", name=kind).click()
            assert names(it.page) == expected
            it.page.get_by_role("button", name="Clear filters").first.click()
            assert len(names(it.page)) == 6

    def test_the_ends_of_the_range_bound_the_scores(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.get_by_label("Lowest score").fill("600")
            assert names(it.page) == ["cat 10.jpg", "fish.jpg", "gold.jpg"]
            it.page.get_by_label("Highest score").fill("950")
            assert names(it.page) == ["cat 10.jpg", "fish.jpg"]
            assert it.page.locator("#scores-text").inner_text() == "60.0% – 95.0%"
            it.page.get_by_label("Highest score").fill("500")  # which pushes the lowest down
            assert it.page.locator("#scores-text").inner_text() == "50.0% – 50.0%"
            assert it.page.locator("#empty-text").inner_text() == "No picture matches."

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            pytest.param("highest", "gold.jpg cat_10.jpg fish.jpg cat_2.jpg broken.jpg none.jpg", id="highest first"),
            pytest.param("lowest", "cat_2.jpg fish.jpg cat_10.jpg gold.jpg broken.jpg none.jpg", id="lowest first"),
            pytest.param("label", "gold.jpg cat_10.jpg cat_2.jpg fish.jpg broken.jpg none.jpg", id="label"),
            pytest.param("path", "broken.jpg fish.jpg cat_2.jpg cat_10.jpg gold.jpg none.jpg", id="path"),
        ],
    )
    def test_sorts(self, chromium: "Browser", write: Write, order: str, expected: str) -> None:
        with opened(chromium, write()) as it:
            it.page.select_option("#sort", order)
            assert " ".join(name.replace(" ", "_") for name in names(it.page)) == expected
            it.page.select_option("#sort", "listed")
            assert names(it.page)[0] == "cat 10.jpg"

    def test_of_a_thousand_labels_some_are_drawn_and_all_are_found(self, chromium: "Browser", write: Write) -> None:
        entries = [labelled(f"{n}.jpg", (f"label {n}", 0.5)) for n in range(1000)]
        with opened(chromium, write(entries)) as it:
            bars = it.page.locator("#bars button")
            assert bars.count() == 100
            assert it.page.locator("#labels-count").inner_text() == "1,000"
            it.page.fill("#labels-search", "LABEL 987")
            assert bars.all_inner_texts() == ["label 987\n1"]
            bars.first.click()
            assert names(it.page) == ["987.jpg"]
            it.page.fill("#labels-search", "")
            assert it.page.locator("#bars [aria-pressed=true]").inner_text() == "label 987\n1"
            assert bars.count() == 101
            it.page.click("#clear")
            it.page.get_by_role("button", name="900 more").click()
            assert bars.count() == 1000

    def test_two_classes_of_one_text_stay_two(self, chromium: "Browser", write: Write) -> None:
        cranes = [
            Entry("bird.jpg", Answer("crane", 0.9, 134), (Prediction(134, "crane", 0.9),)),
            Entry("machine.jpg", Answer("crane", 0.8, 517), (Prediction(517, "crane", 0.8),)),
        ]
        with opened(chromium, write(cranes)) as it:
            assert it.page.locator("#bars button").all_inner_texts() == ["crane (134)\n1", "crane (517)\n1"]
            it.page.locator("#bars button").nth(1).click()
            assert names(it.page) == ["machine.jpg"]

    def test_what_a_rule_put_in_place_of_a_guess_is_the_label(self, chromium: "Browser", write: Write) -> None:
        predictions = (Prediction(0, "tabby", 0.3), Prediction(1, "tench", 0.2))
        with opened(chromium, write([Entry("a.jpg", Answer("unsure", 0.3, None), predictions)])) as it:
            assert it.page.locator("#bars button").all_inner_texts() == ["unsure\n1"]
            assert cells(it.page).first.inner_text().split("\n") == ["unsure · tabby?", "a.jpg", "30.0%"]
            cells(it.page).first.click()
            assert it.page.locator("#large-label").inner_text() == "unsure"
            assert it.page.locator("#large-predictions .label").all_inner_texts() == ["tabby", "tench"]

    def test_a_note_is_short_in_the_grid_and_a_sentence_in_its_title(self, chromium: "Browser", write: Write) -> None:
        gone, changed = "The picture is gone.", "The picture has changed since it was labelled."
        in_part, unread = "It is shown in part. It is cut off.", "It cannot be shown. It is no picture."
        noted = [(gone,), (changed, in_part), (unread,), ("another",)]
        with opened(chromium, write([Entry(f"{n}.jpg", notes=notes) for n, notes in enumerate(noted)])) as it:
            shown = it.page.locator(".note").all_inner_texts()
            assert shown == ["gone", "changed · cut off", "cannot be read", "another"]
            assert changed in (cells(it.page).nth(1).get_attribute("title") or "")

    def test_letters_in_one_sign_and_in_two_are_the_same(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([labelled("cafe\u0301.jpg", ("tabby", 0.5)), failed("x.jpg")])) as it:
            it.page.fill("#search", "CAF\u00c9")
            assert it.page.locator("#count").inner_text() == "1 of 2 pictures"


class TestLarge:
    def test_a_click_shows_a_picture_large_with_all_that_is_known(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).first.click()
            large = it.page.get_by_role("dialog")
            assert large.get_by_role("heading").inner_text() == "tabby"
            assert it.page.locator("#large-path").inner_text() == "b/cat 10.jpg"
            assert it.page.locator("#large-predictions li").all_inner_texts() == ["tabby\n90.0%", "tench\n5.0%"]
            widths = it.page.locator("#large-predictions .length").evaluate_all("all => all.map(e => e.style.width)")
            assert widths == ["90%", "5%"]
            assert large.get_by_role("link").get_attribute("href") == "b/cat%2010.jpg"
            assert it.page.evaluate("document.querySelector('#large img').naturalWidth") == 96

    def test_enter_opens_arrows_lead_to_neighbours_and_escape_closes(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).nth(1).focus()
            it.page.keyboard.press("Enter")
            assert it.page.locator("#large-position").inner_text() == "2 of 6"
            it.page.keyboard.press("ArrowRight")
            assert it.page.locator("#large-path").inner_text() == "a/fish.jpg"
            assert it.page.locator("#large-notes").inner_text() == "changed since it was labelled"
            it.page.keyboard.press("ArrowRight")
            assert it.page.locator("#large-error").inner_text() == "The file is cut off."
            it.page.keyboard.press("ArrowLeft")
            it.page.keyboard.press("Escape")
            assert not it.page.locator("#large").is_visible()
            becomes(it.page, "!location.hash")
            assert focused(it.page) == "fish.jpg"

    def test_neighbours_are_those_of_the_chosen_order(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.select_option("#sort", "highest")
            cells(it.page).first.click()
            it.page.get_by_role("button", name="Next picture").click()
            assert it.page.locator("#large-path").inner_text() == "b/cat 10.jpg"
            assert it.page.get_by_role("button", name="Previous picture").is_enabled()
            it.page.get_by_role("button", name="Previous picture").click()
            assert it.page.get_by_role("button", name="Previous picture").is_disabled()

    def test_the_back_button_closes_it(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            cells(it.page).first.click()
            it.page.keyboard.press("ArrowRight")
            becomes(it.page, "location.hash === '#open=1'")
            it.page.go_back()
            assert not it.page.locator("#large").is_visible()
            it.page.go_forward()
            assert it.page.locator("#large-path").inner_text() == "b/cat 2.jpg"
