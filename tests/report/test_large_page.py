"""A page of 10,000 pictures in Chromium: its size, how fast it opens, and that it scrolls without a stall.

Times are compared with those of the browser alone on the same machine, in turns, for other programs may be running.
"""

import io
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from entries_to_show import cells, many
from opened import opened
from PIL import Image

from vithybrid_cli.report.entries import About, Entry, Thumbnail
from vithybrid_cli.report.page import write_page
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

COUNT = 10_000
BESIDES = 400
"""Bytes of a picture in the page beside its thumbnail: its name, and five labels with their scores."""
FRAME = 150_000
"""Bytes of the page itself."""
SECONDS = 2
"""In which it opens, and twice of which is taken on a machine that does something else meanwhile."""
CELLS = 120
"""That exist at once: some rows more than there is room for in the window."""
SCROLL = """async () => {
  const grid = document.getElementById("grid");
  const room = grid.scrollHeight - grid.clientHeight;
  const scrolling = await frames((step) => { grid.scrollTop = (step * 500) % room; });
  const jumping = await frames((step) => { grid.scrollTop = (room * ((step * 37) % 100)) / 100; });
  return { scrolling, jumping };

  async function frames(act) {
    const lengths = [];
    let before = await new Promise(requestAnimationFrame);
    for (let step = 0; step < 100; step += 1) {
      act(step);
      const now = await new Promise(requestAnimationFrame);
      lengths.push(now - before);
      before = now;
    }
    return lengths.sort((a, b) => a - b);
  }
}"""
"""The milliseconds between 100 frames, sorted, while the grid is scrolled on in each, or to another place."""


def thumbnails(chance: random.Random) -> list[Thumbnail]:
    """Some that a browser really decodes, of the size that photographs have."""
    made = []
    for _ in range(50):
        content = io.BytesIO()
        small = Image.frombytes("RGB", (20, 15), chance.randbytes(900))
        small.resize((256, 192), Image.Resampling.BICUBIC).save(content, "WEBP", quality=70)
        made.append(Thumbnail(content.getvalue(), "image/webp", 256, 192))
    return made


def pictures(count: int) -> Iterator[Entry]:
    """Pictures of a thousand labels."""
    chance = random.Random(0)
    made = thumbnails(chance)
    for number in range(count):
        scores = sorted((chance.random() for _ in range(5)), reverse=True)
        predictions = tuple(
            Prediction(index, f"label {index}", score)
            for index, score in zip(chance.sample(range(1000), 5), scores, strict=True)
        )
        answer = Answer(predictions[0].label, predictions[0].score, predictions[0].index)
        yield Entry(f"photos/{number:05}.jpg", answer, predictions, thumbnail=made[number % len(made)])


def written(file: Path, count: int) -> Path:
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        write_page(stream, pictures(count), About("Pictures"))
    return file


@pytest.fixture(scope="module")
def large_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("large") / "page.html", COUNT)


def test_it_holds_little_more_than_its_thumbnails(large_page: Path) -> None:
    inlined = sum(len(made.content) for made in thumbnails(random.Random(0))) / 50 * 4 / 3 * COUNT
    assert inlined < large_page.stat().st_size < inlined + COUNT * BESIDES + FRAME


def test_it_opens_hardly_later_than_the_browser_has_read_it(chromium: "Browser", large_page: Path) -> None:
    bare = large_page.with_name("bare.html")
    text = large_page.read_text(encoding="utf-8")
    bare.write_text(text.replace('<script type="module">', '<script type="text/plain">'), encoding="utf-8")
    turns = [(opening(chromium, large_page, "[role=gridcell] img"), opening(chromium, bare, "main")) for _ in range(3)]
    page, alone = (min(times) for times in zip(*turns, strict=True))
    assert page < 3 * alone
    assert page < 2 * SECONDS


def opening(browser: "Browser", file: Path, expected: str) -> float:
    """Seconds until a page is read and shows what is expected."""
    page = browser.new_page()
    try:
        begin = time.perf_counter()
        page.goto(file.as_uri())
        page.locator(expected).first.wait_for()
        return time.perf_counter() - begin
    finally:
        page.close()


def test_it_scrolls_as_fast_as_a_page_of_few_pictures(chromium: "Browser", large_page: Path) -> None:
    small_page = written(large_page.with_name("small.html"), 500)
    turns = [(scrolled(chromium, large_page), scrolled(chromium, small_page)) for _ in range(3)]
    large, small = ({name: min(turn[page][name] for turn in turns) for name in turns[0][page]} for page in (0, 1))
    for name, milliseconds in large.items():
        assert milliseconds < 1.5 * small[name] + 17, name  # a frame, for they come in whole ones


def scrolled(browser: "Browser", file: Path) -> dict[str, float]:
    """How long a frame takes, on average and the slowest but five of a hundred, in milliseconds."""
    with opened(browser, file.as_uri()) as it:
        frames = it.page.evaluate(SCROLL)
        assert cells(it.page).count() < CELLS
    means = {f"mean while {kind}": sum(lengths) / len(lengths) for kind, lengths in frames.items()}
    return means | {f"slowest while {kind}": lengths[94] for kind, lengths in frames.items()}


def test_only_cells_near_the_view_exist_wherever_it_is(chromium: "Browser", large_page: Path) -> None:
    with opened(chromium, large_page.as_uri()) as it:
        cells(it.page).first.focus()
        it.page.keyboard.press("Control+End")
        assert it.page.evaluate("document.activeElement.dataset.position") == str(COUNT - 1)
        assert cells(it.page).count() < CELLS
        it.page.keyboard.press("Control+a")
        assert it.page.locator("#selected-count").inner_text() == "10,000 selected"
        it.page.fill("#search", "0999")
        assert it.page.locator("#count").inner_text() == "11 of 10,000 pictures"


def test_a_hundred_times_as_many_pictures_make_the_page_longer_and_the_document_not(
    chromium: "Browser", tmp_path: Path
) -> None:
    nodes = "document.body.querySelectorAll(':not(script)').length"
    counted = []
    for count in (200, 20_000):
        file = tmp_path / f"{count}.html"
        with file.open("w", encoding="utf-8") as stream:
            write_page(stream, many(count), About("Pictures"))
        with opened(chromium, file.as_uri()) as it:
            counted.append(it.page.evaluate(nodes))
    assert counted[0] == counted[1]
