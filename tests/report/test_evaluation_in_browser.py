"""The page of an evaluation in Chromium: its matrix by mouse and keyboard, its table, and how it looks to everybody."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from entries_to_show import no_wider_than_its_window
from evaluations import HOSTILE, LOOK, page_of
from opened import DESK, PHONE, findings, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LABELS = ("cat", "dog", "owl", "emu")
# Cats and dogs are confused, and owls and emus; the most frequent confusion is that of a cat with a dog.
PICTURES = (
    *[(0, 1, 0.9), (0, 1, 0.7), (0, 1, 0.8), (1, 0, 0.6), (1, 0, 0.95)],
    *[(2, 3, 0.5), (3, 2, 0.4), (0, 2, 0.3)],
    *[(label, label, 0.5 + 0.02 * number) for label in (0, 1, 3) for number in range(9)],
)
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the page of an evaluation and gives its address as a file."""

    def address(labels: tuple[str, ...] = LABELS, *pictures: tuple[int, int, float], paths: str = "") -> str:
        file = tmp_path / "page.html"
        looks = {f"{paths}{number}.jpg": LOOK for number in range(0, len(PICTURES), 2)}
        file.write_text(page_of(labels, *(pictures or PICTURES), looks=looks, paths=paths), encoding="utf-8")
        return file.as_uri()

    return address


def pair(page: "Page") -> tuple[str, str, list[str]]:
    """The pair whose pictures are shown, what is said of them, and their scores."""
    scores = page.locator("#pair-pictures .score").all_inner_texts()
    return page.inner_text("#pair-name"), page.inner_text("#pair-text"), scores


def cell(page: "Page", true: int, predicted: int) -> str:
    return f'#matrix [data-cell="{true}-{predicted}"]'


