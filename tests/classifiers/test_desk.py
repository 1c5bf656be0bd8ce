"""The desk of a sweep: nothing lost, nothing twice, whatever is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from classifiers.desk import Desk, seed_of_trial
from classifiers.errors import ConfigError, OutputError
from classifiers.journal import Outcome, Plan, trials_of
from classifiers.space import Choice
from classifiers.workers import run_here

PROGRAM = Path(__file__).with_name("killed_sweep.py")
SPACE = {"kernel": Choice((3, 5, 7)), "dropout": Choice((0.0, 0.25, 0.5))}


def swept(root, folder, sampler, pruner, trials):
    """Run the program; the trials of both of its sweeps as plain values, and how often the first was killed."""
    done = subprocess.run(
        [sys.executable, PROGRAM, folder, str(trials), "10", "1", sampler, pruner],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    killed, whole = (
        [
            (t.number, t.state.name, t.value, t.params, dict(t.intermediate_values), t.user_attrs)
            for t in trials_of(folder / name)[1]
        ]
        for name in ("killed", "whole")
    )
    return killed, whole, json.loads(done.stdout)["killed"]


@pytest.mark.parametrize(
    ("sampler", "pruner"), [("tpe", "median"), ("tpe", "hyperband"), ("random", "none"), ("grid", "median")]
)
def test_a_sweep_killed_ten_times_ends_with_the_same_trials(root, tmp_path, sampler, pruner):
    trials = 18 if sampler == "grid" else 24
    killed, whole, kills = swept(root, tmp_path, sampler, pruner, trials)
    assert kills == 10
    assert [row[0] for row in killed] == list(range(trials))
    assert {row[1] for row in killed} <= {"COMPLETE", "PRUNED"}
    assert killed == whole
    if sampler == "grid":
        assert len({json.dumps(row[3]) for row in killed}) == 18
    for folder in ("killed", "whole"):
        kept = sorted(path.parent.name for path in (tmp_path / folder).glob("trials/*/weights.safetensors"))
        assert kept == [f"{max(killed, key=lambda row: (row[1] == 'COMPLETE', row[2]))[0]:04d}"]


def outcome(parameters, seed, report):
    """A tiny objective."""
    report(1, parameters["kernel"] + seed % 10)
    return Outcome("complete", parameters["kernel"] + seed % 10, {"seconds": 1.0}, {"metrics.jsonl": b"{}\n"})


def climbing(parameters, seed, report):
    """Five epochs whose values rise, and which differ by trial: what a rung is judged by depends on the epoch."""
    for epoch in range(1, 6):
        value = epoch + (seed * parameters["kernel"]) % 100 / 100
        if report(epoch, value) and epoch < 5:
            return Outcome("pruned", value, {"seconds": 1.0}, {"metrics.jsonl": b"{}\n"})
    return Outcome("complete", value, {"seconds": 1.0}, {"metrics.jsonl": b"{}\n"})


class KilledError(BaseException):
    """Stands in for SIGKILL."""


@pytest.mark.parametrize("pruner", ["hyperband", "median"])
@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6, 7, 9])
def test_a_kill_at_any_line_of_a_trials_end_changes_no_verdict(tmp_path, monkeypatch, pruner, after):
    plan = Plan(SPACE, sampler="random", pruner=pruner, epochs=5, warmup=1, seed=3)
    with Desk(tmp_path / "whole", plan, 12) as desk:
        run_here(desk, climbing)
    with Desk(tmp_path / "killed", plan, 12) as desk, monkeypatch.context() as patched:
        left = [after]

        def dying(write):
            def write_or_die(*arguments):
                left[0] -= 1
                if left[0] < 0:
                    raise KilledError
                return write(*arguments)

            return write_or_die

        for name in ("intermediate_value", "system_attr", "user_attr", "state_values"):
            patched.setattr(desk._journal, f"set_trial_{name}", dying(getattr(desk._journal, f"set_trial_{name}")))
        with pytest.raises(KilledError):
            run_here(desk, climbing)
    with Desk(tmp_path / "killed", plan, 12) as desk:
        run_here(desk, climbing)
    killed, whole = (
        [(t.number, t.state, t.value, t.params, t.intermediate_values, t.system_attrs) for t in trials_of(folder)[1]]
        for folder in (tmp_path / "killed", tmp_path / "whole")
    )
    assert killed == whole


def test_an_ended_sweep_goes_on_where_more_trials_are_asked_for(tmp_path):
    plan = Plan(SPACE, sampler="random", seed=5)
    for total in (3, 3, 6):
        with Desk(tmp_path, plan, total) as desk:
            run_here(desk, outcome)
            assert len(desk.trials) == total
    _, trials = trials_of(tmp_path)
    assert [trial.user_attrs["drawn"] for trial in trials] == ["random"] * 6
    assert len({json.dumps(trial.params) for trial in trials}) > 2


def test_a_line_cut_off_in_the_middle_is_taken_back(tmp_path):
    plan = Plan(SPACE, sampler="random")
    with Desk(tmp_path, plan, 2) as desk:
        run_here(desk, outcome)
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id":"a-')
    with Desk(tmp_path, plan, 3) as desk:
        run_here(desk, outcome)
        assert len(desk.trials) == 3
    assert journal.read_bytes().startswith(whole)


def test_a_run_that_was_kept_before_the_journal_knew_is_not_run_again(tmp_path, monkeypatch):
    plan = Plan(SPACE, sampler="random")
    with Desk(tmp_path, plan, 1) as desk, monkeypatch.context() as patched:
        patched.setattr(desk, "_record", lambda *_: None)  # as if killed between the run and the journal
        run_here(desk, outcome)
    runs = []
    with Desk(tmp_path, plan, 1) as desk:
        run_here(desk, lambda *arguments: runs.append(arguments))
        assert desk.trials[0].value == desk.trials[0].params["kernel"] + seed_of_trial(0, 0) % 10
    assert runs == []


def test_a_folder_with_another_plan_is_refused_and_named(tmp_path):
    with Desk(tmp_path, Plan(SPACE), 0):
        pass
    with pytest.raises(ConfigError, match="whose epochs is 10, but 4 is asked for"):
        Desk(tmp_path, Plan(SPACE, epochs=4), 1)


def test_two_desks_never_share_a_folder(tmp_path):
    with Desk(tmp_path, Plan(SPACE), 0), pytest.raises(OutputError, match="another process has it"):
        Desk(tmp_path, Plan(SPACE), 1)
    with Desk(tmp_path, Plan(SPACE), 0):
        pass


def test_failed_trials_are_kept_with_their_reason_and_the_sweep_goes_on(tmp_path):
    def fails_on_three(parameters, seed, report):
        if parameters["kernel"] == 3:
            raise ValueError("the loss is\nno longer a number")
        return outcome(parameters, seed, report)

    with Desk(tmp_path, Plan(SPACE, sampler="grid"), 100) as desk:
        run_here(desk, fails_on_three)
    _, trials = trials_of(tmp_path)
    assert len(trials) == 9
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    assert [trial.params["kernel"] for trial in failed] == [3, 3, 3]
    assert failed[0].user_attrs["error"] == "ValueError: the loss is no longer a number"


def test_what_would_meet_every_trial_ends_the_sweep_and_costs_no_trial(tmp_path):
    def full(parameters, seed, report):
        raise OutputError("the disk is full")

    plan = Plan(SPACE, sampler="random")
    with Desk(tmp_path, plan, 3) as desk, pytest.raises(OutputError, match="the disk is full"):
        run_here(desk, full)
    with Desk(tmp_path, plan, 3) as desk:
        assert desk.cut_off == 1
        run_here(desk, outcome)
    assert [trial.state.name for trial in trials_of(tmp_path)[1]] == ["COMPLETE"] * 3


def test_a_trial_whose_worker_dies_is_run_again_once(tmp_path):
    with Desk(tmp_path, Plan(SPACE), 1) as desk:
        first = desk.take()
        desk.lost(first.number)
        assert desk.take() == first
        desk.lost(first.number)
        assert desk.take() is None
    assert "died 2 times" in trials_of(tmp_path)[1][0].user_attrs["error"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [(None, "has no journal"), (b"{", "sweep.json"), (b'{"space": {"kernel": 3}}', "list of values")],
)
def test_a_folder_that_is_no_sweep_is_refused(tmp_path, damage, says):
    if damage is not None:
        (tmp_path / "sweep.json").write_bytes(damage)
        (tmp_path / "journal.log").write_bytes(b"")
    with pytest.raises(ConfigError, match=says):
        trials_of(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"sampler": "guess"}, {"pruner": "axe"}, {"epochs": 0}, {"random_trials": 0}, {"seed": -1}]
)
def test_a_plan_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        Plan(SPACE, **wrong)
