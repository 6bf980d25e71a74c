"""A plan becomes a report, also where Ctrl-C ends it before its end."""

import os
from pathlib import Path

from vithybrid_cli.bench.machine import load_average, machine
from vithybrid_cli.bench.measurements import Report, Setting
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.run import Log, Run
from vithybrid_cli.checkpoints.checkpoint import Checkpoint


def measured(plan: Plan, scratch: Path, log: Log, *, command: str, model: str, own_pictures: bool) -> Report:
    """Measure what ``plan`` asks for; its processes share files in the folder ``scratch``.

    ``command``, ``model`` and ``own_pictures`` (made, not given) are what the report says of the request. After Ctrl-C
    it holds what is known until then. Raises KeyboardInterrupt if that is nothing, UsageError or ModelError if nothing
    of ours can be measured.
    """
    image_size = Checkpoint.read(plan.model).config.image_size
    setting = _setting(plan, command, model, image_size, own_pictures)
    load_before, complete = load_average(), True
    run = Run(plan, Files.write(scratch, plan.pictures, image_size), log)
    try:
        with run:
            run.measure()
    except KeyboardInterrupt:
        if not any(run.rotation.turns):
            raise
        complete = False
    return Report(
        setting=setting,
        machine=machine(run.gpus, load_before),
        software=run.software,
        turns=run.rotation.turns,
        errors=run.rotation.errors,
        missing=run.missing,
        complete=complete,
    )


def _setting(plan: Plan, command: str, model: str, image_size: tuple[int, int], own_pictures: bool) -> Setting:
    sizes = [os.path.getsize(path) for path in plan.pictures]  # noqa: PTH202 (Path raises on odd names)
    return Setting(
        command=command,
        model=model,
        image_size=image_size,
        pictures=len(sizes),
        picture_bytes=sum(sizes) // len(sizes),
        own_pictures=own_pictures,
        device=plan.device,
        workers=plan.workers,
        repeats=plan.repeats,
        seconds=plan.seconds,
    )
