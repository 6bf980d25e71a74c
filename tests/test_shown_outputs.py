"""`scripts/outputs.py` writes what is printed into a page, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import Page
from places import ROOT

from scripts import outputs

STALE = """\
# A page

Stays as it is:  two spaces, a trailing one \nand `$ echo stale`.

```console
$ echo one; echo two
stale
$ printf 'no output is shown\\n' | tee made.txt
$ make docs
what is not run here
$ cat made.txt; false
stale, and of
two lines
$ echo $?
1
$ printf '\\\\1 50%%\\n' | cat # --format table
stale: 1%
```

```python
number = 1
```

```python
print(number + 1)
```

```text
stale
```

```json
{"stale": true}
```

```text
stale
```
"""
TRUE = STALE
for _stale, _now in (
    ("two\nstale\n", "two\none\ntwo\n"),
    ("stale, and of\ntwo lines\n", "no output is shown\n"),
    ("stale: 1%\n", "\\1 50%\n"),
    ("```text\nstale\n```\n\n```json", "```text\n2\n```\n\n```json"),
):
    TRUE = TRUE.replace(_stale, _now)


def renew(page: Path) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, "scripts/outputs.py", str(page)]
    return subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page in a folder of its own."""
    return tmp_path / "page.md"


def test_what_is_shown_becomes_what_is_printed_and_a_true_page_stays_untouched(
    page: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("OMP_NUM_THREADS", "VITHYBRID_CACHE"):  # which the script sets
        monkeypatch.setenv(name, os.environ[name])
    page.write_bytes(STALE.encode())
    outputs.main([Page(page)])
    assert capfd.readouterr() == ("", "")
    assert page.read_bytes() == TRUE.encode()
    written = page.stat().st_mtime_ns
    outputs.main([Page(page)])
    assert (page.read_bytes(), page.stat().st_mtime_ns) == (TRUE.encode(), written)


def test_a_command_that_ends_otherwise_than_the_page_says_is_named_and_nothing_is_written(page: Path) -> None:
    text = "```console\n$ echo new\nstale\n$ echo why >&2; false\n```\n"
    page.write_text(text, encoding="utf-8")
    done = renew(page)
    assert done.returncode == 1
    assert done.stderr == f"{page}: `echo why >&2; false` has ended with 1.\nwhy\n\n"
    assert page.read_text(encoding="utf-8") == text
