"""How many threads are worth starting: what the process may really use, not what the machine has."""

import os
from pathlib import Path

import pytest

from vithybrid_cli import cores
from vithybrid_cli.cores import available_cores


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process with eight cores in the control group ``/jobs/mine``."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_OWN_CGROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/jobs/mine\n")
    (tmp_path / "cgroup" / "jobs" / "mine").mkdir(parents=True)
    return tmp_path / "cgroup"


def test_the_affinity_counts_where_nothing_else_limits(cgroups: Path) -> None:
    assert available_cores() == 8


@pytest.mark.parametrize(
    ("group", "limit", "expected"),
    [
        pytest.param("jobs/mine", "200000 100000", 2, id="its own group"),
        pytest.param("jobs", "300000 100000", 3, id="a group above"),
        pytest.param(".", "400000 100000", 4, id="the root of a container"),
        pytest.param("jobs/mine", "150000 100000", 2, id="a part of a core is one more thread"),
        pytest.param("jobs/mine", "10000 100000", 1, id="less than a core"),
        pytest.param("jobs/mine", "6400000 100000", 8, id="more than there are"),
        pytest.param("jobs/mine", "max 100000", 8, id="no limit"),
        pytest.param("jobs/mine", "", 8, id="nothing to read"),
    ],
)
def test_a_container_may_grant_less(cgroups: Path, group: str, limit: str, expected: int) -> None:
    (cgroups / group / "cpu.max").write_text(limit)
    assert available_cores() == expected


def test_the_tightest_limit_holds(cgroups: Path) -> None:
    (cgroups / "jobs" / "cpu.max").write_text("200000 100000")
    (cgroups / "jobs" / "mine" / "cpu.max").write_text("500000 100000")
    assert available_cores() == 2


def test_without_control_groups_the_affinity_counts(cgroups: Path) -> None:
    (cgroups.parent / "own").unlink()
    assert available_cores() == 8
