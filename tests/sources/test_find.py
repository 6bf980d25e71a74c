"""Inputs become paths: lazily, in order, without losing any."""

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vithybrid_cli.errors import ImageError, MissingFile, NotAFile
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.suffixes import picture_suffixes
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.walk import natural_key

Tree = Callable[[str], None]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Makes files, named in one text, in a new current folder."""
    monkeypatch.chdir(tmp_path)

    def make(names: str) -> None:
        for name in names.split():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def found(*inputs: str) -> list[str]:
    return list(find(inputs))


@pytest.mark.parametrize(
    ("files", "inputs", "expected"),
    [
        pytest.param("b.jpg a.jpg", "b.jpg a.jpg b.jpg", "b.jpg a.jpg b.jpg", id="files as they are given"),
        pytest.param("notes.txt", "notes.txt gone.jpg", "notes.txt gone.jpg", id="also what is no picture or missing"),
        pytest.param("p/img10.jpg p/img2.jpg p/IMG3.jpg", "p", "p/img2.jpg p/IMG3.jpg p/img10.jpg", id="natural order"),
        pytest.param("p/a.jpg p/b/c.png p/d.gif", "p", "p/a.jpg p/b/c.png p/d.gif", id="folders in their place"),
        pytest.param("p/a.jpg", "p/", "p/a.jpg", id="a slash at the end"),
        pytest.param("a.jpg p/b.jpg", ".", "./a.jpg ./p/b.jpg", id="the current folder"),
        pytest.param("p/a.jpg q/b.jpg", "q p", "q/b.jpg p/a.jpg", id="the order of the inputs"),
        pytest.param("p/.a.jpg p/.b/c.jpg p/d.jpg", "p", "p/d.jpg", id="hidden files are skipped"),
        pytest.param(".p/a.jpg", ".p", ".p/a.jpg", id="a hidden folder that is named"),
        pytest.param("p/a.txt p/b p/c.JPG p/d.mpg p/e.eps", "p", "p/c.JPG", id="only pictures"),
        pytest.param("p/a.heic", "p", "p/a.heic", id="HEIC is not lost silently"),
        pytest.param("p/a.txt", "p", "", id="nothing in it"),
    ],
)
def test_files_and_folders(tree: Tree, files: str, inputs: str, expected: str) -> None:
    tree(files)
    assert expected.split() == found(*inputs.split())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("*.jpg", "a1.jpg a2.jpg a10.jpg", id="star"),
        pytest.param("a?.jpg", "a1.jpg a2.jpg", id="question mark"),
        pytest.param("a[12].jpg", "a1.jpg a2.jpg", id="brackets"),
        pytest.param("p/*.png", "p/x.png", id="in a folder"),
        pytest.param("./p/*.png", "./p/x.png", id="written with a dot"),
        pytest.param("*/*.png", "p/x.png", id="a wildcard for a folder"),
        pytest.param("p/**/*.png", "p/q/r/z.png p/q/y.png p/x.png", id="any depth"),
        pytest.param("**/*.png", "p/q/r/z.png p/q/y.png p/x.png", id="any depth from here"),
        pytest.param("**/q/**/*.png", "p/q/r/z.png p/q/y.png", id="any depth twice, each once"),
        pytest.param("p/q*", "p/q/r/z.png p/q/y.png", id="a folder gives its pictures"),
        pytest.param("*.txt", "notes.txt", id="a file that is no picture, as the shell would"),
        pytest.param("p/**", "p/q/r/z.png p/q/y.png p/x.png", id="everything below"),
        pytest.param(".*/*.png", ".h/h.png", id="hidden where the pattern says so"),
        pytest.param("*.bmp", "*.bmp", id="no match"),
        pytest.param("gone/*.png", "gone/*.png", id="no such folder"),
    ],
)
def test_patterns(tree: Tree, pattern: str, expected: str) -> None:
    tree("a1.jpg a2.jpg a10.jpg notes.txt p/x.png p/q/y.png p/q/r/z.png .h/h.png p/.hidden.png")
    assert expected.split() == found(pattern)


def test_an_absolute_pattern_gives_absolute_paths(tree: Tree, tmp_path: Path) -> None:
    tree("p/x.png")
    assert [f"{tmp_path}/p/x.png"] == found(f"{tmp_path}/*/x.png")


def test_a_file_whose_name_looks_like_a_pattern_is_taken_literally(tree: Tree) -> None:
    tree("a[1].jpg a1.jpg")
    assert found("a[1].jpg") == ["a[1].jpg"]


def test_a_pattern_without_a_match_becomes_a_missing_file_that_says_so(tree: Tree) -> None:
    tree("a.jpg")
    (path,) = found("*.png")
    with pytest.raises(MissingFile, match="as a pattern it matches none"):
        decode(path)


@pytest.mark.parametrize("text", ["", "\0.jpg", "x" * 5000 + ".jpg", "*" * 300, "\0*"])
def test_a_text_that_can_be_no_path_is_left_to_decoding(tree: Tree, text: str) -> None:
    tree("p/a.jpg")
    if text == "*" * 300:
        assert found(text) == ["p/a.jpg"]
        return
    (path,) = found(text)
    with pytest.raises(ImageError):
        decode(path)


def test_a_loop_of_links_ends_and_gives_each_picture_once(tree: Tree) -> None:
    tree("p/a.jpg p/q/b.jpg p/r/c.jpg")
    Path("p/q/up").symlink_to("..", target_is_directory=True)
    Path("p/q/r").symlink_to("../r", target_is_directory=True)
    Path("p/r/q").symlink_to("../q", target_is_directory=True)
    Path("p/self.jpg").symlink_to("self.jpg")
    assert found("p") == ["p/a.jpg", "p/q/b.jpg", "p/r/c.jpg", "p/self.jpg"]
    assert found("p/**/b.jpg") == ["p/q/b.jpg"]


def test_pictures_have_their_own_paths_where_a_link_comes_before_their_folder(tree: Tree) -> None:
    tree("p/orig/cat.jpg p/orig/sub/dog.jpg")
    links = {"a": "orig", "b": "a", "c": "orig/sub", "orig/d": "sub", "e": str(Path("p").resolve())}
    for link, target in links.items():
        Path("p", link).symlink_to(target, target_is_directory=True)
    Path("q").symlink_to("p", target_is_directory=True)
    for root in ("p", "p/", "./p", "q"):
        assert found(root) == [os.path.join(root, "orig/cat.jpg"), os.path.join(root, "orig/sub/dog.jpg")]  # noqa: PTH118
    assert found("p/c") == ["p/c/dog.jpg"]
    assert found("p/[ac]") == ["p/a/cat.jpg", "p/a/d/dog.jpg"]
    assert found("p/?/*.jpg") == ["p/a/cat.jpg", "p/c/dog.jpg"]


@pytest.mark.parametrize("folder", [".hidden", "@eaDir", "raw", "raw/@eaDir/x"])
def test_a_link_to_a_folder_that_is_passed_over_is_followed(tree: Tree, folder: str) -> None:
    tree(f"p/{folder}/cat.jpg p/z.jpg")
    Path("p/a").symlink_to(folder, target_is_directory=True)
    assert list(find(["p"], ["raw"])) == ["p/a/cat.jpg", "p/z.jpg"]


def test_links_to_pictures_and_folders_are_followed_and_a_broken_one_is_reported(tree: Tree) -> None:
    tree("elsewhere/a.jpg p/b.jpg")
    Path("p/link").symlink_to("../elsewhere", target_is_directory=True)
    Path("p/c.jpg").symlink_to("b.jpg")
    Path("p/d.jpg").symlink_to("gone.jpg")
    assert found("p") == ["p/b.jpg", "p/c.jpg", "p/d.jpg", "p/link/a.jpg"]
    with pytest.raises(MissingFile):
        decode("p/d.jpg")


@pytest.mark.parametrize("pattern", ["p", "p/**", "p/*/*.jpg", "p/**/*.jpg"])
def test_a_link_to_a_folder_that_is_not_there_now_is_reported(tree: Tree, pattern: str) -> None:
    tree("p/q/a.jpg p/q/.b/c.jpg")
    for name, target in (("archive", "../not-mounted"), ("2019.05", "../away"), ("notes.txt", "gone"), (".h", "gone")):
        Path("p", name).symlink_to(target)
    assert found(pattern) == ["p/2019.05", "p/archive", "p/q/a.jpg"]
    assert list(find([pattern], ["archive", "2019*"])) == ["p/q/a.jpg"]
    with pytest.raises(MissingFile, match=r"a link to \.\./not-mounted, where there is nothing"):
        decode("p/archive")


def test_a_pipe_among_pictures_is_reported_and_not_opened(tree: Tree) -> None:
    tree("p/a.jpg")
    os.mkfifo("p/b.jpg")
    assert found("p") == ["p/a.jpg", "p/b.jpg"]
    with pytest.raises(NotAFile):
        decode("p/b.jpg")


def test_a_folder_that_cannot_be_listed_is_reported_and_its_neighbours_are_kept(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree("p/a.jpg p/b/secret.jpg p/c.jpg")
    scandir = os.scandir

    def guarded(folder: str) -> object:
        if folder.endswith("b"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    assert found("p") == ["p/a.jpg", "p/b", "p/c.jpg"]
    assert found("p/**/*.jpg") == ["p/a.jpg", "p/b", "p/c.jpg"]
    assert found("p/b") == ["p/b"]


def test_paths_come_while_later_inputs_are_not_known_yet(tree: Tree) -> None:
    tree("p/a.jpg p/b.jpg")

    def endless() -> Iterable[str]:
        while True:
            yield "p"

    stream = find(endless())
    assert [next(stream) for _ in range(3)] == ["p/a.jpg", "p/b.jpg", "p/a.jpg"]


def test_only_the_folder_at_hand_is_listed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree("p/a/1.jpg p/b/2.jpg p/c/3.jpg")
    listed: list[str] = []
    scandir = os.scandir

    def noted(folder: str) -> object:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", noted)
    assert next(find(["p"])) == "p/a/1.jpg"
    assert listed == ["p", "p/a"]


def test_a_folder_that_grows_while_it_is_read_gives_what_it_held_when_it_was_entered(tree: Tree) -> None:
    tree("p/a.jpg p/b/1.jpg p/c.jpg")
    paths = []
    for number, path in enumerate(find(["p"])):
        paths.append(path)
        tree(f"p/0{number}.jpg p/z{number}.jpg p/b/0.jpg p/y{number}/1.jpg")
    assert paths == ["p/a.jpg", "p/b/0.jpg", "p/b/1.jpg", "p/c.jpg"]  # of p/b, too: it was entered later


def test_a_very_deep_tree_is_walked(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").touch()
    monkeypatch.chdir(tmp_path)
    assert found("d") == ["d/" * 1200 + "a.jpg"]
    Path("d/" * 1200 + "a.jpg").unlink()
    os.removedirs("d/" * 1200)  # pytest's own clean-up would recurse too deep
    tmp_path.mkdir(exist_ok=True)


def test_suffixes_are_those_of_formats_that_pillow_decodes() -> None:
    assert {".jpg", ".jpeg", ".png", ".gif", ".tif", ".webp", ".bmp", ".mpo", ".jp2", ".ppm"} <= picture_suffixes()
    assert not {".pdf", ".mpg", ".eps", ".h5", ".txt", ""} & picture_suffixes()


def test_numbers_sort_by_value_and_letters_without_case() -> None:
    names = ["a.jpg", "B.jpg", "c1.jpg", "c02.jpg", "c2.jpg", "c10.jpg", "c10a.jpg", "c" + "9" * 30 + ".jpg"]
    assert sorted(random.Random(0).sample(names, len(names)), key=natural_key) == names