class TestMatrix:
    def test_begins_with_the_most_frequent_confusion(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            assert pair(it.page) == ("cat taken for dog", "3 pictures", ["90.0%", "80.0%", "70.0%"])

    def test_a_click_shows_the_pictures_of_a_cell(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.click(cell(it.page, 1, 0))
            assert pair(it.page) == ("dog taken for cat", "2 pictures", ["95.0%", "60.0%"])
            it.page.click(cell(it.page, 0, 0))
            name, text, scores = pair(it.page)
            assert (name, text) == ("cat, rightly", "9 pictures; the 8 least sure are shown")
            assert scores == [f"{50 + 2 * number}.0%" for number in range(8)]

    def test_is_operated_by_keys(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            it.page.focus("#matrix [tabindex='0']")
            assert it.page.evaluate("document.activeElement.dataset.cell") == "0-1"
            it.page.keyboard.press("Control+Home")
            first = it.page.evaluate("document.activeElement.dataset.row + document.activeElement.dataset.column")
            assert first[0] == "0"
            visited = set()
            for _ in range(4):
                it.page.keyboard.press("Home")
                for _ in range(4):
                    visited.add(it.page.evaluate("document.activeElement.dataset.cell"))
                    it.page.keyboard.press("ArrowRight")
                it.page.keyboard.press("ArrowDown")
            assert visited == {"0-0", "0-1", "0-2", "1-0", "1-1", "2-3", "3-2", "3-3"}
            assert pair(it.page)[0] == "cat taken for dog"  # nothing is chosen before Enter
            chosen = it.page.evaluate("document.activeElement.getAttribute('aria-label')")
            it.page.keyboard.press("Enter")
            assert pair(it.page)[0] in (chosen.split(":")[0], f"{chosen.split(':')[0]}, rightly")
            assert it.page.locator("#matrix [tabindex='0']").count() == 1
            assert it.page.locator("#matrix [aria-selected='true']").get_attribute("aria-label") == chosen

    def test_the_address_leads_to_a_cell(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write() + "#cell=2-3") as it:
            assert pair(it.page)[0] == "owl taken for emu"
            it.page.click(cell(it.page, 3, 2))
            assert it.page.url.endswith("#cell=3-2")
            it.page.goto(it.page.url.replace("3-2", "no-cell"))
            assert pair(it.page)[0] == "cat taken for dog"

    def test_of_a_thousand_labels_it_can_be_used(self, chromium: "Browser", write: Write) -> None:
        labels = tuple(f"label {number}, another name" for number in range(1000))
        confused = [
            (n, (n * 7 + step) % 1000, 0.5) for step in range(1, 4) for n in range(1000) for _ in range(1 + n % 3)
        ]
        with opened(chromium, write(labels, *confused, *((n, n, 0.9) for n in range(1000)))) as it:
            assert 0 < it.page.locator("#matrix [data-cell]").count() <= 40 * 40
            it.page.locator("#matrix [data-cell]").last.click()
            assert pair(it.page)[2] != []
            assert it.page.locator("#labels tbody tr").count() == 1000
            assert findings(it.page) == []


class TestRest:
    def test_the_table_is_sorted_by_its_heads(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            heads, names = it.page.locator("#labels thead button"), it.page.locator("#labels tbody th")
            assert names.all_inner_texts() == ["cat", "dog", "owl", "emu"]
            heads.filter(has_text="Recall").click()
            assert names.all_inner_texts() == ["emu", "dog", "cat", "owl"]
            heads.filter(has_text="Recall").press("Enter")
            assert names.all_inner_texts() == ["owl", "cat", "dog", "emu"]
            heads.filter(has_text="Label").click()
            assert names.all_inner_texts() == ["cat", "dog", "emu", "owl"]
            assert it.page.locator("#labels [aria-sort]").all_inner_texts() == ["Label"]

    def test_mistakes_and_hits_are_shown_with_labels_and_scores(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write()) as it:
            assert it.page.locator("#mistakes li").first.inner_text().split("\n") == [
                "cat",
                "95.0%",
                "labelled dog",
                "4.jpg",
            ]
            assert it.page.locator("#hits li").first.inner_text().split("\n") == ["cat", "50.0%", "8.jpg"]
            assert it.page.locator("#mistakes li").count() == 8
            loaded = "image => image.complete && image.naturalWidth === 2"
            images = it.page.locator("#mistakes img")
            images.first.evaluate("image => image.decode()")
            assert images.first.evaluate(loaded)
            assert images.first.get_attribute("alt") == "4.jpg"
            assert images.count() == 4  # every other picture has a thumbnail
            assert it.page.locator("#mistakes a").first.get_attribute("href") == "pictures/0.jpg"

    def test_names_are_text_whatever_is_in_them(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write((HOSTILE, "dog", "owl", "emu"), paths=HOSTILE)) as it:
            assert it.page.inner_text("#pair-name").startswith("</script><script>alert(1)</script><img src=x onerror=")
            assert it.page.locator("img[src='x']").count() == 0
            assert "\\u202e" in it.page.inner_text("#pair-name")
            assert (
                it.page.locator("#pair-pictures .second").first.inner_text()
                == "script><img src=x onerror=alert(2)> \"' & \\u2028\\u202e0.jpg"
            )

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
    def test_everybody_can_use_it(self, chromium: "Browser", write: Write, scheme: str, size: tuple[int, int]) -> None:
        with opened(chromium, write(), size, color_scheme=scheme, reduced_motion="reduce") as it:
            it.page.click("summary")
            assert findings(it.page) == []
            assert no_wider_than_its_window(it.page)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_numbers_can_be_read_on_the_colours_of_the_matrix(
        self, chromium: "Browser", write: Write, scheme: str
    ) -> None:
        with opened(chromium, write(), color_scheme=scheme) as it:
            assert it.page.evaluate(LEAST_CONTRAST) >= 4.5

    def test_a_page_without_pictures_opens(self, chromium: "Browser", tmp_path: Path) -> None:
        file = tmp_path / "page.html"
        file.write_text(page_of(LABELS), encoding="utf-8")
        with opened(chromium, file.as_uri()) as it:
            assert not it.page.is_visible("#mistakes-section")
            assert findings(it.page) == []


# The least contrast of a number to its cell, as WCAG 2.2 defines it; a cell's colour lies over the matrix's ground.
LEAST_CONTRAST = """() => {
  const read = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const colour = (element, name) => read(getComputedStyle(element)[name]);
  const light = (rgb) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = colour(document.querySelector("#matrix .ground"), "fill");
  return Math.min(...[...document.querySelectorAll("#matrix [data-cell]")].map((cell) => {
    const rect = cell.querySelector("rect");
    const opacity = Number(rect.getAttribute("fill-opacity"));
    const shown = colour(rect, "fill").map((value, at) => value * opacity + ground[at] * (1 - opacity));
    const both = [light(shown), light(colour(cell.querySelector("text"), "fill"))].sort((a, b) => b - a);
    return (both[0] + 0.05) / (both[1] + 0.05);
  }));
}"""
