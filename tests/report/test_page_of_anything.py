"""The page of results in Chromium with what files and labels can be: hostile, empty, long, foreign."""

from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, cells, failed, labelled, names, no_wider_than_its_window, thumbnail
from opened import PHONE, findings, opened

from vithybrid_cli.report.entries import About, Entry
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


HOSTILE = (
    "</script><script>document.title='taken'</script>",
    "<!--<script>",
    "]]>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\"onmouseover=\"document.title='taken'\" x='",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "a\u2028b\u2029c\x00d\x1b[31me\udc80f\u202egnp.exe",
    "javascript:document.title='taken'",
    "\\u003c/script\\u003e&lt;b&gt;&amp;",
    "__proto__",
    "{policy}{title}%s\\",
)


class TestForeignText:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_it_is_text_wherever_it_stands(self, chromium: "Browser", write: Write, text: str) -> None:
        entry = Entry(
            text, Answer(text, 0.5, 0), (Prediction(0, text, 0.5),), None, (text,), thumbnail(), f"./{len(text)}"
        )
        error = Entry(text, error=("UnreadableImage", text))
        about = About(text, ((text, text),), text)
        with opened(chromium, write([entry, error], about)) as it:
            before = it.page.title()
            cells(it.page).first.hover()
            cells(it.page).first.click()
            shown = it.page.locator("#large-path").inner_text()
            assert it.page.locator("#large-label").inner_text() == shown
            it.page.keyboard.press("ArrowRight")
            assert it.page.locator("#large-error").inner_text() == shown
            it.page.keyboard.press("Escape")
            it.page.locator("#bars button").first.click()
            assert it.page.locator("#count").inner_text() == "1 of 2 pictures"
            assert it.page.title() == before != "taken"
            assert it.page.locator("img[src=x], b").count() == 0

    def test_what_cannot_be_seen_is_shown_as_its_code(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([failed("a\u202egpj\udc80\n.exe")])) as it:
            assert names(it.page) == ["a\\u202egpj\\udc80\\u000a.exe"]

    def test_an_address_with_code_in_it_is_no_link(self, chromium: "Browser", write: Write) -> None:
        entry = labelled("a.jpg", ("tabby", 0.5), original="JavaScript:document.title='taken'")
        with opened(chromium, write([entry]) + "#open=0") as it:
            assert it.page.get_by_role("link").count() == 0

    @pytest.mark.parametrize("label", ["قطة منزلية", "虎斑猫", "гребнистый тритон", "🐈‍⬛", "x" * 300])
    def test_labels_of_every_script_are_shown(self, chromium: "Browser", write: Write, label: str) -> None:
        with opened(chromium, write([labelled("a.jpg", (label, 0.5)), failed("b.jpg")]), PHONE) as it:
            assert cells(it.page).first.locator(".label").inner_text() == label
            cells(it.page).first.click()
            assert it.page.locator("#large-label").inner_text() == label
            assert no_wider_than_its_window(it.page)


class TestOtherPages:
    def test_no_pictures(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([])) as it:
            assert it.page.locator("#empty").inner_text() == "There are no pictures."
            assert not it.page.locator("#scores").is_visible()
            assert not it.page.locator("#labels").is_visible()
            it.page.keyboard.press("/")
            it.page.keyboard.press("Enter")
            assert findings(it.page) == []

    def test_one_picture(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([labelled("a.jpg", ("tabby", 0.5))])) as it:
            assert it.page.locator("#count").inner_text() == "1 picture"
            cells(it.page).first.focus()
            for key in ("ArrowDown", "ArrowRight", "PageDown", "End", "Control+End", "ArrowUp", "Enter", "ArrowRight"):
                it.page.keyboard.press(key)
            assert it.page.locator("#large-position").inner_text() == "1 of 1"

    def test_errors_alone(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([failed("a.jpg"), failed("b.jpg")])) as it:
            assert cells(it.page).first.inner_text().startswith("Unreadable image")
            assert not it.page.locator("#labels").is_visible()
            it.page.select_option("#sort", "label")
            assert names(it.page) == ["a.jpg", "b.jpg"]

    def test_scores_that_are_no_probabilities(self, chromium: "Browser", write: Write) -> None:
        raw = [labelled("a.jpg", ("tabby", 12.5), ("tench", -3.25)), labelled("b.jpg", ("tench", -1.0))]
        with opened(chromium, write(raw)) as it:
            assert cells(it.page).locator(".score").all_inner_texts() == ["12.5", "-1"]
            assert it.page.locator("#scores-text").inner_text() == "-3.25 – 12.5"
            it.page.get_by_label("Lowest score").fill("500")
            assert names(it.page) == ["a.jpg"]
            cells(it.page).first.click()
            widths = it.page.locator("#large-predictions .length").evaluate_all("all => all.map(e => e.style.width)")
            assert widths == ["100%", "0%"]

    def test_very_long_paths(self, chromium: "Browser", write: Write) -> None:
        path = "/".join(["folder" * 20] * 20) + "/" + "x" * 255
        with opened(chromium, write([labelled(path, ("tabby", 0.5))]), PHONE) as it:
            cells(it.page).first.click()
            assert it.page.locator("#large-path").inner_text() == path
            assert no_wider_than_its_window(it.page)
