"""The address of the page of results in Chromium holds what was chosen."""

from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, focused, fragment, names
from opened import becomes, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


DRAGGED = """() => {
  history.replaceState = () => { window.written = (window.written ?? 0) + 1; };
  const end = document.getElementById("least");
  for (let step = 1; step < 400; step += 1) {
    end.value = String(step);
    end.dispatchEvent(new Event("input"));
  }
}"""


class TestAddress:
    def test_what_is_chosen_is_in_the_address_and_comes_back_with_it(self, chromium: "Browser", write: Write) -> None:
        address = write()
        with opened(chromium, address) as it:
            it.page.locator("#bars button").filter(has_text="tabby").click()
            it.page.select_option("#sort", "lowest")
            it.page.fill("#search", "cat & 1")
            it.page.fill("#search", "cat 1")
            becomes(it.page, "location.hash.includes('cat+1')")
            chosen = fragment(it.page)
        with opened(chromium, address + chosen) as it:
            assert names(it.page) == ["cat 10.jpg"]
            assert it.page.input_value("#search") == "cat 1"
            assert it.page.input_value("#sort") == "lowest"
            assert it.page.locator("#bars [aria-pressed=true]").inner_text() == "tabby\n1"

    def test_back_and_forward_go_through_what_was_chosen(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.locator("#bars button").filter(has_text="tabby").click()
            it.page.get_by_role("button", name="Errors 1").click()
            assert names(it.page) == []
            it.page.go_back()
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg"]
            it.page.go_back()
            assert len(names(it.page)) == 6
            assert fragment(it.page) == ""
            it.page.go_forward()
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg"]

    def test_what_is_typed_is_one_step_and_stays_behind_the_next_one(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.locator("#search").press_sequentially("cat")
            it.page.select_option("#sort", "lowest")
            it.page.go_back()
            assert fragment(it.page) == "#search=cat"
            assert names(it.page) == ["cat 10.jpg", "cat 2.jpg"]
            it.page.go_back()
            assert fragment(it.page) == ""
            assert len(names(it.page)) == 6
            it.page.go_back()
            assert it.page.url == "about:blank"

    def test_an_end_that_is_dragged_writes_the_address_once(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.evaluate(DRAGGED)
            becomes(it.page, "window.written > 0")
            assert it.page.evaluate("window.written") == 1
            assert it.page.locator("#count").inner_text() == "4 of 6 pictures"

    def test_an_open_picture_is_in_the_address(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write() + "#open=2&sort=path") as it:
            assert it.page.locator("#large-path").inner_text() == "a/fish.jpg"
            it.page.keyboard.press("Escape")
            becomes(it.page, "location.hash === '#sort=path'")
            assert focused(it.page) == "fish.jpg"

    @pytest.mark.parametrize(
        "wrong",
        [
            "#open=99",
            "#open=-1",
            "#open=1.5",
            "#open=constructor",
            "#sort=constructor&kind=__proto__",
            "#label=no+such+label",
            "#least=NaN&most=Infinity",
            "#%E0%A4%A",
            "#search=%00%ff",
            "#=&&==&#",
        ],
    )
    def test_a_wrong_address_harms_nothing(self, chromium: "Browser", write: Write, wrong: str) -> None:
        with opened(chromium, write() + wrong) as it:
            it.page.fill("#search", "")
            assert len(names(it.page)) == 6
            assert not it.page.locator("#large").is_visible()
