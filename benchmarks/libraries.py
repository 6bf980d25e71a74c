"""The libraries that this program is compared with, and how each of them takes its turns."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import Crew, Fallback, Measures, Worker, command, environment
from vithybrid_cli.bench.amount import Amount
from vithybrid_cli.bench.material import Material, Plan
from vithybrid_cli.bench.measurements import Part, Subject, Timing
from vithybrid_cli.bench.processes import timed
from vithybrid_cli.bench.result import Software
from vithybrid_cli.bench.turns import Log, Task

NAMES = ("transformers", "timm", "openvino", "pillow")
_HAVE = {
    "transformers": (Part.NETWORK, Part.PROCESS, Part.START),
    "timm": (Part.NETWORK,),
    "openvino": (Part.NETWORK,),
    "pillow": (Part.DECODE,),
}


@dataclass
class Library:
    """One library, as a `vithybrid_cli.bench.benchmark.Peer`; `close` ends its processes."""

    name: str
    plan: Plan
    material: Material
    python: str
    log: Log
    software: dict[str, Software] = field(default_factory=dict)
    _open: dict[str | None, Measures] = field(default_factory=dict)  # by type; None for decoding

    def tasks(self, part: Part, batch: int | None) -> Iterator[Task]:
        """What it can do of this part."""
        if part not in _HAVE[self.name]:
            return
        if part in (Part.PROCESS, Part.START):
            self.close()  # what is loaded would take memory from whole processes
            yield from (self._process_task(part, dtype) for dtype in self.plan.dtypes)
            return
        for dtype in (None,) if part is Part.DECODE else self.plan.dtypes:
            images = len(self.material.pictures) if part is Part.DECODE else batch or 1
            amount = Amount(batch or 1, images, self.plan.seconds)
            yield self._task(Subject(part, self.name, None, dtype, batch), amount)

    def close(self) -> None:
        """End all processes; they start again when they are needed."""
        while self._open:
            _, opened = self._open.popitem()
            opened.close()

    def _task(self, subject: Subject, amount: Amount) -> Task:
        once = Amount(amount.batch, amount.batch, 0.0)
        return Task(
            subject,
            lambda: self._opened(subject.dtype).measure(amount),
            lambda: self._opened(subject.dtype).measure(once),
        )

    def _opened(self, dtype: str | None) -> Measures:
        """The process for this type, which starts at its first task. Raises ProcessFailed."""
        if dtype not in self._open:
            self.log.progress(f"loading {self.name} {dtype or ''}".rstrip())
            self._open[dtype] = self._start(dtype)
        return self._open[dtype]

    def _start(self, dtype: str | None) -> Measures:
        if self.name == "pillow":
            return self._one_per_core()
        pixels = self.material.scratch / "pixels.npy"
        np.save(pixels, self.material.pixels)
        wanted = {**self._wanted(dtype), "peer": self.name, "pixels": str(pixels)}
        if self.name == "openvino":
            # Usually the batch size is fixed before compiling. OpenVINO 2026.4 crashes on that for small networks.
            fixed, left_open = ({**wanted, "fixed": fixed} for fixed in (True, False))
            first = self._noted(Worker("openvino_alone", fixed))
            return Fallback(first, lambda: Worker("openvino_alone", left_open))
        return self._noted(Worker("network", wanted, self.python))

    def _one_per_core(self) -> Crew:
        """As many processes of one thread as we have decoding threads: they share nothing that could slow them down."""
        crew = Crew([])
        try:
            for number in range(self.plan.workers):
                first = number * len(self.material.pictures) // self.plan.workers
                wanted = {"pictures": str(self.material.every), "first": first}
                crew.workers.append(self._noted(Worker("pillow_alone", wanted)))
        except BaseException:
            crew.close()
            raise
        return crew

    def _process_task(self, part: Part, dtype: str) -> Task:
        """Label all pictures, or the first one for START, as the library's documentation shows."""

        def run(listed: Path, images: int) -> Timing:
            wanted = {**self._wanted(dtype), "pictures": str(listed)}
            return timed(command("label", wanted, self.python), images, environment())

        once = partial(run, self.material.first, 1)
        every = partial(run, self.material.every, len(self.material.pictures))
        return Task(Subject(part, self.name, None, dtype), once if part is Part.START else every, once)

    def _wanted(self, dtype: str | None) -> dict[str, Any]:
        return {"model": str(self.material.model), "dtype": dtype, "device": self.plan.device}

    def _noted(self, worker: Worker) -> Worker:
        self.software[self.name] = worker.software
        return worker
