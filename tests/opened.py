"""A page that is opened in a browser, with what it asked for and complained about meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK = (1280, 800)
PHONE = (360, 720)


@dataclass
class Opened:
    """``requests`` are the addresses that the page asked for, itself first; ``complaints`` are errors of any kind."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._said(message.type, message.text))

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):  # which ask nobody
            self.requests.append(url)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def opened(browser: "Browser", address: str, size: tuple[int, int] = DESK, **context: Any) -> Iterator[Opened]:
    """``address`` in a window of its own; at its end nothing else was asked for and nothing complained about."""
    surroundings = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
    try:
        found = Opened(surroundings.new_page())
        found.listen()
        found.page.goto(address)
        yield found
        assert found.complaints == []
        assert {url.split("#")[0] for url in found.requests} == {address.split("#")[0]}
    finally:
        surroundings.close()


def becomes(page: "Page", condition: str, seconds: float = 20) -> None:
    """Wait until an expression is true in the page; Playwright's way evaluates text there, which the policy stops."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"it did not happen: {condition}"
        page.wait_for_timeout(10)


def findings(page: "Page") -> list[str]:
    """What axe-core finds serious or critical in a page: the rule and where."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in violations
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address at which a server has the files of ``folder``, and the paths that it was asked for.

    It is no server of asyncio: Playwright's own loop runs in this thread.
    """
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_request(self, *_: object) -> None:
            asked.append(self.path)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
