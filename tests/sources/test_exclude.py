"""Patterns of what is passed over below folders."""

import re

import pytest

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.exclude import Exclude


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        pytest.param("raw", "photos/raw", True, id="a name"),
        pytest.param("raw", "photos/a/b/raw", True, id="a name at any depth"),
        pytest.param("raw", "photos/raw.jpg", False, id="a whole name"),
        pytest.param("*_edit.*", "photos/a/cat_edit.jpg", True, id="a name with wildcards"),
        pytest.param("raw/*", "photos/raw/1.jpg", True, id="a path below the input"),
        pytest.param("raw/*", "photos/a/raw/1.jpg", False, id="a path begins at the input"),
        pytest.param("a/*.jpg", "photos/a/b/1.jpg", False, id="a star stays within its folder"),
        pytest.param("/raw", "photos/raw", True, id="a slash at the beginning"),
        pytest.param("/raw", "photos/a/raw", False, id="a slash at the beginning is about the input's folder"),
        pytest.param("./raw/*", "photos/raw/1.jpg", True, id="a dot at the beginning"),
        pytest.param("**/thumbs/**", "photos/a/thumbs", True, id="any depth"),
        pytest.param("**/thumbs/*.jpg", "photos/thumbs/1.jpg", True, id="any depth is none, too"),
        pytest.param("a/**/z.jpg", "photos/a/b/c/z.jpg", True, id="any depth within"),
        pytest.param("photos/raw", "photos/raw", True, id="the path as it was written"),
        pytest.param("photos [1]", "x/photos [1]", True, id="brackets of a name"),
        pytest.param("RAW", "photos/raw", False, id="case counts"),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    exclude = Exclude.of([pattern])
    assert (exclude.fits(path, "photos", is_folder=True), exclude.fits(path, "photos/", is_folder=False)) == (
        fits,
        fits,
    )


@pytest.mark.parametrize("pattern", ["", "/", ".", "./"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=rf"The pattern '{re.escape(pattern)}' names nothing .* Give exclude the name"):
        Exclude.of(["raw", pattern])


def test_a_slash_at_the_end_is_about_folders_alone() -> None:
    exclude = Exclude.of(["raw/", "a/b/"])
    for path in ("photos/x/raw", "photos/a/b"):
        assert exclude.fits(path, "photos", is_folder=True)
        assert not exclude.fits(path, "photos", is_folder=False)
