"""The page of results asks nobody for anything, and its policy lets nothing that got into it do so either."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from entries_to_show import Write, cells, thumbnail
from opened import becomes, opened, served

from vithybrid_cli.report.entries import Entry

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

# What a script that got into the page would try; OTHER is a server's address.
ATTEMPTS = (
    pytest.param("fetch('OTHER/x')", id="fetch"),
    pytest.param("new Image().src = 'OTHER/x'", id="picture"),
    pytest.param("navigator.sendBeacon('OTHER/x', 'data')", id="beacon"),
    pytest.param("new WebSocket('OTHER/x'.replace('http', 'ws'))", id="socket"),
    pytest.param("new EventSource('OTHER/x')", id="event source"),
    pytest.param("add('script', {src: 'OTHER/x'})", id="script"),
    pytest.param("add('link', {rel: 'stylesheet', href: 'OTHER/x'})", id="style sheet"),
    pytest.param("add('iframe', {src: 'OTHER/x'})", id="frame"),
    pytest.param("add('object', {data: 'OTHER/x'})", id="object"),
    pytest.param("add('video', {src: 'OTHER/x'})", id="video"),
    pytest.param("add('form', {action: 'OTHER/x'}).submit()", id="form"),
    pytest.param("new FontFace('f', 'url(OTHER/x)').load()", id="font"),
    pytest.param("add('div', {}).style.backgroundImage = 'url(OTHER/x)'", id="background"),
    pytest.param("new Worker('OTHER/x')", id="worker"),
)
ADD = "const add = (name, values) => document.body.appendChild(Object.assign(document.createElement(name), values));"


def inserted(script: str) -> str:
    """``script`` as one of the page's own runs, later: what Playwright evaluates at once may do more than those."""
    return f"() => {{ {ADD} setTimeout(() => {{ try {{ void ({script}); }} catch {{ }} }}); }}"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_request_leaves_the_page(chromium: "Browser", write: Write, tmp_path: Path, attempt: str) -> None:
    write()
    context = chromium.new_context()
    with served(tmp_path) as (address, asked):
        page = context.new_page()
        page.goto(f"{address}/page.html")
        other = address.replace("127.0.0.1", "localhost")  # of another origin
        for target in (other, address):
            script = attempt.replace("OTHER", target)
            page.evaluate(inserted(script))
        page.wait_for_timeout(150)
        assert asked == ["/page.html"]
    context.close()


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("document.body.innerHTML = '<b>'", id="markup"),
        pytest.param("add('script', {textContent: 'window.taken = 1'})", id="script"),
        pytest.param("add('a', {href: 'javascript:window.taken = 1'}).click()", id="address with code"),
        pytest.param(
            "(p => { p.setAttribute('onclick', 'window.taken = 1'); p.click(); })(add('p', {}))", id="handler"
        ),
        pytest.param("new Function('window.taken = 1')()", id="function of text"),
    ],
)
def test_text_never_runs(chromium: "Browser", write: Write, attempt: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(write())
    page.evaluate(inserted(attempt))
    page.wait_for_timeout(50)
    assert page.evaluate("window.taken") is None
    assert page.locator("b").count() == 0
    context.close()


def test_a_server_that_has_the_page_is_asked_for_it_alone(chromium: "Browser", write: Write, tmp_path: Path) -> None:
    write()
    with served(tmp_path) as (address, asked):
        with opened(chromium, f"{address}/page.html") as it:
            cells(it.page).first.click()
            it.page.keyboard.press("Escape")
            it.page.get_by_role("button", name="Errors").click()
        assert asked == ["/page.html"]


@pytest.mark.parametrize("is_served", [False, True], ids=["as a file", "from a server"])
def test_thumbnails_beside_the_page_are_all_that_it_loads(
    chromium: "Browser", write: Write, tmp_path: Path, is_served: bool
) -> None:
    (tmp_path / "page files").mkdir()
    (tmp_path / "page files" / "0.webp").write_bytes(thumbnail().content)
    entries = [Entry("a.jpg", thumbnail="page%20files/0.webp"), Entry("b.jpg", thumbnail="page%20files/gone.webp")]
    file = write(entries)
    context = chromium.new_context()
    with served(tmp_path) as (address, asked):
        page = context.new_page()
        page.goto(f"{address}/page.html" if is_served else file)
        becomes(page, "document.querySelectorAll('.grid img').length === 1")  # the other one is gone
        becomes(page, "document.querySelector('.grid img').naturalWidth === 96")
        wanted = ["/page files/0.webp", "/page files/gone.webp", "/page.html"]
        assert sorted(path.replace("%20", " ") for path in asked) == (wanted if is_served else [])
    context.close()
