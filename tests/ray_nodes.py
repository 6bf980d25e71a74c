"""A cluster of Ray nodes on this machine, in a process of its own: `RayNodes` for tests, and the program that it runs.

The program writes the cluster's address, and then takes a line for each node that is to vanish. Ray connects to
whatever address the machine has, and writes much; neither is for the process that runs the tests.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from vithybrid_cli.cores import available_cores

OBJECT_STORE = 80 * 2**20  # bytes, the least that Ray takes; nothing is put there
CORES = available_cores()  # of each node: each worker has as many threads as `classify` has here


class RayNodes:
    """So many nodes, each with as many cores as this machine, the first of which is the head."""

    def __init__(self, number: int, log: Path) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), str(number)]
        surroundings = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        with log.open("wb") as errors:
            self._program = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=surroundings
            )
        self.address = self._answer(f"see {log}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._program.communicate("", timeout=60)

    def remove(self) -> None:
        """Kill the last node with all its workers, as a machine that loses its power does."""
        assert self._program.stdin is not None
        self._program.stdin.write("remove\n")
        self._program.stdin.flush()
        assert self._answer("the node was not removed") == "removed"

    def _answer(self, otherwise: str) -> str:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            if line.startswith("> "):  # and not what Ray says
                return line[2:].strip()
        raise AssertionError(otherwise)


def main() -> None:
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": CORES, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    others = [cluster.add_node(**node) for _ in range(int(sys.argv[1]) - 1)]
    _tell(str(cluster.address))
    for _ in sys.stdin:
        cluster.remove_node(others.pop(), allow_graceful=False)
        _tell("removed")
    cluster.shutdown()  # type: ignore[no-untyped-call]


def _tell(line: str) -> None:
    sys.stdout.write(f"> {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
