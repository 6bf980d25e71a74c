"""The Ray that a job runs on: joined or started, and how many workers have room in it."""

import io
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from vithybrid_cli.errors import UsageError

INSTALL: Final = "Install it with `pip install 'vithybrid-cli[ray]'`."

# Ray sends its makers statistics of use from what it starts, and warns of a change to come in which devices its workers
# see, which these choose for themselves. https://docs.ray.io/en/latest/cluster/usage-stats.html
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


_CONNECT: Final = 10.0  # seconds to connect to the head of a cluster


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker takes of its node: whole GPUs, and cores."""

    gpus: int
    cores: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray that this process is connected to. ``ray`` is its package."""

    ray: Any

    def nodes(self) -> list[Mapping[str, float]]:
        """What each node that is there has, by kind: ``CPU``, ``GPU``."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def room(self, share: Share) -> int:
        """How many workers have room on the nodes that are there."""
        return sum(_room(node, share) for node in self.nodes())

    def share(self, *, gpu: bool | None, threads: int | None) -> Share:
        """What a worker takes: a GPU where the job runs on them, else as many cores as it has ``threads``.

        ``gpu`` is None where it may run on either: then on GPUs if there are any. Without ``threads`` it is all cores
        of the smallest node, so that all workers have as many.
        """
        nodes = self.nodes()
        if gpu or (gpu is None and any(node.get("GPU") for node in nodes)):
            cores = [node.get("CPU", 1) // node["GPU"] for node in nodes if node.get("GPU", 0) >= 1]
            return Share(1, max(int(min(cores, default=1)), 1))
        return Share(0, threads or max(int(min((node["CPU"] for node in nodes if node.get("CPU")), default=1)), 1))


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Join the Ray at this address, or that of ``RAY_ADDRESS``, or start one on this machine.

    One that was started here ends with the block, as do all workers of this run. Ray writes what happens to them to
    stdout, where nothing but results may be; meanwhile nothing is written there. Raises UsageError.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    address = address or os.environ.get("RAY_ADDRESS")
    if find_spec("ray") is None:
        raise UsageError("Running a job on Ray needs the package ray.", INSTALL)
    with redirect_stdout(_Nowhere()), _own_sigterm():
        import ray  # which takes SIGTERM for itself

        try:
            _look_for(address)
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise _unreachable(address, error) from error
        try:
            yield Cluster(ray)
        finally:
            ray.shutdown()


def _look_for(address: str | None) -> None:
    """Raise OSError where nothing listens at HOST:PORT. Ray itself would look for more than a minute, and log it."""
    if address is None:
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT).close()


def _room(node: Mapping[str, float], share: Share) -> int:
    room = node.get("CPU", 0) // share.cores
    return int(min(room, node.get("GPU", 0) // share.gpus) if share.gpus else room)


def _unreachable(address: str | None, error: Exception) -> UsageError:
    said = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
    why = f" ({said[0].rstrip('.:')})" if said else ""
    if address:
        cause = f"There is no Ray that can be joined at {address}{why}."
        return UsageError(cause, "Start it with `ray start`, or give another {ray_address}.")
    return UsageError(
        f"Ray cannot be started on this machine{why}.", "Run the job without {ray}, or start Ray by hand."
    )


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Give SIGTERM back at the end to whoever has it now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)
