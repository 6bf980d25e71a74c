"""The wheel: what is in it, and that it works where it is installed, away from the repository."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from places import ROOT

from vithybrid_cli import __version__
from vithybrid_cli.hub import catalog

PACKAGE = ROOT / "vithybrid_cli"
OF_PAGES = (".css", ".html", ".js")
BUILT_IN = ["config.json", "model.safetensors", "preprocessor_config.json"]
BUILT_IN_LIMIT = 6_000_000  # bytes of the whole model


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree with the hatchling at hand."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into; its dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def run(installed: Path, *arguments: str) -> str:
    """What the installed program prints, far from the repository."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    program = [sys.executable, "-m", "vithybrid_cli", *arguments]
    done = subprocess.run(program, cwd=installed.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"vithybrid_cli-{__version__}.dist-info/{name}").decode()


def test_the_wheel_holds_every_module_and_the_built_in_model_and_nothing_else(wheel: Path) -> None:
    modules = [path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")]
    model = [f"vithybrid_cli/builtin/tiny/{name}" for name in BUILT_IN]
    information = f"vithybrid_cli-{__version__}.dist-info/"
    held = [name for name in contents(wheel) if not name.startswith(information)]
    layouts = "vithybrid_cli/checkpoints/layouts"
    tables = [f"{layouts}/{name}" for name in ("imagenet-labels.tsv", "wordnet-ancestors.tsv", "wordnet-licence.txt")]
    pages = [path.relative_to(ROOT).as_posix() for path in (PACKAGE / "report").iterdir() if path.suffix in OF_PAGES]
    assert sorted(held) == sorted([*modules, *model, *pages, *tables, "vithybrid_cli/py.typed"])


def test_the_wheel_holds_nothing_from_beside_the_package(wheel: Path) -> None:
    assert (ROOT / "benchmarks" / "compare.py").is_file()
    information = f"vithybrid_cli-{__version__}.dist-info"
    assert {name.split("/")[0] for name in contents(wheel)} == {"vithybrid_cli", information}


def test_the_built_in_model_takes_at_most_6_megabytes(wheel: Path) -> None:
    held = contents(wheel)
    sizes = [held[f"vithybrid_cli/builtin/tiny/{name}"].file_size for name in BUILT_IN]
    assert sum(sizes) <= BUILT_IN_LIMIT


def test_every_file_of_the_wheel_may_be_read_by_everybody(wheel: Path) -> None:
    private = [name for name, entry in contents(wheel).items() if (entry.external_attr >> 16) & 0o044 != 0o044]
    assert private == []


def test_the_wheel_states_version_python_licence_and_command(wheel: Path) -> None:
    fields = Parser().parsestr(metadata(wheel, "METADATA"))
    assert (fields["Name"], fields["Version"]) == ("vithybrid-cli", __version__)
    assert (fields["Requires-Python"], fields["License-Expression"]) == (">=3.11", "Apache-2.0")
    assert fields["Description-Content-Type"] == "text/markdown"
    assert "vithybrid = vithybrid_cli.__main__:main" in metadata(wheel, "entry_points.txt")
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_openvino_comes_with_its_extra_alone(wheel: Path) -> None:
    fields = Parser().parsestr(metadata(wheel, "METADATA"))
    needed = [line for line in fields.get_all("Requires-Dist", []) if line.startswith("openvino")]
    assert "openvino" in fields.get_all("Provides-Extra", [])
    assert [line.partition(";")[2].strip() for line in needed] == ["extra == 'openvino'"]


def versions(requirements: Iterable[str]) -> dict[str, tuple[str, Version]]:
    """Operator and version of each requirement, of which each has one, by its name."""
    parsed = [Requirement(text) for text in requirements]
    bounds = [(canonicalize_name(requirement.name), *requirement.specifier) for requirement in parsed]
    return {name: (bound.operator, Version(bound.version)) for name, bound in bounds}


def test_the_oldest_libraries_that_are_allowed_are_those_that_the_tests_are_run_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = versions([*project["dependencies"], *chain(*project["optional-dependencies"].values())])
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = versions(line for line in lines if line and not line.startswith("#"))
    assert {name: (">=", version) for name, (_, version) in pinned.items() if name in allowed} == allowed
    assert {operator for operator, _ in pinned.values()} == {"=="}


def test_the_licence_is_the_whole_of_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert re.findall(r"^   (\d)\. [A-Z]", text, re.MULTILINE) == [str(number) for number in range(1, 10)]
    assert text.rstrip().endswith("limitations under the License.")


def test_the_installed_program_knows_its_version(installed: Path) -> None:
    assert run(installed, "--version") == f"vithybrid {__version__}\n"


def test_the_installed_program_lists_the_models(installed: Path) -> None:
    aliases = [json.loads(line)["alias"] for line in run(installed, "models").splitlines()]
    assert aliases == [entry.alias for entry in catalog.ENTRIES]


def test_the_installed_program_labels_a_cat_with_the_model_it_brings(installed: Path) -> None:
    assert Path(json.loads(run(installed, "info", "tiny"))["folder"]).is_relative_to(installed)
    record = json.loads(run(installed, "classify", str(ROOT / "examples" / "cat.png"), "-m", "tiny"))
    assert record["predictions"][0]["label"] == "cat"


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == __version__
