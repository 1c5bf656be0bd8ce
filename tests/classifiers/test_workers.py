"""Trials in several processes, and on Ray, are the trials of one process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from classifiers.desk import Desk
from classifiers.errors import InstallError, OutputError
from classifiers.journal import Plan, trials_of
from classifiers.space import Choice
from classifiers.workers import run_here, run_on_ray, run_processes
from tests.classifiers.tiny_objective import DiesOnce, broken, counted

SPACE = {"kernel": Choice((3, 5, 7))}
PLAN = Plan(SPACE, sampler="random", pruner="none")


def values(folder):
    return [(t.number, t.state.name, t.params, t.value, t.intermediate_values) for t in trials_of(folder)[1]]


@pytest.fixture
def path_of_tests(root, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root))


def test_two_processes_run_the_trials_of_one_and_a_dead_one_loses_nothing(tmp_path, path_of_tests):
    with Desk(tmp_path / "two", PLAN, 6) as desk:
        run_processes(desk, DiesOnce(str(tmp_path / "died")), 2)
        processes = {trial.user_attrs["process"] for trial in desk.trials}
    with Desk(tmp_path / "one", PLAN, 6) as desk:
        run_here(desk, counted)
    assert (tmp_path / "died").exists()
    assert os.getpid() not in processes
    assert values(tmp_path / "two") == values(tmp_path / "one")


def test_what_would_meet_every_trial_ends_the_sweep_of_processes_too(tmp_path, path_of_tests):
    with Desk(tmp_path, PLAN, 6) as desk, pytest.raises(OutputError, match="the disk is full"):
        run_processes(desk, broken, 1)
    with Desk(tmp_path, PLAN, 6) as desk:
        assert (len(desk.trials), desk.cut_off) == (1, 1)


RAY = """
import sys
from pathlib import Path
from classifiers.desk import Desk
from classifiers.workers import run_on_ray
from tests.classifiers.test_workers import PLAN
from tests.classifiers.tiny_objective import counted
with Desk(Path(sys.argv[1]), PLAN, 6) as desk:
    run_on_ray(desk, counted, "local", 2)
"""


def test_a_ray_cluster_runs_the_trials_of_one_process(tmp_path, root):
    pytest.importorskip("ray", reason="Ray (the extra `cluster`) is not installed")
    done = subprocess.run(
        [sys.executable, "-c", RAY, tmp_path / "ray"], timeout=110, check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(root), "RAY_DISABLE_IMPORT_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    with Desk(tmp_path / "one", PLAN, 6) as desk:
        run_here(desk, counted)
    assert values(tmp_path / "ray") == values(tmp_path / "one")


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray (the extra `cluster`) is not installed")

    def refuse(**_):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    with (
        Desk(tmp_path, PLAN, 1) as desk,
        pytest.raises(InstallError, match=r"answers, but 10\.0\.0\.1:6379: nobody there"),
    ):
        run_on_ray(desk, counted, "10.0.0.1:6379")
