"""Write into the documentation what its commands and its Python print: `python scripts/outputs.py [PAGE…]`.

They are run here and now, as tests/test_docs.py runs them. What needs a download or takes long is left as it is, and so
is all other text, to the byte. Where no output is shown, none is written.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # the tests read and run the pages in the same way

from page_runs import run_commands, run_snippets
from pages import PAGES, Command, Page, Snippet
from shell import make_workplace


def printed(page: Page, workplace: Path) -> Iterator[tuple[Command | Snippet, str]]:
    """All of a page that runs here, with what it prints. One that ends otherwise than the page says ends the script."""
    for command, done in run_commands(page, workplace):
        if done is None:
            raise SystemExit(f"{page.path}: `{command.text}` needs jq. Install it, and run this again.")
        if done.returncode != command.exit_code:
            raise SystemExit(f"{page.path}: `{command.text}` has ended with {done.returncode}.\n{done.stderr}")
        yield command, done.stdout
    yield from run_snippets(page, workplace)


def renewed(page: Page) -> str:
    """The text of the page with what is printed now in place of what it shows."""
    with TemporaryDirectory() as folder:
        outputs = [(what.where, now) for what, now in printed(page, make_workplace(Path(folder))) if what.output]
    text = page.text
    for (start, end), now in sorted(outputs, reverse=True):  # from the end, so that places stay what they are
        text = text[:start] + now + text[end:]
    return text


def main(pages: list[Page]) -> None:
    """Renew these pages; one that is true already is not written."""
    with TemporaryDirectory() as cache:  # as tests/conftest.py does: alike on every machine, and converted once
        os.environ |= {"OMP_NUM_THREADS": "1", "VITHYBRID_CACHE": cache}
        for page in pages:
            text = renewed(page)
            if text != page.text:
                page.path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main([Page(Path(name)) for name in sys.argv[1:]] or PAGES)
