"""The page of results in Chromium, by its keys: those of a grid, of the search, and of the bars."""

from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, cells, focused, many, names
from opened import becomes, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


class TestKeyboard:
    def test_keys_move_as_in_a_grid(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write(many(300))) as it:
            columns = int(it.page.get_attribute("#grid", "aria-colcount") or 0)
            assert columns > 2
            cells(it.page).first.focus()
            steps = [
                ("ArrowRight", 1),
                ("ArrowDown", columns + 1),
                ("ArrowLeft", columns),
                ("ArrowLeft", columns - 1),
                ("Home", 0),
                ("End", columns - 1),
                ("ArrowUp", columns - 1),
                ("Control+End", 299),
                ("ArrowRight", 299),
                ("ArrowDown", 299),
                ("Control+Home", 0),
                ("ArrowLeft", 0),
            ]
            for key, position in steps:
                it.page.keyboard.press(key)
                assert (key, focused(it.page)) == (key, f"{position:05}.jpg")

    def test_arrows_lead_into_the_grid_of_a_page_that_was_just_opened(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.keyboard.press("ArrowDown")
            assert focused(it.page) == "cat 10.jpg"
            it.page.keyboard.press("ArrowRight")
            assert focused(it.page) == "cat 2.jpg"

    def test_a_question_mark_shows_the_keys(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.keyboard.press("?")
            keys = it.page.get_by_role("dialog", name="Keys")
            assert keys.is_visible()
            it.page.keyboard.press("Escape")
            assert not keys.is_visible()
            it.page.get_by_role("button", name="Keys").click()
            assert keys.is_visible()

    def test_escape_selects_none_once_nothing_else_is_open(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            for key in ("ArrowDown", "Space", "Enter", "Escape"):
                it.page.keyboard.press(key)
            assert it.page.locator("[aria-selected=true]").count() == 1
            it.page.keyboard.press("Escape")
            assert it.page.locator("[aria-selected=true]").count() == 0

    def test_the_back_button_takes_back_what_was_typed(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.keyboard.press("/")
            it.page.keyboard.type("cat")
            becomes(it.page, "location.hash === '#search=cat'")
            it.page.go_back()
            becomes(it.page, "!location.hash")
            assert len(names(it.page)) == 6

    def test_a_page_down_moves_on_by_what_is_in_view(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write(many(300))) as it:
            cells(it.page).first.focus()
            it.page.keyboard.press("PageDown")
            position = int(focused(it.page)[:5])
            columns = int(it.page.get_attribute("#grid", "aria-colcount") or 0)
            assert position >= 2 * columns
            assert position % columns == 0
            it.page.keyboard.press("PageUp")
            assert focused(it.page) == "00000.jpg"

    def test_one_cell_is_reached_by_tab_and_keeps_the_focus_while_others_come_and_go(
        self, chromium: "Browser", write: Write
    ) -> None:
        with opened(chromium, write(many(1000))) as it:
            cells(it.page).nth(3).focus()
            assert it.page.locator("[role=gridcell][tabindex='0']").count() == 1
            it.page.evaluate("document.getElementById('grid').scrollTop = 20000")
            becomes(it.page, "document.querySelectorAll('[aria-rowindex]').length > 5")
            assert focused(it.page) == "00003.jpg"
            it.page.keyboard.press("ArrowRight")
            assert focused(it.page) == "00004.jpg"
            assert it.page.locator("[role=gridcell][tabindex='0']").count() == 1

    def test_rows_and_columns_are_counted_for_those_who_do_not_see_them(
        self, chromium: "Browser", write: Write
    ) -> None:
        with opened(chromium, write(many(100))) as it:
            columns = int(it.page.get_attribute("#grid", "aria-colcount") or 0)
            assert it.page.get_attribute("#grid", "aria-rowcount") == str(-(-100 // columns))
            cells(it.page).first.focus()
            it.page.keyboard.press("Control+End")
            assert it.page.evaluate("document.activeElement.parentElement.ariaRowIndex") == str(-(-100 // columns))
            assert it.page.evaluate("document.activeElement.ariaLabel") == "tabby, 99.0%, p/00099.jpg"

    def test_a_slash_searches_and_escape_leads_back(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.keyboard.press("/")
            it.page.keyboard.type("cat/")  # the second one is text
            assert it.page.input_value("#search") == "cat/"
            it.page.keyboard.press("Escape")
            assert it.page.input_value("#search") == ""
            assert len(names(it.page)) == 6
            it.page.keyboard.press("Escape")
            assert focused(it.page) == "cat 10.jpg"

    def test_bars_are_one_stop_with_arrows_between_them(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.locator("#bars button").first.focus()
            it.page.keyboard.press("ArrowDown")
            it.page.keyboard.press("Enter")
            assert names(it.page) == ["gold.jpg"]
            assert it.page.evaluate("document.activeElement.value") == "goldfish"
            it.page.keyboard.press("Space")
            assert len(names(it.page)) == 6
