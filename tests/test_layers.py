"""The design as a test: arrows point down, torch stays in its rooms, and start-up pays for nothing it does not use."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from package_modules import modules
from places import EXAMPLES

# From the bottom. Imports go down only; rooms of one layer do not know each other, but for the bottom's single files.
LAYERS = (
    ("atomic", "choices", "cores", "errors", "items", "locks", "settings", "user_cache"),
    ("hub", "images", "model", "results"),
    ("checkpoints", "output", "sources"),
    ("actions", "engines", "evaluation"),
    ("explain", "pipeline", "report", "training"),
    ("bench", "runs"),
    ("jobs",),
    ("commands",),
)
LAYER = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
OUTSIDE_THE_LAYERS = {"__init__", "__main__", "builtin"}
TORCH_ROOMS = (
    "model/beit.py",
    "model/bit.py",
    "model/build.py",
    "model/embeddings.py",
    "model/interpolate.py",
    "model/outputs.py",
    "model/vit.py",
    "checkpoints/convert.py",
    "checkpoints/layouts/key_maps.py",
    "checkpoints/load.py",
    "checkpoints/pickles.py",
    "checkpoints/write.py",
    "engines/cpu_linear.py",
    "engines/openvino_convert.py",
    "engines/torch_compile.py",
    "engines/torch_devices.py",
    "engines/torch_engine.py",
    "engines/torch_features.py",
    "engines/torch_self_test.py",
    "engines/torch_threads.py",
    "explain/",
    "training/",
)


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    """Full names of what these statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def room(name: str) -> str:
    """``engines/open.py`` and ``vithybrid_cli.engines.open`` are both in ``engines``."""
    return name.removeprefix("vithybrid_cli.").replace(".py", "").replace("/", ".").split(".")[0]


def top_names(tree: ast.Module) -> set[str]:
    """The packages of which a module imports anything, anywhere in it."""
    return {name.split(".")[0] for name in imported(ast.walk(tree))}


def test_no_module_imports_from_a_layer_above_it() -> None:
    upwards = [
        f"{path} imports {name}"
        for path, tree in modules()
        if room(path) not in OUTSIDE_THE_LAYERS
        for name in imported(ast.walk(tree))
        if name.startswith("vithybrid_cli.") and LAYER[room(name)] > LAYER[room(path)]
    ]
    assert upwards == []


def test_rooms_of_one_layer_do_not_know_each_other() -> None:
    meetings = [
        f"{path} imports {name}"
        for path, tree in modules()
        if room(path) not in OUTSIDE_THE_LAYERS and LAYER[room(path)] > 0
        for name in imported(ast.walk(tree))
        if name.startswith("vithybrid_cli.") and room(name) != room(path) and LAYER[room(name)] == LAYER[room(path)]
    ]
    assert meetings == []


def test_pictures_and_networks_never_meet() -> None:
    meetings = [
        f"{path} imports {name}"
        for path, tree in modules()
        for name in imported(ast.walk(tree))
        if {room(path), room(name)} == {"images", "model"} and name.startswith("vithybrid_cli.")
    ]
    assert meetings == []


def test_only_the_rooms_of_torch_import_it_at_the_top() -> None:
    others = [
        path
        for path, tree in modules()
        if not path.startswith(TORCH_ROOMS) and any(room(name) == "torch" for name in imported(tree.body))
    ]
    assert others == []


def test_openvino_is_imported_in_one_place_which_keeps_it_from_reporting_that() -> None:
    tops = [path for path, tree in modules() if any(room(name) == "openvino" for name in imported(tree.body))]
    within = [path for path, tree in modules() if any(room(name) == "openvino" for name in imported(ast.walk(tree)))]
    assert tops == ["engines/openvino_runtime.py"]
    assert within == ["engines/openvino_convert.py", "engines/openvino_runtime.py"]


def test_only_commands_know_typer() -> None:
    assert [path for path, tree in modules() if room(path) != "commands" and "typer" in top_names(tree)] == []


def test_only_what_is_written_for_people_knows_rich() -> None:
    rooms = ("bench", "commands", "evaluation", "output")
    assert [path for path, tree in modules() if room(path) not in rooms and "rich" in top_names(tree)] == []


def test_nothing_but_its_command_imports_what_measures() -> None:
    others = [
        path
        for path, tree in modules()
        if room(path) != "bench"
        and path != "commands/bench.py"
        and any(name.startswith("vithybrid_cli.bench") for name in imported(ast.walk(tree)))
    ]
    assert others == []


def test_nothing_imports_click() -> None:
    assert [path for path, tree in modules() if "click" in top_names(tree)] == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["classify", "--help"], id="help of classify"),
        pytest.param(["embed", "--help"], id="help of embed"),
        pytest.param(["explain", "--help"], id="help of explain"),
        pytest.param(["explain", "-m", "tiny"], id="wrong usage of explain"),
        pytest.param(["train", "--help"], id="help of train"),
        pytest.param(["bench", "--help"], id="help of bench"),
        pytest.param(["report", "--help"], id="help of report"),
        pytest.param(["report", "{labels}", "-o", "{page}"], id="report"),
        pytest.param(["--version"], id="version"),
        pytest.param(["models"], id="models"),
        pytest.param(["sort", "no results", "--into", "out"], id="wrong usage of sort"),
        pytest.param(["undo", "no journal"], id="wrong usage of undo"),
        pytest.param(["classify"], id="wrong usage"),
        pytest.param(["tag", "--help"], id="help of tag"),
        pytest.param(["tag", "no-results.jsonl"], id="wrong usage of tag"),
        pytest.param(["embed", "cat.png", "--format", "npy"], id="wrong usage of embed"),
    ],
)
def test_what_needs_no_network_does_not_import_torch(arguments: list[str], tmp_path: Path) -> None:
    labels, page = tmp_path / "labels.jsonl", tmp_path / "page.html"
    labels.write_text(json.dumps({"path": str(EXAMPLES / "cat.png"), "predictions": []}) + "\n")
    arguments = [argument.format(labels=labels, page=page) for argument in arguments]
    script = (
        "import sys\n"
        "from vithybrid_cli.commands.app import app\n"
        "try:\n"
        f"    app({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted({'torch', 'transformers', 'openvino'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
