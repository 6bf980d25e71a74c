"""The page of results in Chromium, as a person uses it: with mouse, keyboard, a phone, and what hostile files send."""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opened import PHONE, findings, opened
from PIL import Image

from vithybrid_cli.output.read_results import read_results
from vithybrid_cli.report.entries import About, Entry, Thumbnail
from vithybrid_cli.report.page import write_page
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

Write = Callable[..., str]

LABELS = ("tabby", "tench", "goldfish")


def thumbnail(colour: str = "teal", size: tuple[int, int] = (96, 72)) -> Thumbnail:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "WEBP", lossless=True)
    return Thumbnail(content.getvalue(), "image/webp", *size)


def labelled(path: str, *scored: tuple[str, float], notes: tuple[str, ...] = (), original: str | None = None) -> Entry:
    """An entry with these labels and scores; an index is that of the label in LABELS, or one that it makes up."""
    index = [LABELS.index(label) if label in LABELS else 100 + len(label) for label, _ in scored]
    predictions = tuple(Prediction(i, label, score) for i, (label, score) in zip(index, scored, strict=True))
    answer = Answer(predictions[0].label, predictions[0].score, predictions[0].index) if predictions else None
    return Entry(path, answer, predictions, None, notes, thumbnail(), original)


def failed(path: str, message: str = "The file is cut off.") -> Entry:
    return Entry(path, error=("UnreadableImage", message))


MIXED = (
    labelled("b/cat 10.jpg", ("tabby", 0.9), ("tench", 0.05), original="b/cat%2010.jpg"),
    labelled("b/cat 2.jpg", ("tabby", 0.4), ("goldfish", 0.3)),
    labelled("a/fish.jpg", ("tench", 0.7), ("goldfish", 0.2), notes=("changed since it was labelled",)),
    failed("a/broken.jpg"),
    labelled("c/none.jpg"),
    labelled("c/gold.jpg", ("goldfish", 0.97)),
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a page and gives its address as a file."""

    def address(entries: Iterable[Entry] = MIXED, about: About = About("Pictures")) -> str:
        file = tmp_path / "page.html"
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            write_page(stream, entries, about)
        return file.as_uri()

    return address


def cells(page: "Page") -> "Locator":
    return page.get_by_role("gridcell")


def names(page: "Page") -> list[str]:
    """The file names that are shown, in order."""
    return cells(page).locator(".name").all_inner_texts()


def focused(page: "Page") -> str:
    name = page.evaluate("document.activeElement.querySelector('.name')?.textContent ?? document.activeElement.id")
    return str(name)


def fragment(page: "Page") -> str:
    return str(page.evaluate("location.hash"))


def selected(page: "Page") -> list[str]:
    return page.locator("[aria-selected=true] .name").all_inner_texts()


def many(count: int) -> Iterable[Entry]:
    """So many pictures of the three labels, in turn, with scores that grow."""
    return (labelled(f"p/{number:05}.jpg", (LABELS[number % 3], number / count)) for number in range(count))


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
            it.page.get_by_label("Lowest score").fill("60")
            assert names(it.page) == ["cat 10.jpg", "fish.jpg", "gold.jpg"]
            it.page.get_by_label("Highest score").fill("95")
            assert names(it.page) == ["cat 10.jpg", "fish.jpg"]
            assert it.page.locator("#scores-text").inner_text() == "60.0% – 95.0%"
            it.page.get_by_label("Highest score").fill("50")  # which pushes the lowest down
            assert it.page.locator("#scores-text").inner_text() == "50.0% – 50.0%"
            assert it.page.locator("#empty-text").inner_text() == "No picture is like that."

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
            cells(it.page).first.click()
            assert it.page.locator("#large-label").inner_text() == "unsure"
            assert it.page.locator("#large-predictions .label").all_inner_texts() == ["tabby", "tench"]

    def test_letters_in_one_sign_and_in_two_are_the_same(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write([labelled("cafe\u0301.jpg", ("tabby", 0.5)), failed("x.jpg")])) as it:
            it.page.fill("#search", "CAF\u00c9")
            assert it.page.locator("#count").inner_text() == "1 of 2 pictures"


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
            it.page.wait_for_function("document.querySelectorAll('[aria-rowindex]').length > 5")
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
            it.page.wait_for_function("!location.hash")
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
            it.page.go_back()
            assert not it.page.locator("#large").is_visible()
            it.page.go_forward()
            assert it.page.locator("#large-path").inner_text() == "b/cat 2.jpg"


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


class TestAddress:
    def test_what_is_chosen_is_in_the_address_and_comes_back_with_it(self, chromium: "Browser", write: Write) -> None:
        address = write()
        with opened(chromium, address) as it:
            it.page.locator("#bars button").filter(has_text="tabby").click()
            it.page.select_option("#sort", "lowest")
            it.page.fill("#search", "cat & 1")
            it.page.fill("#search", "cat 1")
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

    def test_an_open_picture_is_in_the_address(self, chromium: "Browser", write: Write) -> None:
        with opened(chromium, write() + "#open=2&sort=path") as it:
            assert it.page.locator("#large-path").inner_text() == "a/fish.jpg"
            it.page.keyboard.press("Escape")
            assert fragment(it.page) == "#sort=path"
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
            it.page.get_by_label("Lowest score").fill("50")
            assert names(it.page) == ["a.jpg"]
            cells(it.page).first.click()
            widths = it.page.locator("#large-predictions .length").evaluate_all("all => all.map(e => e.style.width)")
            assert widths == ["100%", "0%"]

    def test_thumbnails_beside_the_page_are_shown(self, chromium: "Browser", write: Write, tmp_path: Path) -> None:
        (tmp_path / "page files").mkdir()
        (tmp_path / "page files" / "0.webp").write_bytes(thumbnail().content)
        entries = [Entry("a.jpg", thumbnail="page%20files/0.webp"), Entry("b.jpg", thumbnail="page%20files/gone.webp")]
        context = chromium.new_context()
        page = context.new_page()
        page.goto(write(entries))
        page.wait_for_function("document.querySelectorAll('.grid img').length === 1")  # the other one is gone
        page.wait_for_function("document.querySelector('.grid img').naturalWidth === 96")
        context.close()

    def test_very_long_paths(self, chromium: "Browser", write: Write) -> None:
        path = "/".join(["folder" * 20] * 20) + "/" + "x" * 255
        with opened(chromium, write([labelled(path, ("tabby", 0.5))]), PHONE) as it:
            cells(it.page).first.click()
            assert it.page.locator("#large-path").inner_text() == path
            assert no_wider_than_its_window(it.page)


def no_wider_than_its_window(page: "Page") -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


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
            it.page.wait_for_function(f"Number({in_view}[0].dataset.position) > 100")
            before = it.page.evaluate(f"Number({in_view}[0].dataset.position)")
            it.page.set_viewport_size({"width": 720, "height": 360})
            it.page.wait_for_function("document.getElementById('grid').getAttribute('aria-colcount') !== '2'")
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
