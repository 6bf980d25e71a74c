"""The same program, libraries, kind of machine and threads give the same bytes, busy or not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from places import GOLDENS

from vithybrid_cli.cores import available_cores

SMALL = GOLDENS / "hf-hybrid-small"
# Two threads, and pictures large enough for both to have work.
THREADS, SIDE = "2", 160
SCRIPT = f"""
import hashlib, json, sys
from pathlib import Path
import numpy as np
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines.open import open_engine
checkpoint = Checkpoint.read(Path(sys.argv[1]), {SIDE})
engine = open_engine(checkpoint, engine=sys.argv[2], device="cpu", dtype="float32", attention=sys.argv[3])
pixels = np.random.default_rng(0).integers(0, 256, (5, {SIDE}, {SIDE}, 3), np.uint8)
rows = [engine.run(pixels[:count]) for count in (5, 4, 1, 5)]
facts = {{"sha256": hashlib.sha256(b"".join(part.tobytes() for part in rows)).hexdigest()}}
facts |= {{"environment": dict(engine.environment), "torch": "torch" in sys.modules}}
print(json.dumps(facts))
"""


def run(engine: str, attention: str) -> dict[str, Any]:
    """What a process of its own computes, and where."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(SMALL), engine, attention],
        env={**os.environ, "OMP_NUM_THREADS": THREADS},
        capture_output=True,
        check=True,
    )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@contextmanager
def busy() -> Iterator[None]:
    """Every core has something else to do."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize(
    ("engine", "attention"), [("torch", "sdpa"), ("torch", "eager"), ("openvino", "sdpa")], ids=lambda name: name
)
def test_a_busy_machine_gives_the_same_bytes(
    engine: str, attention: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path))
    idle = run(engine, attention)
    with busy():
        again = run(engine, attention)
    assert (again["sha256"], again["environment"]) == (idle["sha256"], idle["environment"])
    assert again["environment"].keys() >= {engine, "processor", "instructions", "threads"}
    assert again["environment"]["threads"] >= min(int(THREADS), available_cores())
    assert again["torch"] is (engine == "torch")  # a warm OpenVINO run tells all that without it
