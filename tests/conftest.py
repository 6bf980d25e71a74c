"""What several test files share: the reference checkpoints, and the environment that transformers and timm live in."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

# One thread: the networks here are so small that several, here and in the programs that tests start, only wait for each
# other, and results do not depend on the machine. What measures time says otherwise for itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(__file__).parent / "data" / "golden"
HYBRIDS = ("hf-hybrid-small", "hf-hybrid-patch2-odd")
PEER_SCRIPTS = Path(__file__).parent / "peers"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers", metavar="PYTHON", help="the Python that has transformers and timm (`make test-peers`)")


@pytest.fixture(params=HYBRIDS)
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of a reference checkpoint, with the activations that transformers computed."""
    folder = GOLDEN / str(request.param)
    assert (folder / "activations.safetensors").is_file(), f"{folder} lacks its activations"
    return folder


@dataclass(frozen=True)
class Peers:
    """Runs scripts of tests/peers with a Python that has transformers and timm, which need other versions than we."""

    python: Path

    def run(self, script: str, *arguments: str | Path) -> None:
        command = [str(self.python), str(PEER_SCRIPTS / f"{script}.py"), *map(str, arguments)]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=offline, check=False)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stderr}"


@pytest.fixture(scope="session")
def peers(request: pytest.FixtureRequest) -> Peers:
    """The environment that ``--peers`` names."""
    python = request.config.getoption("--peers")
    assert python, (
        "name the Python that has transformers and timm: --peers=.venv-peers/bin/python, or `make test-peers`"
    )
    return Peers(Path(python).absolute())  # not resolved: a link into a virtual environment is what makes it one
