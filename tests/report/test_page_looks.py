"""How the page of results looks in Chromium: light and dark, on a phone, and for those who use it otherwise."""

from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, cells, many, no_wider_than_its_window
from opened import PHONE, becomes, findings, opened

from vithybrid_cli.report.entries import About

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_follows_the_system_until_another_is_chosen(self, chromium: "Browser", write: Write, scheme: str) -> None:
        address = write()
        with opened(chromium, address, color_scheme=scheme) as it:
            before = brightness(it.page)
            it.page.get_by_role("button", name="Dark").click()
            after = brightness(it.page)
            assert (before > 0.8, after < 0.2) == ((True, True) if scheme == "light" else (False, False))
            it.page.wait_for_timeout(500)  # what a page stores is written a moment later
            it.page.reload()
            assert brightness(it.page) == after
            it.requests[1:] = []  # the page itself, again

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("state", ["", "#open=0", "#open=3", "#search=nothing", "#label=tabby&least=0.1"])
    @pytest.mark.parametrize("size", [(1280, 800), PHONE], ids=["desk", "phone"])
    def test_everybody_can_use_it(
        self, chromium: "Browser", write: Write, scheme: str, state: str, size: tuple[int, int]
    ) -> None:
        about = About("Pictures", (("Model", "tiny"), ("Results", "results.jsonl")), "12 more pictures are not shown.")
        with opened(chromium, write(about=about) + state, size, color_scheme=scheme, reduced_motion="reduce") as it:
            if not state:
                cells(it.page).first.locator(".mark").click()
            assert findings(it.page) == []

    def test_without_scripts_nothing_is_shown_that_would_do_nothing(self, chromium: "Browser", write: Write) -> None:
        page = chromium.new_page(java_script_enabled=False)
        page.goto(write())
        assert page.locator("noscript p").is_visible()
        assert page.locator("button:visible, input:visible, select:visible").count() == 0
        page.close()

    def test_a_phone_needs_no_scrolling_sideways(self, chromium: "Browser", write: Write) -> None:
        about = About(
            "A long title of pictures " * 3, (("Model", "google/" + "vit-hybrid-" * 9), ("Results", "x" * 90))
        )
        with opened(chromium, write(many(50), about), PHONE, has_touch=True, is_mobile=True) as it:
            assert no_wider_than_its_window(it.page)
            assert it.page.get_attribute("#grid", "aria-colcount") == "2"
            it.page.get_by_role("button", name="Filters").tap()
            assert it.page.locator("#search").is_visible()
            assert no_wider_than_its_window(it.page)
            it.page.get_by_role("button", name="Filters").tap()
            cells(it.page).first.locator(".mark").tap()
            assert no_wider_than_its_window(it.page)
            cells(it.page).nth(1).tap()
            assert it.page.locator("#large").is_visible()
            assert no_wider_than_its_window(it.page)

    def test_a_turned_phone_keeps_its_place(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write(many(500)), PHONE) as it:
            it.page.evaluate("document.getElementById('grid').scrollTop = 20000")
            in_view = (
                "[...document.querySelectorAll('[role=gridcell]')].filter(e => e.getBoundingClientRect().top >= 80)"
            )
            becomes(it.page, f"Number({in_view}[0]?.dataset.position) > 100")
            before = it.page.evaluate(f"Number({in_view}[0].dataset.position)")
            it.page.set_viewport_size({"width": 720, "height": 360})
            becomes(it.page, "document.getElementById('grid').getAttribute('aria-colcount') !== '2'")
            after = it.page.evaluate(f"Number({in_view}[0].dataset.position)")
            assert abs(after - before) <= 12

    def test_nothing_moves_for_those_who_want_no_motion(self, chromium: "Browser", write: Write) -> None:
        durations = "[...document.querySelectorAll('*')].map(e => getComputedStyle(e).transitionDuration)"
        with opened(chromium, write(), reduced_motion="reduce") as it:
            assert set(it.page.evaluate(durations)) == {"0s"}
            it.page.emulate_media(reduced_motion="no-preference")
            assert set(it.page.evaluate(durations)) != {"0s"}


def brightness(page: "Page") -> float:
    """Of the background, 0 to 1."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(value) for value in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(channels) / 3 / 255
