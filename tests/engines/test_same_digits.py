"""The same program, libraries, kind of machine and threads give the same bytes, busy or not."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from places import GOLDENS

from vithybrid_cli.cores import available_cores

SMALL = GOLDENS / "hf-hybrid-small"
# Two threads, and pictures large enough for both to have work.
THREADS, SIDE = "2", 160
LOOP = "print(flush=True)\nwhile True: pass"
SCRIPT = f"""
import contextlib, hashlib, importlib, json, os, subprocess, sys
attention, (cores, threads, busy) = sys.argv[3], (json.loads(argument) for argument in sys.argv[4:7])
if cores is not None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
from pathlib import Path
import numpy as np
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines.open import open_engine
checkpoint = Checkpoint.read(Path(sys.argv[1]), {SIDE})
how = {{"device": "cpu", "dtype": "float32", "attention": attention, "threads": threads}}
importlib.import_module(sys.argv[2])
with contextlib.ExitStack() as others:
    for _ in range(busy):  # every core has something else to do
        loop = subprocess.Popen([sys.executable, "-S", "-c", {LOOP!r}], stdout=subprocess.PIPE)
        others.enter_context(loop)
        others.callback(loop.kill)
        loop.stdout.readline()
    engine = open_engine(checkpoint, engine=sys.argv[2], **how)
    pixels = np.random.default_rng(0).integers(0, 256, (5, {SIDE}, {SIDE}, 3), np.uint8)
    rows = [engine.run(pixels[:count]) for count in (5, 4, 1, 5)]
facts = {{"sha256": hashlib.sha256(b"".join(part.tobytes() for part in rows)).hexdigest()}}
facts |= {{"environment": dict(engine.environment), "torch": "torch" in sys.modules}}
print(json.dumps(facts))
"""


def run(
    engine: str,
    attention: str = "sdpa",
    *,
    cores: int | None = None,
    threads: int | None = None,
    own_threads: str | None = THREADS,
    busy: bool = False,
) -> dict[str, Any]:
    """What a process of its own computes, and where: on so many ``cores``, if not on all, in so many ``threads``.

    Where it is ``busy``, every core has something else to do meanwhile.
    """
    settings = [cores, threads, (os.cpu_count() or 1) if busy else 0]
    variables = {} if own_threads is None else {"OMP_NUM_THREADS": own_threads}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(SMALL), engine, attention, *map(json.dumps, settings)],
        env={**{name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}, **variables},
        capture_output=True,
        check=True,
    )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.parametrize(
    ("engine", "attention"),
    [
        pytest.param("torch", "sdpa", id="torch-sdpa"),
        pytest.param("torch", "eager", id="torch-eager", marks=pytest.mark.thorough),
        pytest.param("openvino", "sdpa", id="openvino-sdpa"),
    ],
)
def test_a_busy_machine_gives_the_same_bytes(engine: str, attention: str) -> None:
    idle = run(engine, attention)
    again = run(engine, attention, busy=True)
    assert (again["sha256"], again["environment"]) == (idle["sha256"], idle["environment"])
    assert again["environment"].keys() >= {engine, "processor", "instructions", "threads"}
    assert again["environment"]["threads"] >= min(int(THREADS), available_cores())
    assert again["torch"] is (engine == "torch")  # a warm OpenVINO run tells all that without it


two_cores = pytest.mark.skipif(available_cores() < 2, reason="it takes two cores to have one left")
affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")


@two_cores
@affinity
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_one_thread_of_two_cores_gives_the_bytes_of_one_core(engine: str) -> None:
    alone = run(engine, cores=1, own_threads=None)
    among_two = run(engine, cores=2, threads=1, own_threads=None)
    assert (among_two["sha256"], among_two["environment"]) == (alone["sha256"], alone["environment"])
    assert alone["environment"]["threads"] == 1


@two_cores
@affinity
def test_two_threads_on_one_core_give_the_bytes_of_two_cores() -> None:
    both = run("torch", cores=2, own_threads=None)
    assert run("torch", cores=1, threads=2, own_threads=None) == both
    assert both["environment"]["threads"] == 2


def test_threads_that_were_asked_for_win_over_those_of_openmp() -> None:
    asked = run("torch", threads=2, own_threads="1")
    assert asked["environment"]["threads"] == 2
    assert asked == run("torch", threads=2, own_threads="2")
    assert run("torch", own_threads="1")["environment"]["threads"] == 1
