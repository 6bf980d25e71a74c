"""Whether a Python has what a peer needs, in which versions, and what to do where it has not."""

import json
import subprocess
import sys

from vithybrid_cli.bench.peers import Peer
from vithybrid_cli.bench.worker import environment
from vithybrid_cli.errors import UsageError

_NEEDED = (3, 11)  # of this package, whose measuring code runs beside the peer's
_PROBE = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Missing(UsageError):
    """A peer is not there; the text names the command that brings it."""


def installed(peer: Peer, python: str) -> dict[str, str]:
    """The versions of ``python`` and of what ``peer`` needs there.

    Raises Missing where something is not there or of a version that does not know the network, UsageError where
    ``python`` cannot be run.
    """
    names = [requirement.partition("==")[0] for requirement in peer.requirements.split()]
    found = _probed(python, names)
    if tuple(map(int, found["python"].split(".")[:2])) < _NEEDED:
        needed = ".".join(map(str, _NEEDED))
        raise Missing(f"{python} is Python {found['python']}, and {needed} is needed: {_remedy(peer, python)}")
    if absent := [name for name in names if name not in found]:
        raise Missing(f"{python} has no {', '.join(absent)}: {_remedy(peer, python)}")
    if not found[peer.name].startswith(peer.versions):
        raise Missing(f"{peer.name} {found[peer.name]} has no Hybrid ViT any more: {_remedy(peer, python)}")
    return found


def _probed(python: str, names: list[str]) -> dict[str, str]:
    try:
        done = subprocess.run(
            [python, "-c", _PROBE, *names], capture_output=True, text=True, check=True, env=environment()
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise UsageError(f"--peers {python} is no Python that runs ({error}). Give its program file.") from error
    return found


def _remedy(peer: Peer, python: str) -> str:
    """The command of pip; where it would replace our own libraries, that of a new environment."""
    if python != sys.executable or peer.ours:
        return f"{python} -m pip install {peer.requirements}"
    return f"python3 -m venv peers && peers/bin/pip install {peer.requirements}, then give --peers peers/bin/python"
