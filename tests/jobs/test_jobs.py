"""Jobs: whatever dies on the way, the shards become exactly what one `classify` writes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_program import open_fake
from PIL import Image
from places import PACKAGE, ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.crashes import Crashes, Span
from vithybrid_cli.jobs.folder import folder_of
from vithybrid_cli.jobs.job import Job, ranges
from vithybrid_cli.jobs.plan import plan
from vithybrid_cli.jobs.retry import retry
from vithybrid_cli.jobs.settle import settle
from vithybrid_cli.jobs.worker import Worker
from vithybrid_cli.locks import AlreadyLocked, lock_file
from vithybrid_cli.runs.label import found
from vithybrid_cli.runs.watch import Silent
from vithybrid_cli.settings import Reading, Running, Writing

FAKE = str(ROOT / "tests" / "jobs" / "fake_job_program.py")
HOW = Running(model="tiny")
FORMATS = ("jsonl", "json", "csv", "tsv", "parquet")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``photos``: forty pictures of different brightness, and four that are none."""
    (tmp_path / "photos").mkdir()
    for number in range(40):
        Image.new("RGB", (4, 4), (6 * number,) * 3).save(tmp_path / "photos" / f"{number:02}.png")
    for name in ("00a", "05a", "05b", "39a"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vithybrid_cli.jobs.worker.open_classifier", open_fake)
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    monkeypatch.setattr("vithybrid_cli.jobs.programs.command", lambda *asked: [sys.executable, FAKE, *asked])
    return tmp_path


def call(*arguments: str) -> Any:
    """Run the program in this process, and what it starts in others; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def start(*arguments: str, seconds_per_batch: float = 0.0) -> "subprocess.Popen[str]":
    """Start the program in a process of its own."""
    environment = {**os.environ, "SECONDS_PER_BATCH": str(seconds_per_batch)}
    return subprocess.Popen([sys.executable, FAKE, *arguments], env=environment, stderr=subprocess.PIPE, text=True)


def planned(*more: str, size: int = 10, inputs: str = "photos", job: str = "job") -> Job:
    done = call("job", "plan", inputs, "-o", job, "-m", "tiny", "--shard-size", str(size), *more)
    assert done.exit_code == 0, done.output
    return Job.open(job)


def compute_all(job: Job) -> None:
    worker = Worker(job)
    for shard in range(job.shards):
        worker.compute(shard)


def classified(output: str, *inputs: str) -> bytes:
    """What one `classify` writes."""
    call("classify", *(inputs or ["photos"]), "-m", "tiny", "-o", output, "-q")
    return Path(output).read_bytes()


def merged(output: str, job: str = "job") -> bytes:
    done = call("job", "merge", job, "-o", output, "-q")
    assert done.exit_code in (0, 1), done.output
    return Path(output).read_bytes()


# What merge writes


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("size", [pytest.param(9, id="of whole batches"), pytest.param(10, id="that cut batches")])
def test_shards_become_the_bytes_of_one_classify(folder: Path, size: int, output_format: str) -> None:
    compute_all(planned(size=size))
    assert merged(f"merged.{output_format}") == classified(f"whole.{output_format}")


def test_a_merge_ends_as_classify_does_where_pictures_failed(folder: Path) -> None:
    compute_all(planned())
    assert call("job", "merge", "job", "-o", "merged.csv").exit_code == 1


@pytest.mark.parametrize("times", [3, pytest.param(6, marks=pytest.mark.thorough)])
def test_processes_that_are_killed_at_random_and_started_again_compute_what_one_classify_does(
    folder: Path, times: int
) -> None:
    job, chance, ended = planned(size=7), random.Random(11), 0
    for _ in range(times):
        runs = [start("job", "run", "job", seconds_per_batch=0.1) for _ in range(2)]
        time.sleep(chance.uniform(1.0, 2.0))
        for note in (folder / "job" / "working").glob("*.hands"):
            os.kill(int(note.name.split(".")[1].rsplit("-", 1)[1]), signal.SIGKILL)
        for run in runs:
            run.kill()
            ended += run.wait() == -signal.SIGKILL
            run.communicate()
    assert ended > 0
    done = call("job", "run", "job")
    assert done.exit_code == 0, done.stderr
    assert job.done() == set(range(job.shards))
    assert merged("merged.jsonl") == classified("whole.jsonl")
    assert merged("merged.csv") == classified("whole.csv")


def test_what_a_killed_worker_has_computed_is_gone_on_with(folder: Path) -> None:
    job = planned(size=40)
    run = start("job", "run", "job", seconds_per_batch=0.2)
    while not any(part.stat().st_size > 1000 for part in (folder / "job" / "working").glob("*.part")):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    assert run.wait() == 128 + signal.SIGTERM
    run.communicate()
    [part] = (folder / "job" / "working").glob("*.part")
    before = part.read_bytes().count(b"\n")
    assert before >= 3
    assert not list((folder / "job" / "working").glob("*.hands")), "it died of nothing"
    done = call("job", "run", "job")
    lines = [line for file in (folder / "job" / "workers").iterdir() for line in file.read_text().splitlines()]
    assert sum(json.loads(line)["computed"] for line in lines) <= job.inputs - before // 3 * 3
    assert done.exit_code == 0
    assert merged("merged.jsonl") == classified("whole.jsonl")


# What kills


def test_a_picture_that_kills_each_worker_becomes_a_record_and_all_others_have_their_labels(folder: Path) -> None:
    Image.new("RGB", (4, 4)).save("photos/07killer.png")
    planned(size=30)
    done = call("job", "run", "job")
    assert (done.exit_code, done.stderr.count("SIGSEGV), and is started again")) == (0, 2), done.stderr
    records = [json.loads(line) for line in merged("merged.jsonl").splitlines()]
    [crashed] = [record for record in records if record.get("error", {}).get("type") == "WorkerCrashed"]
    assert crashed["path"] == "photos/07killer.png"
    assert "(SIGSEGV)" in crashed["error"]["message"]
    Path("photos/07killer.png").write_bytes(b"no picture")  # which has the same place in its batch
    expected = [json.loads(line) for line in classified("whole.jsonl").splitlines()]
    assert [r for r in records if r != crashed] == [r for r in expected if r["path"] != crashed["path"]]


def test_a_bug_ends_the_run_with_a_message(folder: Path) -> None:
    Image.new("RGB", (4, 4)).save("photos/07bug.png")
    planned()
    done = call("job", "run", "job")
    assert done.exit_code == 2
    assert "A worker met an error of the program itself in shard 1: ZeroDivisionError: a bug." in done.stderr


def test_two_deaths_make_suspects_of_what_both_had_in_their_hands() -> None:
    crashes = Crashes(folder_of("nowhere"), 0)
    crashes.add_death(Span(0, 5))
    assert crashes.suspects == []
    crashes.add_death(Span(5, 9))
    assert crashes.suspects == []
    crashes.add_death(Span(3, 6))
    assert crashes.suspects == [3, 4, 5]
    crashes.add_trial(4, "SIGKILL")
    assert crashes.guilty == {}, "once may be chance"
    crashes.add_trial(4, "SIGSEGV")
    assert (crashes.suspects, crashes.guilty) == ([3, 5], {4: "SIGSEGV"})
    crashes.acquit()
    assert (crashes.suspects, crashes.guilty) == ([], {4: "SIGSEGV"})


# Several at once


def test_a_shard_that_another_worker_holds_is_not_computed_twice(folder: Path) -> None:
    job = planned()
    (folder / "job" / "working").mkdir()
    with lock_file(folder / "job" / "working" / "000001.lock"), pytest.raises(AlreadyLocked):
        Worker(job).compute(1)
    assert Worker(job).compute(1)
    assert not Worker(job).compute(1)


def test_a_run_does_the_shards_that_it_is_asked_for(folder: Path) -> None:
    job = planned()
    assert call("job", "run", "job", "--shard", "1", "--shards", "3-4").exit_code == 0
    assert job.done() == {1, 3, 4}
    refused = call("job", "merge", "job", "-o", "merged.csv")
    assert refused.exit_code == 2
    assert "2 of 5 shards are missing: 0, 2." in refused.stderr
    assert not Path("merged.csv").exists()
    assert not list(folder.glob(".merged*"))


# Plans


def test_a_bucket_holds_a_job_too(folder: Path) -> None:
    pytest.importorskip("fsspec")
    job = plan(Reading(inputs=("photos",)), HOW, Writing(), "memory://bucket/job", Silent(), shard_size=10)
    compute_all(job)
    assert merged("merged.jsonl", "memory://bucket/job") == classified("whole.jsonl")
    again = call("job", "plan", "photos", "-o", "memory://bucket/job", "-m", "tiny")
    assert "There is a job in memory://bucket/job already." in again.stderr


def test_any_name_is_kept_exactly(folder: Path) -> None:
    odd = [os.fsdecode(b"photos/caf\xe9.png"), "photos/two\nlines.png", "photos/\u2028é.png"]
    for name in odd:
        Image.new("RGB", (4, 4)).save(name, "png")
    job = planned(size=100)
    assert set(odd) < set(job.names(0))
    compute_all(job)
    assert merged("merged.jsonl") == classified("whole.jsonl")


def test_an_empty_list_makes_a_job_without_shards(folder: Path) -> None:
    Path("list.txt").touch()
    done = call("job", "plan", "--files-from", "list.txt", "-o", "job", "-m", "tiny")
    assert (done.exit_code, Job.open("job").shards) == (0, 0)
    assert "list.txt is empty" in done.stderr
    assert call("job", "run", "job").exit_code == 0
    assert merged("merged.jsonl") == b""


def test_a_plan_that_is_broken_off_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.jobs.plan.is_relative", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        planned()
    assert [path.name for path in folder.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["status", "nothing"], "There is no job in nothing.", id="no job"),
        pytest.param(["status", "photos/00.png"], "photos/00.png is a file, and not the folder of a job.", id="a file"),
        pytest.param(
            ["plan", "photos", "-o", "photos", "-m", "tiny"], "photos is there already, and no job.", id="a taken place"
        ),
        pytest.param(["plan", "photos", "-o", "no/job", "-m", "tiny"], "There is no folder ", id="no parent"),
        pytest.param(["plan", "photos", "-o", "j", "-m", "tiny", "--threshold", "7"], "The threshold 7", id="options"),
        pytest.param(["run", "job", "--shard", "5"], "There is no shard 5: the job in ", id="a shard too many"),
        pytest.param(["run", "job", "--shards", "3-1"], "'3-1' are no numbers of shards.", id="no range"),
        pytest.param(["retry", "job", "--type", "Nonsense"], "There is no type of error 'Nonsense'.", id="no type"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, arguments: list[str], message: str) -> None:
    planned()
    done = call("job", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"vithybrid: {message}")


def test_a_job_of_another_version_or_one_that_is_damaged_is_refused(folder: Path) -> None:
    planned()
    file = folder / "job" / "job.json"
    text = file.read_text()
    file.write_text(text.replace('"layout": 1', '"layout": 2'))
    assert "was planned by version" in call("job", "status", "job").stderr
    file.write_text(text[: len(text) // 2])
    assert "job.json in job is not that of a job." in call("job", "status", "job").stderr


def test_workers_that_are_otherwise_refuse(folder: Path) -> None:
    job = planned()
    Worker(job).compute(0)
    file = folder / "job" / "settled.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps({**facts, "environment": {**facts["environment"], "fake": "0"}}))
    done = call("job", "run", "job")
    assert done.exit_code == 2
    assert "is computed with fake 0, now 1." in done.stderr


def test_what_another_worker_settles_meanwhile_holds_for_a_worker_that_has_chosen_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = planned("--batch-size", "4")
    asked: list[int | None] = []

    def opened(checkpoint: Any, how: Running, *more: Any) -> Any:
        """Another worker settles two threads while this one opens its network with one."""
        asked.append(how.threads)
        classifier = open_fake(checkpoint, how, *more)
        if len(asked) == 1:
            facts: dict[str, Any] = found(classifier, job.writing)
            settle(job, {**facts, "environment": {**facts["environment"], "threads": 2}})
        monkeypatch.setattr(type(classifier.engine), "environment", {"fake": "1", "threads": how.threads or 1})
        return classifier

    monkeypatch.setattr("vithybrid_cli.jobs.worker.open_classifier", opened)
    assert Worker(job, Choice(threads=1)).compute(0)
    assert asked == [1, 2]


def test_a_model_that_was_changed_is_named_with_its_file(folder: Path) -> None:
    shutil.copytree(PACKAGE / "builtin" / "tiny", "model")
    assert call("job", "plan", "photos", "-o", "job", "-m", "model").exit_code == 0
    config = Path("model/config.json")
    config.write_text(config.read_text() + " ")
    done = call("job", "run", "job")
    assert done.exit_code == 2
    assert "The model model has changed since the job was planned: config.json." in done.stderr


def test_a_job_for_one_kind_of_device_is_not_computed_on_another(folder: Path) -> None:
    planned("--device", "cuda")
    done = call("job", "run", "job", "--device", "cpu")
    assert done.exit_code == 2
    assert "is planned for cuda, not for cpu." in done.stderr


def test_a_shard_of_which_nothing_is_there_ends_the_run_until_the_disk_is_back(folder: Path) -> None:
    planned()
    Path("photos").rename("unmounted")
    done = call("job", "run", "job")
    assert done.exit_code == 2
    assert "Of shard 0 none of the 10 pictures is there: photos/00.png." in done.stderr
    Path("unmounted").rename("photos")
    assert call("job", "run", "job").exit_code == 0
    assert merged("merged.jsonl") == classified("whole.jsonl")


def test_pictures_that_are_gone_for_good_may_be_missing(folder: Path) -> None:
    planned()
    Path("photos").rename("gone")
    done = call("job", "run", "job", "--allow-missing")
    assert done.exit_code == 0, done.stderr
    told = call("job", "retry", "job").stderr
    assert "no record failed for a reason that may pass by itself; 44 MissingFile, which --type may name" in told


def test_a_plan_names_inputs_that_are_not_there(folder: Path) -> None:
    done = call("job", "plan", "photso", "photos", "-o", "job", "-m", "tiny")
    assert done.exit_code == 0
    assert "photso is not there, and planned as missing" in done.stderr


def test_names_that_were_changed_are_refused(folder: Path) -> None:
    planned()
    (folder / "job" / "names" / "000001.jsonl").write_text('"photos/00.png"\n')
    done = call("job", "run", "job", "--shard", "1")
    assert done.exit_code == 2
    assert "names/000001.jsonl of the job in " in done.stderr


# Status, retry, and damage


def test_status_tells_what_is_done_and_what_failed(folder: Path) -> None:
    job = planned()
    worker = Worker(job)
    for shard in (0, 2):
        worker.compute(shard)
    facts = json.loads(call("job", "status", "job").stdout)
    assert facts["job"]["inputs"] == 44
    assert (facts["done"]["shards"], facts["done"]["pictures"], facts["done"]["shards_left"]) == (2, 20, "1, 3-4")
    assert facts["failed"] == {"UnreadableImage": 3}
    for file in (folder / "job" / "workers").iterdir():
        file.unlink()
    assert json.loads(call("job", "status", "job").stdout)["failed"] == {"UnreadableImage": 3}
    assert "2 of 5" in call("job", "status", "job", "--format", "table").stdout


def test_retry_computes_whole_shards_again_and_old_results_stay_until_then(folder: Path) -> None:
    job = planned()
    compute_all(job)
    Image.new("RGB", (4, 4), (9, 9, 9)).save("photos/05a.png")
    old = merged("old.jsonl")
    marked = retry(job, ["UnreadableImage"])
    assert marked.shards == (0, 4)
    assert merged("still.jsonl") == old
    compute_all(job)
    assert job.again() == set()
    assert merged("merged.jsonl") == classified("whole.jsonl")
    assert retry(job).shards == ()


def test_results_that_were_cut_are_computed_again(folder: Path) -> None:
    job = planned()
    compute_all(job)
    file = folder / "job" / "results" / "000003.jsonl"
    file.write_bytes(file.read_bytes()[:500])
    Path("merged.jsonl").write_text("from before")
    refused = call("job", "merge", "job", "-o", "merged.jsonl")
    assert Path("merged.jsonl").read_text() == "from before"
    assert (refused.exit_code, "results/000003.jsonl of the job in " in refused.stderr) == (2, True)
    assert call("job", "run", "job").exit_code == 0
    assert merged("merged.jsonl") == classified("whole.jsonl")


def test_results_of_other_names_are_found_by_retry(folder: Path) -> None:
    job = planned()
    compute_all(job)
    file = folder / "job" / "results" / "000003.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert "is damaged" in call("job", "merge", "job").stderr
    assert (retry(job).shards, retry(job).damaged) == ((3,), 1)
    compute_all(job)
    assert merged("merged.jsonl") == classified("whole.jsonl")


def test_ranges_are_short() -> None:
    assert ranges([17, 0, 1, 2, 3]) == "0-3, 17"
    assert ranges([]) == ""


def test_what_only_plans_looks_and_merges_does_without_torch(folder: Path) -> None:
    compute_all(planned())
    calls = (
        ["job", "plan", "photos", "-o", "other", "-m", "tiny"],
        ["job", "status", "job"],
        ["job", "merge", "job", "-o", "merged.csv"],
    )
    script = (
        "import sys\nfrom vithybrid_cli.commands.app import app\n"
        f"for arguments in {calls!r}:\n"
        "    try:\n        app(arguments)\n    except SystemExit:\n        pass\n"
        "print(sorted({'torch', 'openvino', 'fsspec', 'pyarrow'} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert Path("other").is_dir()
    assert Path("merged.csv").is_file()
