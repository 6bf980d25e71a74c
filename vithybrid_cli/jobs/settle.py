"""What only an opened network knows is settled by a job's first worker; later ones have to have the same."""

import json
from dataclasses import replace
from typing import Any

from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.folder import unwritable_job
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.runs.record import differences
from vithybrid_cli.settings import Running

FILE = "settled.json"


def settled(job: Job) -> dict[str, Any]:
    """What the first worker has settled; nothing before. Raises UsageError if that cannot be read."""
    try:
        facts = json.loads(job.folder.read(FILE))
    except FileNotFoundError:
        return {}
    except OSError as error:
        cause = f"{FILE} of the job in {job.name} cannot be read: {error.strerror or error}."
        raise UsageError(cause, "Make it readable.") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(job) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("batch_size"), int) or facts["batch_size"] < 1:
        raise _damaged(job)
    return facts


def settle(job: Job, found: dict[str, Any]) -> bool:
    """Keep what a worker has ``found``. False if another one was faster. Raises UsageError."""
    try:
        return job.folder.create(FILE, (json.dumps(found, indent=2) + "\n").encode())
    except OSError as error:
        raise unwritable_job(job.name, error, "Make it writable, and run the job again.") from error


def require_settled(job: Job, found: dict[str, Any]) -> None:
    """Raise UsageError with all that a worker has ``found`` otherwise than the first one."""
    require_same(job, settled(job), json.loads(json.dumps(found)))


def require_same(job: Job, was: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise UsageError with all that is not as it ``was``."""
    made = [line for name, value in now.items() for line in differences(name, was.get(name), value)]
    if made:
        cause = f"The job in {job.name} is computed with {'; '.join(made)}."
        raise UsageError(cause, "Run it where these are the same, since results would differ in their last digits.")


def running_as_settled(how: Running, was: dict[str, Any]) -> Running:
    """How a later worker runs the network: what the first one chose is no longer open."""
    if not was:
        return how
    chosen: dict[str, Any] = {"batch_size": was["batch_size"], "engine": was.get("engine", how.engine)}
    if how.device == "auto":
        chosen["device"] = was.get("device", how.device)
    threads = was.get("environment", {}).get("threads")
    if isinstance(threads, int):
        chosen["threads"] = threads
    return replace(how, **chosen)


def _damaged(job: Job) -> UsageError:
    return UsageError(
        f"{FILE} of the job in {job.name} is damaged.", "Bring it back, or remove it if no shard is done."
    )
